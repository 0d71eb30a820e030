"""Actions of a user on the page, and the file that it saves."""

import re
import time
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

from boots_from import image
from lab.browser import HOST, Open, wait_until
from lab.recording_server import RecordingServer


def type_url(browser: WebDriver, url: str, end: str = "") -> None:
    """Clear the field and type a URL, then the keys `end`."""
    field = browser.find_element(By.ID, "url")
    field.clear()
    if url + end:
        field.send_keys(url + end)


def click(browser: WebDriver, element: WebElement) -> None:
    """Scroll to an element, then click it: on a busy host WebKit otherwise scrolls after the click."""
    scroll = "arguments[0].scrollIntoView({block: 'center'}); const at = () => arguments[0].getBoundingClientRect().y;"
    still = "let last = NaN; const look = () => at() === last ? done() : (last = at(), setTimeout(look, 100)); look();"
    browser.execute_async_script(f"const done = arguments[1]; {scroll} {still}", element)
    element.click()


def leave_field(browser: WebDriver) -> None:
    """Take the focus from the field, as a click elsewhere does."""
    browser.execute_script("document.getElementById('url').blur()")


def text(browser: WebDriver, name: str) -> str:
    """Return the text of an element, visible or not."""
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", name))


def shown(browser: WebDriver, name: str) -> bool:
    """Return whether an element is visible."""
    return bool(browser.execute_script("return document.getElementById(arguments[0]).checkVisibility()", name))


def notice(document: str = "document") -> str:
    """Return JavaScript that returns the text of the visible notices in a document."""
    return f"return {document}.getElementById('notices').innerText.trim().replace(/\\s+/g, ' ')"


def saved(downloads: Path, name: str = "boots-from.iso") -> bytes:
    """Wait until the browser has saved the whole file; return its content."""
    file = downloads / name
    size = len(image.read_template())
    end = time.monotonic() + 60
    while not file.exists() or file.stat().st_size < size:
        assert time.monotonic() < end, [found.name for found in downloads.iterdir()]
        time.sleep(0.05)
    return file.read_bytes()


def in_frame(
    open_in: Open, server: RecordingServer, page: bytes, sandbox: str | None = None, policy: str | None = None
) -> WebDriver:
    """Open another page that shows the page in a frame; return the browser after the frame has loaded.

    Args:
        open_in: opens the browser.
        server: serves both pages.
        page: the content of the page.
        sandbox: the sandbox attribute of the frame.
        policy: the Content-Security-Policy header of the page.
    """
    server.files |= {"/around.html": b"<!DOCTYPE html><title>around</title>", "/page.html": page}
    server.headers["/page.html"] = {"Content-Security-Policy": policy} if policy else {}
    opened: WebDriver = open_in(f"http://{HOST}:{server.port}/around.html")
    opened.execute_script(
        """
        const frame = document.createElement("iframe");
        if (arguments[0] !== null) frame.setAttribute("sandbox", arguments[0]);
        frame.addEventListener("load", () => { window.loaded = true; });
        frame.src = "page.html";
        frame.width = frame.height = 800;
        document.body.append(frame);
        """,
        sandbox,
    )
    wait_until(opened, "return window.loaded")
    return opened


def without_policy(content: bytes) -> bytes:
    """Return the page without its Content-Security-Policy, so that tests can add scripts."""
    content, count = re.subn(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", content)
    assert count == 1
    return content
