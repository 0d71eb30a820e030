"""The page in Chromium, Firefox and WebKitGTK: it loads, listens while one types, saves, copies and takes links."""

import re
import subprocess
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

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
# One that the page finds wrong as soon as the typing pauses, and one that may still become right.
WRONG, UNFINISHED = "htpp://boot.example.com/x", "http://"


def digest_shown(browser: WebDriver, digest: str) -> None:
    wait_until(browser, f"return document.getElementById('sha256').textContent === '{digest}'")


def test_opens_types_and_saves(fresh: WebDriver, downloads: Path) -> None:
    """What the command writes, of a URL pasted with spaces around it; and its SHA-256."""
    type_url(fresh, f"  {URL} ", Keys.ENTER)
    wanted = boots_from.bake(URL)
    assert saved(downloads) == wanted
    digest_shown(fresh, sha256(wanted).hexdigest())
    assert text(fresh, "verdict") == f"Ready: the machine will load {URL} over HTTP."
    leave_field(fresh)
    assert text(fresh, "heard") == "boots-from.iso was handed to your browser. What to do with it is below."


def test_link_fills_the_field_until_it_is_edited(fresh: WebDriver, page: Path, downloads: Path) -> None:
    """And then the address does not name another URL than the field."""
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
def test_reading_the_page_is_no_slower_than_unpacking_it(
    open_in: Open, page: Path, recording_server: RecordingServer, kind: str, place: str
) -> None:
    """In a browser that has just started WebKit took 10 s, 14 times that, for a template in the text of an element."""
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
def test_screen_reader_hears_once_that_the_url_is_right(fresh: WebDriver, pause: float) -> None:
    """27 updates for 13 characters, and eight times "invalid", before; also of who types a key in 0.8 s."""
    fresh.execute_script(page_observer.HEARD)
    field = fresh.find_element(By.ID, "url")
    for key in "http://h/boot":
        field.send_keys(key)
        time.sleep(pause)
    wait_until(fresh, "return heard.length > 0")
    time.sleep(1)
    assert fresh.execute_script("return heard") == ["Ready to save."]


@in_others
def test_wrong_url_is_said_in_a_pause(fresh: WebDriver) -> None:
    fresh.execute_script(page_observer.HEARD)
    type_url(fresh, WRONG)
    said = 'unknown scheme "htpp" at character 1 of the URL: did you mean http://boot.example.com/x?'
    wait_until(fresh, "return heard.includes('invalid')")
    assert fresh.execute_script("return heard.filter((text) => text !== 'invalid')") == [said]
    assert text(fresh, "verdict") == said


@in_others
def test_unfinished_url_is_said_when_the_field_is_left(fresh: WebDriver) -> None:
    fresh.execute_script(page_observer.HEARD)
    type_url(fresh, UNFINISHED)
    time.sleep(1)
    assert fresh.execute_script("return heard") == []
    leave_field(fresh)
    wait_until(fresh, "return heard.includes('invalid')")
    assert text(fresh, "verdict").startswith("no HOST")


@in_others
@pytest.mark.parametrize("by", ["Enter", "click"])
def test_button_says_what_is_missing(fresh: WebDriver, downloads: Path, by: str) -> None:
    for url, said in (("", messages.EMPTY.text()), (UNFINISHED, "no HOST")):
        type_url(fresh, url, Keys.ENTER if by == "Enter" else "")
        if by == "click":
            fresh.find_element(By.ID, "bake").click()
        assert text(fresh, "verdict").startswith(said)
        assert fresh.switch_to.active_element == fresh.find_element(By.ID, "url")
    assert list(downloads.iterdir()) == []


@in_others
def test_warning_does_not_talk_of_a_shell(fresh: WebDriver) -> None:
    type_url(fresh, "http://h/?mac=")
    leave_field(fresh)
    warning = "Warning: nothing after = at character 14 of the URL: write a value, or a setting such as ${net0/mac}."
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
def test_steps_are_those_of_the_situation(fresh: WebDriver, downloads: Path) -> None:
    """Below the button, after saving; as long as the field holds the saved URL."""
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
    """Return of what a button copies, where it can be pressed."""
    found = browser.execute_script(
        "return Array.from(document.querySelectorAll('[data-of]:enabled'), (button) => button.dataset.of)"
    )
    return set(found)


def paste(browser: WebDriver) -> str:
    """Return what a person would paste, in a field of one line."""
    field = browser.find_element(By.ID, "url")
    field.clear()
    field.send_keys(Keys.CONTROL, "v")
    return str(field.get_property("value"))


