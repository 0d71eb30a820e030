"""Draws the layout of a finished image to scale, in SVG 1.1."""

from dataclasses import dataclass
from html import escape

from template import contents
from template.image_map import Range

_SCALE = 46  # pixels per MiB
_LEAST = 17  # pixels: the height of a line of text
_BAR = (330, 150)  # pixels: left edge and width of the bar
_WIDTH = 980  # pixels

_GREY, _BLUE, _GREEN, _AMBER, _WHITE = "#c9ced6", "#9dc3ee", "#a8d8a0", "#f5b942", "#ffffff"
# Colours of the parts that are not programs for UEFI.
_COLOURS = {contents.URL: _AMBER, contents.FAT: _GREY, contents.BIOS: _BLUE}


@dataclass
class _Part:
    name: str
    colour: str
    size: int  # bytes
    on_esp: bool
    top: float = 0  # pixels

    @property
    def height(self) -> float:
        """Return the height in the picture, in pixels."""
        return max(_LEAST, self.size / 2**20 * _SCALE)


def draw(ranges: list[Range], total: int) -> str:
    """Return the picture.

    Args:
        ranges: the ranges of the image, by position.
        total: the size of the image in bytes.
    """
    parts = _parts(ranges)
    top = 40.0
    for part in parts:
        part.top = top
        top += part.height
    left, width = _BAR
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + 20:.0f}"',
        '     font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{top + 20:.0f}" fill="#ffffff"/>',
        f'<text x="{left}" y="24" font-weight="bold">boots-from.iso, {total / 2**20:.1f} MiB</text>',
    ]
    for part in parts:
        middle = part.top + part.height / 2 + 4.5
        lines += [
            f'<rect x="{left}" y="{part.top:.1f}" width="{width}" height="{part.height:.1f}"',
            f'      fill="{part.colour}" stroke="#444"/>',
            f'<text x="{left + width + 14}" y="{middle:.1f}">{escape(part.name)}</text>',
            f'<text x="{left + width - 8}" y="{middle:.1f}" text-anchor="end" fill="#333">{_size(part.size)}</text>',
        ]
    bios = next(part for part in parts if part.name == contents.BIOS)
    esp = [part for part in parts if part.on_esp]
    lines += _way_in(
        bios.top, bios.top + bios.height, ("BIOS from CD: El Torito entry 1", "BIOS from stick or disk: MBR")
    )
    lines += _way_in(
        esp[0].top,
        esp[-1].top + esp[-1].height,
        ("UEFI from CD and BMC: El Torito entry 2", "UEFI from stick or disk: partition 2"),
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _parts(ranges: list[Range]) -> list[_Part]:
    parts: list[_Part] = []
    end = 0
    for found in ranges:
        name = found.drawn
        gap = found.start - end
        if gap > 2**16:  # smaller gaps are the rest of a block
            name_of_gap = "zeros: rest of the ESP" if parts[-1].on_esp else "zeros, so that the ESP begins at 1 MiB"
            parts.append(_Part(name_of_gap, _WHITE, gap, parts[-1].on_esp))
        if parts and parts[-1].name == name:
            parts[-1].size += found.size
        else:
            other = _GREEN if found.on_esp else _WHITE if found.file else _GREY
            parts.append(_Part(name, _COLOURS.get(name, other), found.size, found.on_esp))
        end = found.start + found.size
    return parts


def _size(size: int) -> str:
    return f"{size / 2**20:.2f} MiB" if size >= 2**19 else f"{max(1, round(size / 1024))} KiB"


def _way_in(top: float, bottom: float, labels: tuple[str, ...]) -> list[str]:
    """Return a bracket beside the bar, labelled with the ways of booting that begin there."""
    x = _BAR[0] - 8
    middle = (top + bottom) / 2
    bracket = f"M{x},{top + 2:.1f} h-10 V{bottom - 2:.1f} h10 M{x - 10},{middle:.1f} h-14"
    lines = [f'<path d="{bracket}" fill="none" stroke="#444"/>']
    for number, label in enumerate(labels):
        y = middle + 4.5 + (number - (len(labels) - 1) / 2) * 18
        lines.append(f'<text x="{x - 30}" y="{y:.1f}" text-anchor="end">{escape(label)}</text>')
    return lines
