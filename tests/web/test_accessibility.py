"""The accessibility of the page: keyboard, screen reader, small screens, touch, paper."""

import base64
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.common.print_page_options import PrintOptions
from selenium.webdriver.remote.webdriver import WebDriver

import boots_from
from boots_from import boot_url
from lab import npm
from lab.browser import CHROMIUM, WEBKIT, Open, wait_until, wait_until_ready
from lab.recording_server import RecordingServer
from tests.unit.url_strategies import ACCEPTED
from tests.web.fields import in_frame, leave_field, text, type_url
from tests.web.test_browsers import ENROLLED, SITUATIONS, UNFINISHED, URL, WRONG

NARROW, WIDE = 360, 1280
OPEN_ALL = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"


def save(browser: WebDriver) -> None:
    type_url(browser, URL, Keys.ENTER)
    digest = sha256(boots_from.bake(URL)).hexdigest()
    wait_until(browser, f"return document.getElementById('sha256').textContent === '{digest}'")


def left(url: str) -> Callable[[Any], None]:
    """Return a function that types a URL and leaves the field."""

    def act(browser: WebDriver) -> None:
        type_url(browser, url)
        leave_field(browser)

    return act


def chosen(*choices: str) -> Callable[[Any], None]:
    """Return a function that saves an image and chooses where to use it."""

    def act(browser: WebDriver) -> None:
        save(browser)
        for choice in choices:
            browser.find_element(By.ID, choice).click()

    return act


def noticed(name: str) -> Callable[[Any], None]:
    """Return a function that shows a notice, as the page does if it cannot work."""
    return lambda browser: browser.execute_script("showNotice(arguments[0])", name)


STATES: dict[str, Callable[[Any], None]] = {
    "opened": lambda _: None,
    "unfinished": left(UNFINISHED),
    "wrong": left(WRONG),
    "warned": left("http://h/?mac="),
    "secret": left("http://user:password@h/x"),
    "unfolded": lambda browser: (left(URL)(browser), browser.execute_script(OPEN_ALL))[0],
    **{f"saved-{name}": chosen(name, *kinds[:1]) for name, kinds in SITUATIONS.items()},
    **{f"saved-bmc-{kind}": chosen("bmc", kind) for kind in SITUATIONS["bmc"]},
    **{f"notice-{name}": noticed(name) for name in ("loading", "blocked", "old", "damaged", "sandbox", "frame")},
}


@contextmanager
def screen(browser: Any, width: int, scheme: str = "light", media: str = "screen") -> Iterator[None]:
    """Emulate a screen of this width in pixels, in a colour scheme, or paper."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def reopened(browser: Any, page: Path) -> Any:
    browser.get("about:blank")
    browser.get(page.as_uri())
    wait_until_ready(browser)
    return browser


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the script of axe-core."""
    return (npm.modules("axe") / "axe-core" / "axe.min.js").read_text()


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_axe_finds_no_violation(browser: Any, page: Path, axe: str, width: int, scheme: str) -> None:
    """In every state of the page: WCAG 2.2, levels A and AA, and the best practices of axe."""
    found = {}
    with screen(browser, width, scheme):
        for name, act in STATES.items():
            act(reopened(browser, page))
            browser.execute_script(axe)
            result = browser.execute_async_script(
                "const done = arguments[0]; axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
                "'best-practice']}).then((result) => done([result.passes.length, result.violations.map((rule) =>"
                "[rule.id, ...rule.nodes.map((node) => node.target + ': ' + node.failureSummary)])]))"
            )
            assert result[0] > 10
            if result[1]:
                found[name] = result[1]
    assert found == {}


@pytest.mark.thorough
def test_axe_finds_low_contrast(browser: Any, page: Path, axe: str) -> None:
    """So axe would find an error in the other tests."""
    reopened(browser, page).execute_script("document.querySelector('header p').style.color = '#ccc'")
    browser.execute_script(axe)
    found = browser.execute_async_script("axe.run().then(({violations}) => arguments[0](violations.map(({id}) => id)))")
    assert found == ["color-contrast"]
    reopened(browser, page)


