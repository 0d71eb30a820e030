"""The page about the image's layout: python -m documents.layout, which make layout runs.

Writes the tables of docs/layout.md, and the picture beside it, from the template.
"""

from pathlib import Path

from documents import picture
from template import layout
from template.checkout import CHECKOUT, TEMPLATE

PAGE = CHECKOUT / "docs" / "layout.md"
PICTURE = PAGE.with_suffix(".svg")
_BEGIN, _END = "<!-- made by make layout: begin -->\n", "<!-- made by make layout: end -->\n"


def page(text: str, image: Path) -> str:
    """Return the page's text with the tables of an image between its marks."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{layout.tables(image)}\n{_END}{after}"


def drawing(image: Path) -> str:
    """Return the picture of an image."""
    return picture.draw(layout.ranges(image), image.stat().st_size)


def main() -> int:
    """Write both."""
    PAGE.write_text(page(PAGE.read_text(), TEMPLATE))
    PICTURE.write_text(drawing(TEMPLATE))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
