"""What a person does with the page, and where its file goes."""

import time
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from boots_from import image


def type_url(browser: WebDriver, url: str, end: str = "") -> None:
    """Type a URL into the emptied field; then `end`."""
    field = browser.find_element(By.ID, "url")
    field.clear()
    if url + end:
        field.send_keys(url + end)


def leave_field(browser: WebDriver) -> None:
    """Go on from the field, as by a click elsewhere."""
    browser.execute_script("document.getElementById('url').blur()")


def text(browser: WebDriver, name: str) -> str:
    """Return what an element holds, shown or not."""
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", name))


def shown(browser: WebDriver, name: str) -> bool:
    """Return whether an element is to be seen."""
    return bool(browser.execute_script("return document.getElementById(arguments[0]).checkVisibility()", name))


def notice(document: str = "document") -> str:
    """Return the JavaScript that gives the text of the notices that are to be seen, in a document."""
    return f"return {document}.getElementById('notices').innerText.trim().replace(/\\s+/g, ' ')"


def saved(downloads: Path, name: str = "boots-from.iso") -> bytes:
    """Return the file that the browser saves, when it is whole."""
    file = downloads / name
    size = len(image.read_template())
    end = time.monotonic() + 60
    while not file.exists() or file.stat().st_size < size:
        assert time.monotonic() < end, [found.name for found in downloads.iterdir()]
        time.sleep(0.05)
    return file.read_bytes()
