"""Lists the packages in the template that are not the pinned ones: python -m template.unpinned, which CI runs weekly.

There are some if a suite no longer had the pinned version when the template was built.
"""

from boots_from import image
from template.paths import PACKAGES
from template.pins import find, load_pins


def unpinned(template: bytes) -> list[str]:
    """Return a line for each package in the image that differs from its pin in packages.toml.

    Raises:
        TemplateError: the image has no list of its packages.
    """
    pins = load_pins(PACKAGES)
    lines = []
    for line in image.packages(template):
        name, version, suite, sha256 = line.split()
        pin = find(pins, name, suite)
        if not pin or (version, sha256) != (pin.version, pin.sha256):
            lines.append(f"{name} {version} ({suite}), pinned: {pin.version if pin else 'none'}")
    return lines


def main() -> int:
    """Print the lines; return 1 if there are any, so that the weekly CI run fails."""
    lines = unpinned(image.read_template())
    for line in lines:
        print(f"template: warning: not the pinned package: {line}; run make update-packages")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
