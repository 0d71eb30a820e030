"""Fixtures: the page, and browsers that have it open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.remote.webdriver import WebDriver

from boots_from import image
from lab.browser import CHROMIUM, KINDS, Open, session, wait_until_ready
from web import build_page as web_page


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the page."""
    file = tmp_path_factory.mktemp("page") / web_page.NAME
    file.write_bytes(web_page.make(image.read_template()))
    return file


@pytest.fixture(scope="session")
def download_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the download folder of the browsers."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def downloads(download_folder: Path) -> Path:
    """Return the download folder of the browsers, emptied."""
    for file in download_folder.iterdir():
        file.unlink()
    return download_folder


@pytest.fixture(scope="session")
def open_page(download_folder: Path) -> Iterator[Open]:
    """Return a function that opens a URL in a new Chromium."""
    with session(download_folder) as start:
        yield start


# Any, because tests also call methods that only the Chromium driver has.
@pytest.fixture(scope="session")
def browser(open_page: Open, page: Path) -> Any:
    """Return a Chromium that shows the page, ready for use."""
    opened = open_page(page.as_uri())
    wait_until_ready(opened)
    return opened


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return the name of each kind of browser."""
    return str(request.param)


@pytest.fixture(scope="session")
def open_in(kind: str, open_page: Open, download_folder: Path) -> Iterator[Open]:
    """Return a function that opens a URL in a browser of each kind."""
    if kind == CHROMIUM:
        yield open_page
        return
    with session(download_folder, kind) as start:
        yield start


@pytest.fixture(scope="session")
def each(open_in: Open, page: Path) -> WebDriver:
    """Return a browser of each kind that shows the page, ready for use."""
    opened: WebDriver = open_in(page.as_uri())
    wait_until_ready(opened)
    return opened


@pytest.fixture
def fresh(each: WebDriver, page: Path) -> WebDriver:
    """Return a browser of each kind with the page opened again."""
    each.get("about:blank")
    each.get(page.as_uri())
    wait_until_ready(each)
    return each
