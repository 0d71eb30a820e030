"""The page in Chromium, Firefox and WebKitGTK: loading, typing, saving, copying, and links."""

import re
import subprocess
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

import boots_from
from boots_from import image, messages
from lab import page_observer
from lab.browser import CHROMIUM, FIREFOX, HOST, Open, wait_until, wait_until_ready
from lab.recording_server import RecordingServer
from tests.web.fields import click, leave_field, saved, shown, text, type_url, without_policy

in_others = pytest.mark.thorough(but=(CHROMIUM,))
URL = "http://boot.example.com/boot?mac=${net0/mac}"
# A URL that is wrong as soon as the typing pauses, and a URL that may still become right.
WRONG, UNFINISHED = "htpp://boot.example.com/x", "http://"


def wait_for_digest(browser: WebDriver, digest: str) -> None:
    wait_until(browser, f"return document.getElementById('sha256').textContent === '{digest}'")


def test_saved_image_equals_that_of_the_command(fresh: WebDriver, downloads: Path) -> None:
    """From a URL with spaces around it; the page shows the SHA-256."""
    assert fresh.execute_script("return document.activeElement.id") == "url"
    type_url(fresh, f"  {URL} ", Keys.ENTER)
    expected = boots_from.bake(URL)
    assert saved(downloads) == expected
    wait_for_digest(fresh, sha256(expected).hexdigest())
    assert text(fresh, "verdict") == f"Ready: the machine will load {URL} over HTTP."
    leave_field(fresh)
    assert text(fresh, "heard") == "Your browser has received boots-from.iso. The next steps are below."


def test_link_fills_the_field_until_it_is_edited(fresh: WebDriver, page: Path, downloads: Path) -> None:
    """After that the address of the page no longer has the URL."""
    fresh.get("about:blank")
    fresh.get(f"{page.as_uri()}#url=http%3A%2F%2Fh%2Fa%2520b%3Fm%3D%24%7Bmac%7D")
    wait_until_ready(fresh)
    field = fresh.find_element(By.ID, "url")
    assert field.get_property("value") == "http://h/a%20b?m=${mac}"
    field.send_keys("x")
    wait_until(fresh, "return !location.href.includes('#')")
    assert field.get_property("value") == "http://h/a%20b?m=${mac}x"
    assert list(downloads.iterdir()) == []


@in_others
@pytest.mark.parametrize("place", ["disk", "plain-http"])
def test_parsing_the_page_is_fast(
    open_in: Open, page: Path, recording_server: RecordingServer, kind: str, place: str
) -> None:
    """Compared with unpacking the template: a new WebKit took 14 times as long, 10 s, for a template in an element."""
    recording_server.files["/boots-from.html"] = page.read_bytes()
    ratios = []
    for _ in range(2):
        opened = open_in(page.as_uri() if place == "disk" else f"http://{HOST}:{recording_server.port}/boots-from.html")
        wait_until_ready(opened)
        read, ready = opened.execute_script(
            "return [performance.getEntriesByType('navigation')[0].domContentLoadedEventStart,"
            "performance.getEntriesByName('ready')[0].startTime]"
        )
        ratios.append(read / (ready - read))
        print(f"{kind}: read in {read:.0f} ms, ready after {ready:.0f} ms")
        opened.quit()
    assert min(ratios) < 5


@pytest.mark.thorough(but=("chromium-fast",))
@pytest.mark.parametrize("pause", [0, 0.8], ids=["fast", "slow"])
def test_screen_reader_hears_once_that_url_is_right(fresh: WebDriver, pause: float) -> None:
    """Also if a key takes 0.8 s. The page used to send 27 updates for 13 characters, and "invalid" eight times."""
    fresh.execute_script(page_observer.HEARD)
    field = fresh.find_element(By.ID, "url")
    for key in "http://h/boot":
        field.send_keys(key)
        time.sleep(pause)
    wait_until(fresh, "return heard.length > 0")
    time.sleep(1)
    assert fresh.execute_script("return heard") == ["Ready to save."]


@in_others
def test_wrong_url_shows_error_in_a_pause(fresh: WebDriver) -> None:
    fresh.execute_script(page_observer.HEARD)
    type_url(fresh, WRONG)
    error = 'unknown scheme "htpp" at character 1 of the URL: did you mean http://boot.example.com/x?'
    wait_until(fresh, "return heard.includes('invalid')")
    assert fresh.execute_script("return heard.filter((text) => text !== 'invalid')") == [error]
    assert text(fresh, "verdict") == error


