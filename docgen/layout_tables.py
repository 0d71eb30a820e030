"""Write the tables and the picture of docs/explanation/layout.md: python -m docgen.layout_tables (make layout).

Both are made from the template.
"""

from pathlib import Path

from boots_from import image as boots_from_image
from docgen import layout_picture
from template import image_map
from template.paths import CHECKOUT, TEMPLATE

PAGE = CHECKOUT / "docs/explanation/layout.md"
PICTURE = PAGE.with_suffix(".svg")


def between_marks(text: str, tables: str, target: str) -> str:
    """Return the text of a page with new tables between its marks, which are comments that name a make target."""
    begin, end = (f"<!-- made by make {target}: {word} -->\n" for word in ("begin", "end"))
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{tables}\n{end}{after}"


def page(text: str, image: Path) -> str:
    """Return the text of the page with the tables of an image."""
    text = between_marks(text, image_map.tables(image), "layout")
    return between_marks(text, hashes(image.read_bytes()), "layout, hashes")


def hashes(template: bytes) -> str:
    """Return the table of the hashes to enroll for Secure Boot, as MokManager shows them."""
    rows = ["| file | machines and URLs | SHA-256 |", "| --- | --- | --- |"]
    for line in boots_from_image.hashes_to_enroll(template):
        path, digest, purpose = line.split(maxsplit=2)
        rows.append(f"| `{path}` | {purpose} | `{' '.join(boots_from_image.mok_rows(digest))}` |")
    return "\n".join([*rows, ""])


def drawing(image: Path) -> str:
    """Return the picture of an image, in SVG."""
    return layout_picture.draw(image_map.ranges(image))


def main() -> int:
    """Write both files."""
    PAGE.write_text(page(PAGE.read_text(), TEMPLATE))
    PICTURE.write_text(drawing(TEMPLATE))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
