"""Write ./dist/boots-from.html, the web page that makes images: python -m web, which make web runs."""

import sys

from boots_from import image
from boots_from.errors import BootsFromError
from template.paths import CHECKOUT, DIST
from web import build_page


def main() -> int:
    """Write the page; return the exit status."""
    try:
        content = build_page.make(image.read_template())
    except BootsFromError as error:
        print(f"web: error: {error}", file=sys.stderr)
        return 2
    output = DIST / build_page.NAME
    output.parent.mkdir(exist_ok=True)
    output.write_bytes(content)
    print(f"{output.relative_to(CHECKOUT)} {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
