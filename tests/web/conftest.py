"""Fixtures: the page, and a headless Chromium that has it open."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

import web.__main__
from boots_from import image
from tests.web.browser import Open, session, wait_until


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page's file."""
    file = tmp_path_factory.mktemp("page") / web.__main__.NAME
    file.write_bytes(web.__main__.make(image.read_template()))
    return file


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def open_page(downloads: Path) -> Iterator[Open]:
    """Return a function that opens a URL in a browser of its own."""
    with session(downloads) as start:
        yield start


@pytest.fixture(scope="session")
def browser(open_page: Open, page: Path) -> Chrome:
    """Return a browser with the page, ready."""
    opened = open_page(page.as_uri())
    wait_until(opened, "return performance.getEntriesByName('ready').length")
    return opened