@pytest.mark.parametrize("state", [name for name in STATES if not name.startswith("notice")])
def test_touch_targets_have_44_pixels(browser: Any, page: Path, state: str) -> None:
    """On a phone."""
    with screen(browser, NARROW):
        STATES[state](reopened(browser, page))
        small = browser.execute_script(
            "return Array.from(document.querySelectorAll('button, summary, label:has(input), input[type=text]'))"
            ".filter((target) => target.checkVisibility() && target.getBoundingClientRect().height < 44)"
            ".map((target) => target.textContent)"
        )
        assert small == []


@pytest.mark.parametrize("width", [NARROW, 768, WIDE, 1920])
def test_page_fits_every_width(browser: Any, page: Path, width: int) -> None:
    """And nothing moves while the user types."""
    over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    below = "return document.querySelector('.examples').getBoundingClientRect().top"
    with screen(browser, width):
        chosen("linux")(reopened(browser, page))
        browser.execute_script(OPEN_ALL)
        assert browser.execute_script(over) <= 0
        type_url(browser, "https://boot.example.com/" + "long/" * 30)
        assert browser.execute_script(over) <= 0
        reopened(browser, page)
        top = browser.execute_script(below)
        for url in ("http://h/", "http://", "http://h:0/"):
            left(url)(browser)
            assert width == NARROW or browser.execute_script(below) == top


@pytest.mark.thorough(but=(CHROMIUM,))
def test_hash_has_rows_of_16_bytes_on_a_phone(open_in: Open, page: Path, recording_server: RecordingServer) -> None:
    """As MokManager shows it. A frame emulates the phone, because no Firefox window is so narrow."""
    opened = in_frame(open_in, recording_server, page.read_bytes())
    opened.execute_script("document.querySelector('iframe').width = arguments[0]", NARROW)
    opened.switch_to.frame(0)
    wait_until_ready(opened)
    check_rows(opened)
    opened.quit()


def check_rows(browser: WebDriver) -> None:
    browser.execute_script(OPEN_ALL)
    for name in ENROLLED:
        rows, wide, room, lines = browser.execute_script(
            "const code = document.getElementById(arguments[0]); const range = document.createRange();"
            "range.selectNodeContents(code);"
            "const lines = Array.from(range.getClientRects()).filter((line) => line.width > 0);"
            "return [code.textContent, Math.max(...lines.map((line) => line.right)), innerWidth,"
            "new Set(lines.map((line) => Math.round(line.top))).size]",
            name,
        )
        assert re.fullmatch(r"[0-9A-F ]{47}\n[0-9A-F ]{47}", rows)
        assert wide <= room
        assert lines == 2