@in_others
def test_unfinished_url_shows_error_after_the_field_is_left(fresh: WebDriver) -> None:
    fresh.execute_script(page_observer.HEARD)
    type_url(fresh, UNFINISHED)
    time.sleep(1)
    assert fresh.execute_script("return heard") == []
    leave_field(fresh)
    wait_until(fresh, "return heard.includes('invalid')")
    assert text(fresh, "verdict").startswith("missing HOST")


@in_others
@pytest.mark.parametrize("by", ["Enter", "click"])
def test_saving_without_good_url_shows_error(fresh: WebDriver, downloads: Path, by: str) -> None:
    for url, error in (("", messages.EMPTY.text()), (UNFINISHED, "missing HOST")):
        type_url(fresh, url, Keys.ENTER if by == "Enter" else "")
        if by == "click":
            fresh.find_element(By.ID, "bake").click()
        assert text(fresh, "verdict").startswith(error)
        assert text(fresh, "heard").startswith(error)
        assert fresh.find_element(By.ID, "verdict").get_attribute("className") == "bad"
        assert fresh.switch_to.active_element == fresh.find_element(By.ID, "url")
    assert list(downloads.iterdir()) == []


@in_others
def test_warning_does_not_mention_a_shell(fresh: WebDriver) -> None:
    type_url(fresh, "http://h/?mac=")
    leave_field(fresh)
    warning = 'Warning: no value after "=" at character 14 of the URL: write a value, or a setting such as ${net0/mac}.'
    assert text(fresh, "verdict") == f"Ready: the machine will load http://h/?mac= over HTTP.\n{warning}"


@in_others
def test_examples_fill_the_field(fresh: WebDriver) -> None:
    fresh.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    for example in fresh.find_elements(By.CSS_SELECTOR, ".example"):
        click(fresh, example)
        assert fresh.find_element(By.ID, "url").get_property("value") == example.text
        assert text(fresh, "verdict").startswith("Ready: ")
        assert fresh.find_element(By.ID, "verdict").get_attribute("class") == "good"


SITUATIONS = {
    "bmc": ("idrac", "ilo", "supermicro", "pikvm", "jetkvm", "other"),
    "windows": (),
    "macos": (),
    "linux": (),
    "vm": (),
}


@in_others
def test_steps_match_the_chosen_place(fresh: WebDriver, downloads: Path) -> None:
    """They appear after saving, and only while the field holds the saved URL."""
    type_url(fresh, URL)
    assert not shown(fresh, "saved")
    fresh.find_element(By.ID, "bake").click()
    wait_until(fresh, "return document.getElementById('saved').checkVisibility()")
    found = "Array.from(document.querySelectorAll('#saved ol'))"
    lists = f"return {found}.map((list) => list.checkVisibility() && list.dataset.for)"
    assert not any(fresh.execute_script(lists))
    for situation, kinds in SITUATIONS.items():
        fresh.find_element(By.ID, situation).click()
        for choice in kinds or (situation,):
            fresh.find_element(By.ID, choice).click()
            assert [name for name in fresh.execute_script(lists) if name] == [choice]
    type_url(fresh, URL + "x")
    assert not shown(fresh, "saved")
    type_url(fresh, URL)
    assert shown(fresh, "saved")
    saved(downloads)


COMMANDS = (
    "sha256",
    "check-windows",
    "find-macos",
    "unmount-macos",
    "write-macos",
    "find-linux",
    "write-linux",
    "run-vm",
)
ENROLLED = tuple(
    f"{name}.efi"
    for name in (
        *("grubx64", "grubaa64", "ecdsa-ipxe-x86_64", "ecdsa-ipxe-arm64"),
        *("mark-running-x86_64", "mark-running-arm64"),
    )
)


def enabled(browser: WebDriver) -> set[str]:
    """Return the ids of the elements whose copy buttons are enabled."""
    found = browser.execute_script(
        "return Array.from(document.querySelectorAll('[data-of]:enabled'), (button) => button.dataset.of)"
    )
    return set(found)


def paste(browser: WebDriver) -> str:
    """Paste the clipboard into the field, which has one line; return the text."""
    field = browser.find_element(By.ID, "url")
    field.clear()
    field.send_keys(Keys.CONTROL, "v")
    return str(field.get_property("value"))


