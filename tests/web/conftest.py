"""Fixtures: the page, and a headless Chromium that has it open."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from boots_from import image
from lab.browser import Open, session, wait_until_ready
from web import page as web_page


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page's file."""
    file = tmp_path_factory.mktemp("page") / web_page.NAME
    file.write_bytes(web_page.make(image.read_template()))
    return file


@pytest.fixture(scope="session")
def download_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the browsers save files, whatever is there."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def downloads(download_folder: Path) -> Path:
    """Return where the browsers save files, empty."""
    for file in download_folder.iterdir():
        file.unlink()
    return download_folder


@pytest.fixture(scope="session")
def open_page(download_folder: Path) -> Iterator[Open]:
    """Return a function that opens a URL in a browser of its own."""
    with session(download_folder) as start:
        yield start


@pytest.fixture(scope="session")
def browser(open_page: Open, page: Path) -> Chrome:
    """Return a browser with the page, ready."""
    opened = open_page(page.as_uri())
    wait_until_ready(opened)
    return opened
