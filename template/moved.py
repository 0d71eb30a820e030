"""Firmware in an image that is not the pinned one: python -m template.moved, which CI runs weekly.

Its suite no longer had that when the template was made.
"""

from boots_from import image
from template import archive
from template.checkout import FIRMWARE


def moved(template: bytes) -> list[str]:
    """Return a line for each package in the image that is not as firmware.toml pins it; empty if all are.

    Raises:
        TemplateError: the image holds no list of its firmware.
    """
    lines = []
    for line, pin in zip(image.firmware(template), archive.load_pins(FIRMWARE), strict=True):
        if line != f"{pin.qualified_name} {pin.version} {pin.suite} {pin.sha256}":
            name, version, suite, _ = line.split()
            lines.append(f"{name} {version} ({suite}), pinned is {pin.version}")
    return lines


def main() -> int:
    """Print the lines; return 1 if there are any, so that the weekly run fails."""
    lines = moved(image.read_template())
    for line in lines:
        print(f"not the pinned firmware: {line}: run make bump")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
