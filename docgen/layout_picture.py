"""Draws the parts of a finished image in their order, in SVG 1.1.

It shows neither sizes nor gaps, so newer packages leave it as it is.
"""

from dataclasses import dataclass
from html import escape

from template import contents
from template.image_map import Range

_ROW = 22  # pixels: the height of a part
_TOP = 16  # pixels: the margin above and below
_BAR = (330, 330)  # pixels: left edge and width of the bar
_WIDTH = 690  # pixels

_GREY, _BLUE, _GREEN, _AMBER, _WHITE = "#c9ced6", "#9dc3ee", "#a8d8a0", "#f5b942", "#ffffff"
# Colours of the parts that are not programs for UEFI.
_COLOURS = {contents.URL: _AMBER, contents.FAT: _GREY, contents.BIOS: _BLUE}


@dataclass(frozen=True)
class _Part:
    name: str
    colour: str
    on_esp: bool


def draw(ranges: list[Range]) -> str:
    """Return the picture of the ranges of an image, which are in the order of their position."""
    parts = _parts(ranges)
    left, width = _BAR
    height = 2 * _TOP + _ROW * len(parts)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"',
        '     font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, part in enumerate(parts):
        top = _top(number)
        lines += [
            f'<rect x="{left}" y="{top}" width="{width}" height="{_ROW}" fill="{part.colour}" stroke="#444"/>',
            f'<text x="{left + 12}" y="{top + 15.5}">{escape(part.name)}</text>',
        ]
    bios = next(number for number, part in enumerate(parts) if part.name == contents.BIOS)
    esp = [number for number, part in enumerate(parts) if part.on_esp]
    lines += _way_in(bios, bios, ("BIOS from CD: El Torito entry 1", "BIOS from stick or disk: MBR"))
    lines += _way_in(
        esp[0], esp[-1], ("UEFI from CD and BMC: El Torito entry 2", "UEFI from stick or disk: partition 2")
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _top(number: int) -> int:
    """Return the upper edge of a part, in pixels."""
    return _TOP + _ROW * number


def _parts(ranges: list[Range]) -> list[_Part]:
    parts: list[_Part] = []
    for found in ranges:
        if not parts or parts[-1].name != found.drawn:
            other = _GREEN if found.on_esp else _WHITE if found.file else _GREY
            parts.append(_Part(found.drawn, _COLOURS.get(found.drawn, other), found.on_esp))
    return parts


def _way_in(first: int, last: int, labels: tuple[str, ...]) -> list[str]:
    """Return a bracket beside a run of parts, labelled with the ways of booting that begin there."""
    x = _BAR[0] - 8
    top, bottom = _top(first) + 2, _top(last + 1) - 2
    middle = (top + bottom) / 2
    bracket = f"M{x},{top} h-10 V{bottom} h10 M{x - 10},{middle} h-14"
    lines = [f'<path d="{bracket}" fill="none" stroke="#444"/>']
    for number, label in enumerate(labels):
        y = middle + 4.5 + (number - (len(labels) - 1) / 2) * 18
        lines.append(f'<text x="{x - 30}" y="{y:.1f}" text-anchor="end">{escape(label)}</text>')
    return lines
