"""Links of the documentation lead somewhere, in the checkout as on GitHub: files, and headings in them."""

import re
from pathlib import Path

import pytest

from template.paths import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
HOME = "https://github.com/boots-from/boots-from/blob/main/"


def prose(page: Path) -> str:
    """Return a page's text without its code."""
    return re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a page."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere. Those to other hosts are not followed."""
    text = prose(page)
    references = re.findall(r"^\[([^\]]+)\]: (\S+)$", text, re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + [target for _, target in references]
    wrong = [name for name in re.findall(r"\]\[([^\]]+)\]", text) if name not in dict(references)]
    for target in targets:
        path, _, anchor = target.removeprefix(HOME).partition("#")
        if "://" in path:
            continue
        file = (CHECKOUT if target.startswith(HOME) else page.parent) / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# The Host, again\n")
    (tmp_path / "page.md").write_text(
        "[a](there.md) [b](there.md#the-host-again) [c](#here) [d](gone.md) [e][f] `[code](gone.md)`\n\n"
        "[g][h]\n\n[h]: there.md#gone\n\n## Here\n\n```\n[code](gone.md)\n# no-heading\n```\n\n[i](#no-heading)\n"
    )
    assert dead(tmp_path / "page.md") == ["f", "gone.md", "#no-heading", "there.md#gone"]


def test_every_page_is_in_the_index() -> None:
    index = (CHECKOUT / "docs/index.md").read_text()
    linked = {(CHECKOUT / "docs" / path).resolve() for path in re.findall(r"\]\(([^)#]+)", index)}
    assert {page for page in PAGES if page.is_relative_to(CHECKOUT / "docs")} - linked == {CHECKOUT / "docs/index.md"}


def test_issue_forms_link_to_pages() -> None:
    forms = sorted((CHECKOUT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 4
    for form in forms:
        for path in re.findall(rf"{HOME}([\w./-]+)", form.read_text()):
            assert (CHECKOUT / path).is_file(), f"{form.name}: {path}"
