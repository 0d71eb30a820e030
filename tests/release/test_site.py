"""The documentation site: whole, of this checkout, and loading nothing from elsewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from boots_from import image
from docgen import site
from template.paths import CHECKOUT
from tests.custom_checkout import CustomCheckout
from web import build_page

LOADING = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
NOT_LOADED = {"canonical", "next", "prev"}  # links by their rel, which a browser only knows of


class Loaded(HTMLParser):
    """What a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        url = values.get(LOADING.get(tag, ""))
        if url and values.get("rel") not in NOT_LOADED:
            self.urls.append(url)


@pytest.fixture
def checkout(tmp_path: Path) -> CustomCheckout:
    return CustomCheckout(tmp_path / "checkout")


def test_site_is_whole_and_refuses_dead_links(checkout: CustomCheckout) -> None:
    checkout.python("-m", "docgen.site")
    made = checkout.path / "build/site"
    pages = {path.relative_to(made).with_suffix("").as_posix() for path in made.rglob("*.html")}
    wanted = {path.relative_to(CHECKOUT / "docs").with_suffix("").as_posix() for path in CHECKOUT.glob("docs/**/*.md")}
    assert pages == wanted | {Path(name.lower()).stem for name in site.TOP} | {"boots-from", "404"}
    assert (made / site.IMAGE_PAGE).read_bytes() == build_page.make(image.read_template())
    assert re.search(rf'<a class="md-button[^"]*" href="{site.IMAGE_PAGE}"', (made / "index.html").read_text())
    loaded = 0
    for page in made.rglob("*.html"):
        if page.name == site.IMAGE_PAGE:
            continue
        for url in Loaded(page.read_text()).urls:
            assert not re.match(r"[a-z]+:|//", url), f"{page.name} loads {url}"
            file = made / url.lstrip("/").removeprefix("boots-from/") if url.startswith("/") else page.parent / url
            assert file.exists(), f"{page.name} loads {url}, which is not there"
            loaded += 1
    assert loaded > 100
    assert all("url(http" not in style.read_text() for style in made.rglob("*.css"))

    for link, name in (("gone.md", "gone.md"), ("tutorial.md#gone", "gone"), ("../LICENCE", "LICENCE")):
        text = (checkout.path / "docs/faq.md").read_text()
        (checkout.path / "docs/faq.md").write_text(f"{text}\n[a dead link]({link})\n")
        said = checkout.python("-m", "docgen.site", status=1)
        assert re.search(rf"WARNING.*faq\.md.*{name}", said), said
        (checkout.path / "docs/faq.md").write_text(text)


def test_links_out_of_docs_are_changed() -> None:
    text = "[a](../../CONTRIBUTING.md#style) [b](../CHANGELOG.md) [c](bmc.md) [d](../../LICENSE)"
    assert site.in_site(text, "how-to") == (
        "[a](../contributing.md#style) [b](../changelog.md) [c](bmc.md)"
        " [d](https://github.com/boots-from/boots-from/blob/main/LICENSE)"
    )