@pytest.mark.thorough(but=("chromium-disk",))
@pytest.mark.parametrize("place", ["disk", "plain-http"])
def test_copy_buttons_copy_only_complete_text(
    open_in: Open, page: Path, recording_server: RecordingServer, place: str, downloads: Path
) -> None:
    recording_server.files["/boots-from.html"] = page.read_bytes()
    address = page.as_uri() if place == "disk" else f"http://{HOST}:{recording_server.port}/boots-from.html"
    opened = open_in(address)
    wait_until_ready(opened)
    fixed = {*ENROLLED, "find-macos", "unmount-macos", "find-linux", "run-vm"}
    assert enabled(opened) == fixed
    type_url(opened, WRONG)
    assert enabled(opened) == fixed
    type_url(opened, URL)
    assert enabled(opened) == {*fixed, "script"}
    opened.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    for name in (*COMMANDS, *ENROLLED, "script", "link"):
        type_url(opened, URL, Keys.ENTER)
        wait_for_digest(opened, sha256(boots_from.bake(URL)).hexdigest())
        assert enabled(opened) == {*COMMANDS, *ENROLLED, "script"}
        # Show all steps, so that every button can be used.
        opened.execute_script("document.querySelectorAll('[data-for]').forEach((steps) => { steps.hidden = false; })")
        whole = text(opened, name)
        opened.find_element(By.CSS_SELECTOR, "#link" if name == "link" else f'[data-of="{name}"]').send_keys(Keys.ENTER)
        wait_until(opened, "return document.getElementById('copied').textContent === 'Copied'")
        opened.execute_script("document.getElementById('copied').textContent = ''")
        pasted = paste(opened)
        assert opened.find_elements(By.TAG_NAME, "textarea") == []
        if name == "link":
            assert pasted.endswith(f"#url={quote(URL, safe='')}")
            opened.get("about:blank")
            opened.get(pasted)
            wait_until_ready(opened)
            assert opened.find_element(By.ID, "url").get_property("value") == URL
        else:
            assert pasted == whole.replace("\n", " ")
            assert pasted
    type_url(opened, "http://user:hunter2@h/x", Keys.ENTER)
    assert not shown(opened, "link")
    opened.quit()


@in_others
def test_page_responds_while_computing_sha256(
    open_in: Open, page: Path, recording_server: RecordingServer, downloads: Path, kind: str
) -> None:
    """From plain http, on which the page computes the hash itself. It used to block the browser for all that time."""
    recording_server.files["/boots-from.html"] = page.read_bytes()
    opened = open_in(f"http://{HOST}:{recording_server.port}/boots-from.html")
    wait_until_ready(opened)
    assert opened.execute_script("return crypto.subtle === undefined")
    type_url(opened, URL)
    time.sleep(1.5)
    # The page makes no image while the user types.
    assert opened.execute_script("return performance.getEntriesByName('bake').length") == 0
    opened.execute_script(page_observer.GAPS)
    opened.find_element(By.ID, "url").send_keys(Keys.ENTER)
    wait_for_digest(opened, sha256(boots_from.bake(URL)).hexdigest())
    gaps, (duration,) = opened.execute_script(
        "return [gaps, performance.getEntriesByName('bake').map((entry) => entry.duration)]"
    )
    print(f"{kind}: {duration:.0f} ms, longest task {max(gaps):.0f} ms, {len(gaps)} turns")
    assert len(gaps) > 10
    assert max(gaps) < duration / 3
    opened.quit()


@in_others
def test_static_host_gets_one_request(
    open_in: Open, page: Path, recording_server: RecordingServer, downloads: Path
) -> None:
    """Not even one for an icon, which the policy of the page would block."""
    recording_server.files["/boots-from.html"] = without_policy(page.read_bytes())
    opened = open_in(f"http://{HOST}:{recording_server.port}/boots-from.html")
    wait_until_ready(opened)
    type_url(opened, URL, Keys.ENTER)
    assert saved(downloads) == boots_from.bake(URL)
    time.sleep(0.5)
    opened.quit()
    assert [re.sub("^http://[^/]*", "", request.path) for request in recording_server.requests] == ["/boots-from.html"]