def test_keyboard_reaches_everything_in_order(browser: Any, page: Path) -> None:
    """Everything has a name, and heading levels are not skipped."""
    chosen("linux")(reopened(browser, page))
    browser.execute_script(OPEN_ALL)
    browser.find_element(By.ID, "url").click()
    reached = []
    for _ in range(29):
        active = browser.switch_to.active_element
        reached.append((active.aria_role, active.accessible_name))
        active.send_keys(Keys.TAB)
    names = [name for _, name in reached]
    assert names[:2] == ["URL to boot from", "Save boots-from.iso"]
    assert names[2:5] == [
        "http://boot.example.com/boot",
        "https://boot.example.com/boot?mac=${net0/mac}",
        "tftp://boot.example.com/boot.ipxe",
    ]
    assert names[5:10] == [
        "Copy the SHA-256",
        "Linux",
        "Copy the command that lists disks",
        "Copy the command that writes",
        "Copy a link to this page with this URL",
    ]
    assert names[10:] == [
        *("Secure Boot: hashes to compare", *(f"Copy the hash of {name}" for name in ENROLLED)),
        *("The iPXE script in the image", "The script", "Copy the script"),
        *("Which URLs iPXE boots from", *(row.example for row in boot_url.SCHEMES if row.boot)),
        "What else is in the image",
    ]
    levels = [int(heading.tag_name[1]) for heading in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_suggestion_button_fills_the_field(browser: Any, page: Path, by: str) -> None:
    field, take = reopened(browser, page).find_element(By.ID, "url"), browser.find_element(By.ID, "take")
    type_url(browser, "htpp://user:hunter2@h/x")
    wait_until(browser, "return document.getElementById('take').checkVisibility()")
    assert take.text == "Use http://h/x"
    if by == "click":
        take.click()
    else:
        field.send_keys(Keys.TAB)
        assert browser.switch_to.active_element == browser.find_element(By.ID, "bake")
        browser.switch_to.active_element.send_keys(Keys.TAB)
        assert browser.switch_to.active_element == take
        take.send_keys(Keys.ENTER)
    assert field.get_property("value") == "http://user:hunter2@h/x"
    assert browser.switch_to.active_element == field
    assert not take.is_displayed()
    assert text(browser, "verdict").startswith("Ready: the machine will load http://h/x over HTTP.")
    type_url(browser, "http://h:0/")
    leave_field(browser)
    assert not take.is_displayed()


def pages(paper: bytes) -> int:
    """Return the number of pages of a PDF, whose objects may be compressed."""
    packed = re.findall(rb"stream\r?\n(.*?)endstream", paper, re.DOTALL)
    unpacked = [zlib.decompressobj().decompress(part) for part in packed if part[:1] == b"x"]
    return len(re.findall(rb"/Type\s*/Page\b", b"\n".join([paper, *unpacked])))


@pytest.mark.thorough(but=(CHROMIUM,))
def test_printed_page_has_steps_and_hashes(fresh: Any, downloads: Path, kind: str) -> None:
    """On two pages, without the buttons. It used to be seven."""
    if kind == WEBKIT:
        return  # the WebKit driver cannot print
    chosen("linux")(fresh)
    fresh.execute_script("document.querySelector('details').open = true")
    paper = base64.b64decode(fresh.print_page(PrintOptions()))
    assert 1 <= pages(paper) <= 2
    if kind == CHROMIUM:
        with screen(fresh, WIDE, media="print"):
            found = "Array.from(document.querySelectorAll(arguments[0]))"
            shown = f"return {found}.filter((found) => found.checkVisibility()).length"
            assert fresh.execute_script(shown, "button, input, #notices, #copied") == 0
            selectors = ("#saved", "#sha256", "#write-linux", ".saved-url", ".rows")
            assert fresh.execute_script(shown, ", ".join(selectors)) == 4 + len(ENROLLED)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=ACCEPTED)
def test_typing_generated_url_shows_no_error(browser: Any, url: str) -> None:
    """The page knows that each beginning of a good URL can become right."""
    early = browser.execute_script(
        """
        const [url] = arguments;
        return Array.from(url, (_, end) => url.slice(0, end + 1)).filter((start) => {
          if (canBecomeRight(start)) return false;
          try { rules.parse(start); return false; } catch { return true; }
        });
        """,
        url,
    )
    assert early == []


WRITTEN = [row.example for row in boot_url.SCHEMES if row.boot] + [
    "http://user:pass:word@boot.example.com/x", "http://[2001:db8::1]:8080/boot", "http://[2001:db8::c000:201]/x",
    "http://192.0.2.1/x", "http://h/${net${i}/mac}", "${filename}", "${net0/root-path}", "http://${next-server}/x",
    "iscsi:[2001:db8::1]::3260:1-0-0-0:iqn.2004-01.example:disk", "http://[fe80::1%net0]/x", "nfs://h/a/b%20c",
    "ISCSI:h::3260:1:iqn.2004-01.example:disk", "HTTP://u:p@H:65535/x", "http://u:p@[2001:db8:1:2:3:4:5:6]:65535/x",
    "http://u:p@1.2.3.4/x", "http://h/${net0/${a${b}}}/x",
]  # fmt: skip


@pytest.mark.parametrize("url", WRITTEN)
def test_typing_url_shows_no_error(browser: Any, url: str) -> None:
    test_typing_generated_url_shows_no_error.hypothesis.inner_test(browser, url)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "htp",
        "h t",
        "http:/x",
        "http://h:0/",
        "http://h</",
        "ftp:",
        "aoe:x",
        "C:\\",
        "http://1.2.3.256/",
        "tftp://u@h/d/",
    ],
)
def test_hopeless_url_is_recognised_while_typing(browser: Any, url: str) -> None:
    assert not browser.execute_script("return canBecomeRight(arguments[0])", url)


def test_right_url_stays_right_while_typed(browser: Any) -> None:
    assert browser.execute_script("return canBecomeRight('http://h/x')")