@pytest.mark.thorough(but=("chromium-disk",))
@pytest.mark.parametrize("place", ["disk", "plain-http"])
def test_button_copies_what_is_there_and_nothing_else(
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
        digest_shown(opened, sha256(boots_from.bake(URL)).hexdigest())
        assert enabled(opened) == {*COMMANDS, *ENROLLED, "script"}
        # Where it stands, all are shown.
        opened.execute_script("document.querySelectorAll('[data-for]').forEach((steps) => { steps.hidden = false; })")
        whole = text(opened, name)
        opened.find_element(By.CSS_SELECTOR, "#link" if name == "link" else f'[data-of="{name}"]').send_keys(Keys.ENTER)
        wait_until(opened, "return document.getElementById('copied').textContent === 'Copied'")
        opened.execute_script("document.getElementById('copied').textContent = ''")
        pasted = paste(opened)
        if name == "link":
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
def test_page_stays_awake_while_its_own_sha256_is_computed(
    open_in: Open, page: Path, recording_server: RecordingServer, downloads: Path, kind: str
) -> None:
    """From plain http. It stood still for all of that time; now for no twentieth of it, but for what else runs here."""
    recording_server.files["/boots-from.html"] = page.read_bytes()
    opened = open_in(f"http://{HOST}:{recording_server.port}/boots-from.html")
    wait_until_ready(opened)
    assert opened.execute_script("return crypto.subtle === undefined")
    type_url(opened, URL)
    time.sleep(1.5)
    # Nothing is baked while one types.
    assert opened.execute_script("return performance.getEntriesByName('bake').length") == 0
    opened.execute_script(page_observer.GAPS)
    opened.find_element(By.ID, "url").send_keys(Keys.ENTER)
    digest_shown(opened, sha256(boots_from.bake(URL)).hexdigest())
    gaps, (duration,) = opened.execute_script(
        "return [gaps, performance.getEntriesByName('bake').map((entry) => entry.duration)]"
    )
    print(f"{kind}: {duration:.0f} ms, longest task {max(gaps):.0f} ms, {len(gaps)} turns")
    assert len(gaps) > 10
    assert max(gaps) < duration / 3
    opened.quit()


@in_others
def test_any_static_host_serves_it_by_one_request(
    open_in: Open, page: Path, recording_server: RecordingServer, downloads: Path
) -> None:
    """Not even for an icon, which the page's policy would stop."""
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
    """And holds nothing twice, and nothing that was typed or said before."""
    count = "return document.querySelectorAll('*').length"
    wanted = fresh.execute_script(count)
    type_url(fresh, URL, Keys.ENTER)
    digest_shown(fresh, sha256(boots_from.bake(URL)).hexdigest())
    (downloads / "boots-from.iso").unlink()
    copy = tmp_path / "copy.html"
    copy.write_text(fresh.execute_script("return '<!DOCTYPE html>' + document.documentElement.outerHTML"))
    assert fresh.title == "boots-from"
    opened = open_in(copy.as_uri())
    wait_until_ready(opened)
    assert opened.execute_script(count) == wanted
    assert not shown(opened, "saved")
    assert text(opened, "verdict") == "Type the URL, or start from an example."
    assert text(opened, "heard") == ""
    type_url(opened, URL, Keys.ENTER)
    assert saved(downloads) == boots_from.bake(URL)
    opened.quit()


NUMBERED = re.compile(r"boots-from ?\(1\)\.iso")


@in_others
def test_page_says_of_a_file_what_it_knows(fresh: WebDriver, downloads: Path, kind: str, tmp_path: Path) -> None:
    """A second one gets another name; the command that writes it to a stick refuses the first."""
    other = "http://boot.example.com/other"
    for url in (other, URL):
        type_url(fresh, url, Keys.ENTER)
        digest_shown(fresh, sha256(boots_from.bake(url)).hexdigest())
        said = fresh.find_element(By.ID, "saved").text
        assert f"was handed to your browser. It boots from {url}." in said
        assert "boots-from (1).iso" in said
        assert "Saved" not in fresh.find_element(By.TAG_NAME, "body").text
        saved(downloads)
    if kind != FIREFOX:
        # What drives them lets them write over the first; that may take a while.
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
    # Without a stick of that name none is made, the check passed or not.
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


def test_blocked_download_is_not_called_saved(browser: Any, downloads: Path) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "deny"})
    try:
        type_url(browser, URL, Keys.ENTER)
        digest_shown(browser, sha256(boots_from.bake(URL)).hexdigest())
        assert list(downloads.iterdir()) == []
        assert "saved" not in browser.find_element(By.ID, "saved").text.lower()
    finally:
        saving = {"behavior": "allow", "downloadPath": str(downloads)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)


def test_files_of_this_size_are_what_the_page_says(browser: Any) -> None:
    type_url(browser, URL, Keys.ENTER)
    size = len(image.read_template()) / 1e6
    assert f"({size:.1f} MB)" in browser.find_element(By.ID, "saved").text