@in_others
def test_copy_saved_by_the_browser_works(open_in: Open, fresh: WebDriver, tmp_path: Path, downloads: Path) -> None:
    """It contains no element twice, and no text that was typed or shown before."""
    count = "return document.querySelectorAll('*').length"
    expected = fresh.execute_script(count)
    type_url(fresh, URL, Keys.ENTER)
    wait_for_digest(fresh, sha256(boots_from.bake(URL)).hexdigest())
    (downloads / "boots-from.iso").unlink()
    copy = tmp_path / "copy.html"
    copy.write_text(fresh.execute_script("return '<!DOCTYPE html>' + document.documentElement.outerHTML"))
    assert fresh.title == "boots-from"
    opened = open_in(copy.as_uri())
    wait_until_ready(opened)
    assert opened.execute_script(count) == expected
    assert not shown(opened, "saved")
    assert text(opened, "verdict") == "Type the URL, or start from an example."
    assert text(opened, "heard") == ""
    type_url(opened, URL, Keys.ENTER)
    assert saved(downloads) == boots_from.bake(URL)
    opened.quit()


NUMBERED = re.compile(r"boots-from ?\(1\)\.iso")


@in_others
def test_second_download_gets_another_name(fresh: WebDriver, downloads: Path, kind: str, tmp_path: Path) -> None:
    """The page says so, and the command that writes the stick refuses the old file."""
    other = "http://boot.example.com/other"
    for url in (other, URL):
        type_url(fresh, url, Keys.ENTER)
        image = boots_from.bake(url)
        wait_for_digest(fresh, sha256(image).hexdigest())
        shown_text = fresh.find_element(By.ID, "saved").text
        assert f"Your browser has received boots-from.iso ({len(image) / 1e6:.1f} MB)." in shown_text
        assert f"It boots from {url}." in shown_text
        assert "boots-from (1).iso" in shown_text
        assert "Saved" not in fresh.find_element(By.TAG_NAME, "body").text
        saved(downloads)
    if kind != FIREFOX:
        # The drivers of these browsers let them overwrite the first file, which may take a while.
        end = time.monotonic() + 60
        while saved(downloads) != boots_from.bake(URL):
            assert time.monotonic() < end
            time.sleep(0.1)
        (downloads / "boots-from.iso").write_bytes(boots_from.bake(other))
        (downloads / "boots-from (1).iso").write_bytes(boots_from.bake(URL))
    else:
        end = time.monotonic() + 60
        while not (named := [file.name for file in downloads.iterdir() if NUMBERED.fullmatch(file.name)]):
            assert time.monotonic() < end
            time.sleep(0.1)
        (second,) = named
        assert saved(downloads, second) == boots_from.bake(URL)
        (downloads / second).rename(downloads / "boots-from (1).iso")
    stick = tmp_path / "stick"
    command = text(fresh, "write-linux").replace("~/Downloads", str(downloads)).replace("/dev/sdX", str(stick))
    # If the stick does not exist, the command does not create it, even if the check passed.
    for name, content, status in (("boots-from.iso", b"old", 1), ("boots-from (1).iso", boots_from.bake(URL), 0)):
        ran = run(command.replace("if=boots-from.iso", f'if="{name}"').replace("  boots-from.iso", f"  {name}"))
        assert ran.returncode != 0
        assert not stick.exists()
        stick.write_bytes(b"old")
        ran = run(command.replace("if=boots-from.iso", f'if="{name}"').replace("  boots-from.iso", f"  {name}"))
        assert ran.returncode == status
        assert ("FAILED" in ran.stdout) == bool(status)
        assert stick.read_bytes() == content
        stick.unlink()


def run(command: str) -> subprocess.CompletedProcess[str]:
    assert "sudo dd" in command
    return subprocess.run(["bash", "-c", command.replace("sudo dd", "dd")], capture_output=True, text=True, check=False)


def test_blocked_download_is_not_reported_as_saved(browser: Any, downloads: Path) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "deny"})
    try:
        type_url(browser, URL, Keys.ENTER)
        wait_for_digest(browser, sha256(boots_from.bake(URL)).hexdigest())
        assert list(downloads.iterdir()) == []
        assert "saved" not in browser.find_element(By.ID, "saved").text.lower()
    finally:
        saving = {"behavior": "allow", "downloadPath": str(downloads)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)


def test_page_shows_the_size_of_the_image(browser: Any) -> None:
    type_url(browser, URL, Keys.ENTER)
    size = len(image.read_template()) / 1e6
    assert f"({size:.1f} MB)" in browser.find_element(By.ID, "saved").text
