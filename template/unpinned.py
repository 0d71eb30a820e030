"""Packages in an image that are not the pinned ones: python -m template.unpinned, which CI runs weekly.

The suite no longer had the pinned version when the template was made.
"""

from boots_from import image
from template.paths import PACKAGES
from template.pins import find, load_pins


def unpinned(template: bytes) -> list[str]:
    """Return a line for each package in the image that is not as packages.toml pins it; empty if all are.

    Raises:
        TemplateError: the image has no list of its packages.
    """
    pins = load_pins(PACKAGES)
    lines = []
    for line in image.packages(template):
        name, version, suite, sha256 = line.split()
        pin = find(pins, name, suite)
        if not pin or (version, sha256) != (pin.version, pin.sha256):
            lines.append(f"{name} {version} ({suite}), pinned is {pin.version if pin else 'none'}")
    return lines


def main() -> int:
    """Print the lines; return 1 if there are any, so that the weekly run fails."""
    lines = unpinned(image.read_template())
    for line in lines:
        print(f"not pinned: {line}: run make update-packages")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
