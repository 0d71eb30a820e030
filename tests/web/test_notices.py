"""The notices of a page that cannot work, or not yet, in Chromium, Firefox and WebKitGTK.

Most tests show the page in a frame, and look at it from the page around it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

import boots_from
from lab.browser import CHROMIUM, HOST, Open, wait_until, wait_until_ready
from lab.recording_server import RecordingServer
from tests.web.fields import in_frame, notice, saved, text, type_url, without_policy

in_others = pytest.mark.thorough(but=(CHROMIUM,))

LOADING = "Loading the image ..."
OFF = (
    "This page needs JavaScript, and JavaScript is off. Turn it on in your browser. If it is already on, the website "
    "that shows this page blocks it: download this page, and open it from your disk."
)
BLOCKED = (
    "The scripts of this page did not start. If the page is on a website, that website blocks scripts: download this "
    "page, and open it from your disk. If you opened it from your disk, the file is damaged: download it again."
)
OLD = "This browser is too old for this page. Use Chrome or Edge 80, Firefox 113, Safari 16.4, or newer."
DAMAGED = "This file is damaged or incomplete. Download it again."
SANDBOX = (
    "The frame that shows this page blocks downloads, so you cannot save the image here. Open the page in its own tab."
)
FRAME = (
    "Another website shows this page inside its own, and may block downloads. If no file appears when you save, open "
    "the page in its own tab."
)


def old_browser(content: bytes) -> bytes:
    """Return the page with a script that removes the newest browser feature that the page needs."""
    lacking = b"<head><script>delete window.DecompressionStream</script>"
    return without_policy(content).replace(b"<head>", lacking, 1)


def older_browser(content: bytes) -> bytes:
    """Return the page as a browser sees it that cannot even parse its scripts."""
    begin = b'"use strict";\n// The page:'
    assert begin in content
    return old_browser(content).replace(begin, b"?" + begin, 1)


# The page in the frame, seen from the page around it.
INSIDE = "frames[0].document"
SCRIPTS = "allow-same-origin allow-scripts"


@in_others
@pytest.mark.parametrize(
    ("sandbox", "policy", "make", "shown"),
    [
        pytest.param("allow-same-origin", None, bytes, OFF, id="no-scripts"),
        pytest.param(None, "script-src 'none'", bytes, BLOCKED, id="scripts-forbidden"),
        pytest.param(None, "default-src 'self'", bytes, BLOCKED, id="only-its-own-files"),
        pytest.param(None, None, old_browser, OLD, id="old-browser"),
        pytest.param(None, None, older_browser, OLD, id="older-browser"),
        pytest.param(SCRIPTS, None, bytes, SANDBOX, id="no-downloads"),
        pytest.param(f"{SCRIPTS} allow-downloads", None, bytes, "", id="downloads"),
        pytest.param(None, None, bytes, "", id="plain-frame"),
    ],
)
def test_blocked_page_shows_why(
    open_in: Open,
    page: Path,
    recording_server: RecordingServer,
    sandbox: str | None,
    policy: str | None,
    make: Callable[[bytes], bytes],
    shown: str,
) -> None:
    opened = in_frame(open_in, recording_server, make(page.read_bytes()), sandbox, policy)
    wait_until(opened, f"{notice(INSIDE)} === {shown!r}")
    time.sleep(1)  # longer than the page needs to unpack the template
    assert opened.execute_script(notice(INSIDE)) == shown
    assert opened.execute_script(f"return {INSIDE}.getElementById('bake').disabled") == bool(shown)
    assert opened.execute_script("return document.activeElement.tagName") == "BODY"  # the frame has not taken the focus
    if shown:  # the Enter key does not save either
        opened.execute_script(
            f"const field = {INSIDE}.getElementById('url'); field.value = 'http://h/boot';"
            "field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))"
        )
        assert opened.execute_script(f"return {INSIDE}.getElementById('saved').hidden")
    opened.quit()


@in_others
def test_frame_of_another_site_may_block_downloads(
    open_in: Open, page: Path, recording_server: RecordingServer
) -> None:
    """The page cannot find out, so it says so and lets the user try."""
    opened = in_frame(open_in, recording_server, page.read_bytes(), "allow-scripts")
    opened.switch_to.frame(0)
    wait_until_ready(opened)
    assert opened.execute_script(notice()) == FRAME
    # By script, because the WebKit driver cannot type there.
    opened.execute_script(
        "const field = document.getElementById('url'); field.value = 'http://h/boot';"
        "field.dispatchEvent(new InputEvent('input')); document.getElementById('bake').click()"
    )
    assert text(opened, "verdict") == "Ready: the machine will load http://h/boot over HTTP."
    wait_until(opened, "return document.getElementById('sha256').textContent.length === 64")
    assert opened.execute_script("return document.getElementById('saved').checkVisibility()")
    opened.quit()


@in_others
def test_frame_that_allows_downloads_saves(
    open_in: Open, page: Path, recording_server: RecordingServer, downloads: Path, kind: str
) -> None:
    """Also in a sandbox that blocks forms."""
    opened = in_frame(open_in, recording_server, page.read_bytes(), f"{SCRIPTS} allow-downloads")
    opened.switch_to.frame(0)
    wait_until_ready(opened)
    type_url(opened, "http://h/boot")
    opened.find_element(By.ID, "bake").click()
    assert saved(downloads) == boots_from.bake("http://h/boot")
    opened.quit()


def test_page_without_javascript_says_so(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(page.as_uri())
        assert " ".join(browser.find_element(By.ID, "notices").text.split()) == OFF
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.get(page.as_uri())
        wait_until_ready(browser)


def changed(content: bytes, at: int) -> bytes:
    other = b"A" if content[at : at + 1] != b"A" else b"B"
    return content[:at] + other + content[at + 1 :]


def truncated_scripts(content: bytes) -> bytes:
    return content[: content.index(b"const BakeRules")]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a-byte": (lambda content: changed(content, len(content) // 2), DAMAGED),
    "its-second-half": (lambda content: content[: len(content) // 2], DAMAGED),
    "its-end": (lambda content: content[:-5000], DAMAGED),
    "its-scripts": (truncated_scripts, DAMAGED),
    "a-byte-of-the-rules": (lambda content: changed(content, content.index(b"#!ipxe") + 100), DAMAGED),
    "a-byte-of-its-first-script": (lambda content: changed(content, content.index(b"Runs before all")), BLOCKED),
}  # fmt: skip


@in_others
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_page_cannot_save(each: WebDriver, page: Path, tmp_path: Path, damage: str) -> None:
    """The page says so, and cannot save."""
    damaging, shown = DAMAGES[damage]
    file = tmp_path / "damaged.html"
    file.write_bytes(damaging(page.read_bytes()))
    each.get("about:blank")
    each.get(file.as_uri())
    wait_until(each, f"{notice()} === {shown!r}")
    assert not each.find_element(By.ID, "bake").is_enabled()


@contextmanager
def slow_server(content: bytes, go_on: threading.Event) -> Iterator[int]:
    """Serve the page at every path but "/", with its second half only after `go_on` is set; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            around = re.sub("^http://[^/]*", "", self.path) == "/"
            body = b"<!DOCTYPE html><title>around</title>" if around else content
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            if not around:
                go_on.wait(60)
            self.wfile.write(body[len(body) // 2 :])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            go_on.set()
            server.shutdown()
            thread.join()


@in_others
def test_field_works_while_loading(open_in: Open, page: Path) -> None:
    """The page shows that it is loading, and the user can already type a URL."""
    go_on = threading.Event()
    with slow_server(page.read_bytes(), go_on) as port:
        opened = open_in(f"http://{HOST}:{port}/")
        opened.execute_script(
            "document.body.append(Object.assign(document.createElement('iframe'), {src: 'page.html', width: 800}))"
        )
        wait_until(
            opened,
            f"return frames[0].document.getElementById('heard') !== null && ({notice(INSIDE)[7:]}) === {LOADING!r}",
        )
        opened.execute_script(
            f"const field = {INSIDE}.getElementById('url'); field.value = 'http://h/boot';"
            "field.dispatchEvent(new InputEvent('input'))"
        )
        assert opened.execute_script(f"return {INSIDE}.getElementById('verdict').textContent").startswith("Ready: ")
        assert opened.execute_script(f"return {INSIDE}.getElementById('bake').disabled")
        time.sleep(0.5)
        assert opened.execute_script(notice(INSIDE)) == LOADING
        go_on.set()
        wait_until(opened, f"return !{INSIDE}.getElementById('bake').disabled")
        assert opened.execute_script(notice(INSIDE)) == ""
        opened.quit()


def test_page_from_disk_has_no_notice(browser: Any) -> None:
    assert browser.execute_script(notice()) == ""


def test_server_sandbox_may_forbid_downloads(open_page: Open, page: Path, recording_server: RecordingServer) -> None:
    """The page can't see what its server's policy allows."""
    recording_server.files["/page.html"] = page.read_bytes()
    recording_server.headers["/page.html"] = {"Content-Security-Policy": "sandbox allow-scripts"}
    opened = open_page(f"http://{HOST}:{recording_server.port}/page.html")
    wait_until_ready(opened)
    assert opened.execute_script(notice()) == FRAME
    opened.quit()
