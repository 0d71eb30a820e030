"""The page in a real browser: it agrees with the command, and sends nothing to anyone."""

import json
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

import boots_from
from boots_from import boot_script, boot_url, cli, image, messages
from boots_from.errors import UrlError
from lab import boot_matrix, machine
from lab.browser import Open, wait_until, wait_until_ready
from lab.firmware import BIOS, UEFI
from lab.media import SCSI_CD
from lab.recording_server import RecordingServer
from tests.pinned_packages import pinned_only
from tests.unit.test_boot_url import HOSTILE, PASSED_THROUGH, REFUSED, WARNED
from tests.unit.url_strategies import ACCEPTED
from tests.web.fields import leave_field, saved, text, type_url
from web import build_page as web_page
from web import rules

# Characters with a meaning somewhere in a URL, and characters that no URL may have.
_ODD = st.one_of(
    st.sampled_from(":/@?#[]%. ${}0a9-=&(<\t\x7f\u201cé日ß\U0001f600"),
    st.sampled_from(["//", "::", "ftp:", "iqn.", "mac", "127.0.0.1", "localhost"]),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return a good URL in which some characters were replaced, removed or added."""
    url: str = draw(ACCEPTED)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(url)))
        url = url[:at] + draw(st.one_of(st.just(""), _ODD)) + url[at + draw(st.integers(0, 2)) :]
    return url


URLS = st.one_of(
    ACCEPTED, damaged(), damaged(), HOSTILE.map(lambda case: case[0]), st.text("htps:/.[]@0a:e", max_size=12)
)
# The URLs of the tests of the command, except those that JSON cannot hold, and more.
WRITTEN = (
    *(url for url in (*REFUSED, *WARNED, *PASSED_THROUGH) if not re.search("[\ud800-\udfff]", url)),
    "", " http://h/", "http://h/ ", "http://h/a b", "h/x", "h:80/x", "user:pw@h/x", "//h/x", "http:/h/x", "http:h", "htp://h/",
    "ftp://h/x", "fcp:1:2", "http://", "http://h:0/", "http://h:65536/", "http://h:/", "http://a:b:c/", "http://[::1/",
    "http://[::1]/", "http://[1:2:3:4:5:6:7:8:9]/", "http://[::ffff:1.2.3.4]/", "http://[::1.2.3.256]/", "http://[fe80::1%net0]/x",
    "http://[${ip6}]/x", "http://300.1.1.1/", "http://1.2.3.4/", "http://h_x/", "http://h<x/", "http://us@er:p@h/x",
    "http://bücher.example/x", "http://straße.example/x", "http://h/ü", "http://h/\U0001f600", "tftp://h", "tftp://h/", "tftp://h/d/",
    "nfs://h:1/x", "nfs://h/x?y", "nfs://h", "HTTP://H/X", "http://h/x#top", "http://${next-server}/x", "iscsi:h", "iscsi://h",
    "iscsi:h:::1:iqn.2004-01.example:x", "iscsi:h:7::1:iqn.2004-01.example:x", "iscsi:h::99999:1:iqn.2004-01.x",
    "iscsi:h:::zz:iqn.2004-01.x:y", "iscsi:h:::1:", "iscsi:h:::1:disk", "iscsi::::1:iqn.2004-01.x:y",
    "iscsi:[::1]:::1:eui.0123456789abcdef", "http://é0.0.0.0/x", "http://É.EXAMPLE/x", "http://é../x", "http://%é/x",
    "aoe:e0.1", "aoe:e65535.1", "aoe:x", "aoe:${slot}", "ib_srp::::",
    "ib_srp::::" + "0" * 32 + "::" + "0" * 16 + "::" + "0" * 16 + ":" + "0" * 16,
    "ib_srp:1::::::::", "http://h/" + "x" * 9000, "http://h/${net${i}/mac}?a=1&b='2'\"\\|<>",
    "htpp://h/x", "HTTTP://u:p@h/x", "sftp://h/x", "icsi:x", "/srv/x", "C:\\x", "~/x", "file:///x", "help",
    "${filename}", "${root-path}", "${net0/root-path}", "${next-server}/x", "${next-server", "\u201chttp://h/x\u201d",
    "<http://h/x>", "'http://h/x'", "http://h/x\u201d", "http://u:p#x@h/", "http://u:\u0434\u0430@h/x",
    "http://u:p@x/y@h/", "http://h/x@y", "http://u:80/x@h/", "iscsi:u:p@h:::1:x", "http://localhost/x",
    "http://127.1.2.3:80/x", "http://0.0.0.0:8000/", "http://[::1]/x", "http://[::]/", "http://010.1.2.3/",
    "http://h:080/", "tftp://h/d/", "tftp://u:p@h/x?y", "iscsi:host::::iqn.target", "iscsi:h:tcp::00001:x",
    "http://h/?mac=", "http://h/?mac=&x=", "http://h/$mac", "http://h/{mac}", "http://h/$(x)", "http://h/${mac",
    "http://{h}/", "http://${h/x",
    "tftp://h/" + "x" * 9000,
    "tftp://h/" + "x" * 9001, "http://h/?mirror=http://[fd00::1]/x", "ISCSI:[fd00::1]:::1:iqn.2004-01.x:y",
    "http://h/@URL@", "tftp://1.2.3.4/d/x.0?y", "tftp://h/a?b@c", "tftp://h/a@b", "tftp://h/a@b/",
    "http://h/" + "x" * 150,
    "aoe:", "aoe:e65534.254", "aoe:e65535.0", "aoe:e0.255", "aoe:e000000.000", "aoe:e${shelf}.1", "aoe:/e0.1",
    "aoe:e" + "1" * 5000 + ".1", "http://1.2.3." + "9" * 5000 + "/", "http://0255.1.1.1/", "http://1.2.3.256/",
    "http://[fe80::1%]/", "http://[${ip6}%a<b]/", "http://[fe80::1%${net}]/", "iscsi:[::1:::1:x", "iscsi:h::",
    "iscsi:h:::${lun}:x",
    "iscsi:h:::1-0-0-0-0:x", "iscsi:h:::1-00000:x", "iscsi:h::65535:0-1-0-0:naa.0123456789abcdef0123456789abcdef",
    "ib_srp:", "ib_srp:" + ":".join(["0" * 32, "", "", "0" * 32, "f", "0" * 16, "0-1", "0" * 16, "0" * 16]),
    "ib_srp::::" + "0" * 32 + ":10000", "ib_srp::::${dgid}::${service}::${targetext}:${ioc}", "ib_srp::::" + "g" * 32,
    "ib_srp::::" + "0" * 32 + "::" + "0" * 16 + "::" + "0" * 16 + ":" + "0" * 16 + ":",
)  # fmt: skip


def expected(url: str) -> list[object]:
    """Return the result of the command for a URL."""
    try:
        parsed = boot_url.parse(url)
        script = image.script_for(parsed)
    except UrlError as error:
        return ["refused", str(error), error.suggestion]
    shown = boot_script.redact(parsed).decode()
    digest = sha256(boots_from.bake(url)).hexdigest()
    # The page has no shell that may have replaced a setting.
    shell, none = (
        message.remedy.format(**messages.EXAMPLES) for message in (messages.NOTHING_AFTER, rules.NOTHING_AFTER)
    )
    warnings = [warning.replace(shell, none) for warning in parsed.warnings]
    return ["accepted", parsed.public, warnings, script.decode(), shown, digest]


def answer(browser: Chrome, url: str) -> object:
    """Return the result of the page for a URL, with the SHA-256 of the image that it would save."""
    return browser.execute_async_script(
        """
        const [url, done] = arguments;
        try {
          const parsed = rules.parse(url);
          const script = rules.render(parsed);
          const shown = rules.redact(parsed);
          sha256(bake(parsed)).then(
            (digest) => done(["accepted", parsed.public, parsed.warnings, script, shown, digest]),
            (error) => done(String(error)),
          );
        } catch (error) {
          done(error instanceof UrlError ? ["refused", error.message, error.suggestion] : String(error));
        }
        """,
        url,
    )


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=URLS)
def test_page_agrees_with_command_on_generated_urls(browser: Chrome, url: str) -> None:
    assert answer(browser, url) == expected(url)


@pytest.mark.parametrize("url", dict.fromkeys(WRITTEN), ids=lambda url: repr(url[:30]))
def test_page_agrees_with_command(browser: Chrome, url: str) -> None:
    assert answer(browser, url) == expected(url)


VERDICTS = {
    "http://h/x": ("good", "Ready: the machine will load http://h/x over HTTP."),
    "https://h/x": ("good", "Ready: the machine will load https://h/x over HTTP over TLS 1.2."),
    "aoe:e0.1": ("good", "Ready: the machine will boot aoe:e0.1 over ATA over Ethernet."),
    "${filename}": ("good", "Ready: the machine will load the file that ${filename} names."),
    "${root-path}": ("good", "Ready: the machine will boot the disk that ${root-path} names."),
    "http://h/#x": ("warned", "Ready: the machine will load http://h/#x over HTTP.\nWarning: "),
    "http://h/".ljust(9000, "x"): ("bad", "the URL is 9000 bytes long, "),
}


@pytest.mark.parametrize("url", VERDICTS, ids=lambda url: repr(url[:30]))
def test_verdict_says_what_machine_will_do(browser: Chrome, url: str) -> None:
    browser.execute_script("enter(arguments[0])", url)
    kind, start = VERDICTS[url]
    assert browser.find_element(By.ID, "verdict").get_attribute("className") == kind
    assert text(browser, "verdict").startswith(start)


def right_after(browser: Chrome, url: str, how: str) -> dict[str, object]:
    """Enter a URL; return what the page shows at once, before a pause in the typing.

    Args:
        browser: shows the page.
        url: the text for the field.
        how: the input type of the event, from the Input Events specification, such as "insertText".
    """
    return dict(
        browser.execute_script(
            """
            const field = document.getElementById("url");
            field.value = arguments[0];
            field.dispatchEvent(new InputEvent("input", { inputType: arguments[1] }));
            const at = (id) => document.getElementById(id);
            return {
              verdict: at("verdict").textContent,
              kind: at("verdict").className,
              invalid: field.getAttribute("aria-invalid"),
              suggested: !at("take").hidden,
            };
            """,
            url,
            how,
        )
    )


def test_typing_shows_ready_at_once_and_faults_after_pause(browser: Chrome) -> None:
    at_once = right_after(browser, "http://h/#x", "insertText")
    ready = "Ready: the machine will load http://h/#x over HTTP."
    assert at_once == {"verdict": ready, "kind": "good", "invalid": None, "suggested": False}
    at_once = right_after(browser, "htpp://h/x", "insertText")
    assert (at_once["verdict"], at_once["kind"], at_once["suggested"]) == ("", "bad", False)
    wait_until(browser, "return document.getElementById('verdict').textContent")
    pasted = right_after(browser, "htpp://h/x", "insertFromPaste")
    assert (pasted["kind"], pasted["invalid"], pasted["suggested"]) == ("bad", "true", True)
    assert text(browser, "verdict")
    for how in ("insertFromPaste", "insertFromDrop"):
        right_after(browser, "", how)
        finished = right_after(browser, "http://h/#x", how)
        assert (finished["kind"], finished["invalid"]) == ("warned", None)
        assert str(finished["verdict"]).startswith(f"{ready}\nWarning: ")
        assert text(browser, "heard").startswith("Ready to save. Warning: ")
    empty = right_after(browser, "", "deleteContentBackward")
    assert (empty["verdict"], empty["kind"]) == ("Type the URL, or start from an example.", "quiet")
    assert text(browser, "heard") == ""


def test_saved_image_boots(browser: Chrome, downloads: Path, recording_server: RecordingServer, tmp_path: Path) -> None:
    """On BIOS and UEFI."""
    type_url(browser, f"http://{machine.HOST}:{recording_server.port}/saved", Keys.ENTER)
    saved(downloads)
    image_file = downloads / "boots-from.iso"
    for firmware in (BIOS, UEFI):
        recording_server.requests.clear()
        media = SCSI_CD.arguments(image_file)
        boot_matrix.boot(firmware, media, recording_server, "/saved", tmp_path, f"{firmware.name}-saved-by-the-page")


def test_enter_key_saves_unless_it_ends_a_composition(browser: Chrome) -> None:
    """In an input method Enter only accepts the text (UI Events, isComposing)."""
    handled = browser.execute_script(
        """
        enter("http://h/composed");
        const field = document.getElementById("url"), saved = document.getElementById("saved");
        const handled = [];
        for (const isComposing of [true, false]) {
          const event = new KeyboardEvent("keydown", { key: "Enter", cancelable: true, isComposing });
          handled.push([!field.dispatchEvent(event), !saved.hidden]);
        }
        return handled;
        """
    )
    assert handled == [[False, False], [True, True]]


def test_example_replaces_url_of_link(browser: Chrome) -> None:
    browser.execute_script("location.hash = '#url=http://h/linked'")
    wait_until(browser, "return document.getElementById('url').value === 'http://h/linked'")
    browser.execute_script("document.querySelector('.example').click()")
    assert browser.execute_script("return [location.hash, document.getElementById('url').value]") == [
        "",
        browser.execute_script("return document.querySelector('.example').textContent"),
    ]


def test_hash_is_that_of_the_last_image(browser: Chrome) -> None:
    """Between two saves there is no hash, also not that of an image saved just before."""
    first, second = "http://h/first", "http://h/second"
    type_url(browser, first, Keys.ENTER)
    wait_until(browser, "return document.getElementById('sha256').textContent.length === 64")
    shown = browser.execute_async_script(
        """
        const [urls, done] = arguments;
        const digest = document.getElementById("sha256");
        const shown = [];
        for (const url of urls) { enter(url); save(); shown.push(digest.textContent); }
        new MutationObserver(() => {
          if (digest.textContent) done([...shown, digest.textContent]);
        }).observe(digest, { childList: true });
        """,
        [first, second],
    )
    assert shown == ["", "", sha256(boots_from.bake(second)).hexdigest()]


def all_text(browser: Chrome) -> str:
    """Return all text on the page: visible, folded, or only for screen readers."""
    script = "return document.querySelector('main').textContent + document.getElementById('heard').textContent"
    return str(browser.execute_script(script))


@pytest.mark.parametrize("url", ["http://user:hunter2@h/x", "http://user:hunter2@h/x?${", "tftp://user:hunter2@h/x"])
def test_password_is_never_shown(browser: Chrome, url: str) -> None:
    type_url(browser, url, Keys.ENTER)
    digest = sha256(boots_from.bake(url)).hexdigest()
    wait_until(browser, f"return document.getElementById('sha256').textContent === '{digest}'")
    note = "The image holds the user name and password of the URL. Keep the file private."
    assert text(browser, "verdict").endswith(note)
    assert "hunter2" not in all_text(browser)


@pytest.mark.parametrize(
    "url",
    ["http://user:hunter2@h/x y", "http://user:hunter2#x@h/", "htpp://user:hunter2@h/", "http://user:80/hunter2@h/",
     "http://user:hun@ter2@h/"],
)  # fmt: skip
def test_password_of_bad_url_is_never_shown(browser: Chrome, url: str) -> None:
    type_url(browser, url)
    leave_field(browser)
    assert text(browser, "verdict")
    assert "ter2" not in all_text(browser)


def test_script_is_shown(browser: Chrome) -> None:
    type_url(browser, "http://user:hunter2@h/x")
    expected_script = boot_script.redact(boot_url.parse("http://user:hunter2@h/x")).decode()
    lines = [line for line in expected_script.splitlines() if line and not line.startswith("# ")]
    no_script = "return document.getElementById('no-script').hidden"
    assert text(browser, "script") == "\n".join(lines)
    assert browser.execute_script(no_script)
    type_url(browser, "http:/x")
    assert text(browser, "script") == ""
    assert not browser.execute_script(no_script)


def log(browser: Any, kind: str) -> list[dict[str, Any]]:
    """Return the log entries of the browser since the last call."""
    entries: list[dict[str, Any]] = browser.get_log(kind)
    return entries


def test_page_sends_no_request(browser: Chrome, page: Path) -> None:
    """The browser loads only the file, and the policy of the page had to block nothing."""
    requests = []
    for entry in log(browser, "performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            requests.append(event["params"]["request"]["url"])
    assert [url for url in requests if not url.startswith(("file:///", "blob:", "data:"))] == []
    assert log(browser, "browser") == []


# Every way in which a page can send a request for `url` without navigating away.
WAYS = {
    "fetch": "fetch(url, {mode: 'no-cors'}).catch(() => {})",
    "XMLHttpRequest": "const asked = new XMLHttpRequest(); asked.open('GET', url); asked.send()",
    "EventSource": "new EventSource(url)",
    "image": "new Image().src = url",
    "script": "document.head.append(Object.assign(document.createElement('script'), {src: url}))",
    "style": "document.head.append(Object.assign(document.createElement('link'), {rel: 'stylesheet', href: url}))",
    "frame": "document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
    "object": "document.body.append(Object.assign(document.createElement('object'), {data: url}))",
    "audio": "new Audio(url).load()",
    "background": "document.body.style.backgroundImage = `url(${url})`",
    "form": "document.body.append(Object.assign(document.createElement('iframe'), {name: 'answer'}));"
    "const form = Object.assign(document.createElement('form'), {action: url, target: 'answer'});"
    "document.body.append(form); form.submit()",
}


def ways_that_reach(opened: Chrome, server: RecordingServer, seconds: float) -> set[str]:
    """Try every way; return the ways whose request the server saw."""
    server.requests.clear()
    for number, way in enumerate(WAYS.values()):
        code = f"const url = 'http://127.0.0.1:{server.port}/way{number}'; try {{ {way} }} catch (error) {{}}"
        opened.execute_script(code)
    end = time.monotonic() + seconds
    while len({request.path for request in server.requests}) < len(WAYS) and time.monotonic() < end:
        time.sleep(0.1)
    seen = {request.path.partition("?")[0] for request in server.requests}
    return {name for number, name in enumerate(WAYS) if f"/way{number}" in seen}


def test_policy_blocks_every_request(
    open_page: Open, page: Path, recording_server: RecordingServer, tmp_path: Path
) -> None:
    """The recording server sees none of the ways; without the policy it sees all of them."""
    opened = open_page(page.as_uri())
    wait_until_ready(opened)
    assert ways_that_reach(opened, recording_server, 4) == set()
    opened.quit()
    bare = tmp_path / "bare.html"
    content, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    assert count == 1
    bare.write_text(content)
    opened = open_page(bare.as_uri())
    wait_until_ready(opened)
    assert ways_that_reach(opened, recording_server, 90) == set(WAYS)
    opened.quit()


FRAGMENTS = {
    "http://boot.example.com/boot": "http://boot.example.com/boot",
    "http://h/a%20b?mac=${net0/mac}&x=1#y": "http://h/a%20b?mac=${net0/mac}&x=1#y",
    "http%3A%2F%2Fh%2Fa%2520b%3Fm%3D%24%7Bmac%7D": "http://h/a%20b?m=${mac}",
    "%24%7Bfilename%7D": "${filename}",
    "%24%7bfilename%7d": "${filename}",
    "http%3a//h/x": "http://h/x",
    "http%3A%2F%2Fh/%zz": "http%3A%2F%2Fh/%zz",
    "<img src=x onerror=alert(1)>": "%3Cimg%20src=x%20onerror=alert(1)%3E",
    "javascript:alert(1)": "javascript:alert(1)",
    "x" * 20000: "x" * 20000,
}


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda text: text[:30])
def test_link_only_fills_the_field(browser: Chrome, page: Path, downloads: Path, fragment: str) -> None:
    log(browser, "browser")
    for load in (f"location.hash = {json.dumps('#url=' + fragment)}", "location.reload()"):
        type_url(browser, "")
        browser.execute_script(load)
        wait_until_ready(browser)
        wait_until(browser, "return document.getElementById('url').value !== ''")
        assert browser.find_element(By.ID, "url").get_attribute("value") == FRAGMENTS[fragment]
        assert browser.find_elements(By.CSS_SELECTOR, "img, iframe") == []
        assert log(browser, "browser") == []
        assert browser.title == "boots-from"
    time.sleep(0.5)
    assert list(downloads.iterdir()) == []
    browser.execute_script("history.replaceState(null, '', location.href.split('#')[0])")


def test_custom_output_name_is_in_every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "OUTPUT", "fork.img")
    content = web_page.make(image.read_template()).decode()
    assert "boots-from.iso" not in content
    assert "sudo dd if=fork.img of=/dev/sdX" in content
    assert "fork (1).img" in content


def test_sha256_script_agrees_with_hashlib(browser: Chrome) -> None:
    for length in (0, 1, 55, 56, 63, 64, 65, 1000, 2**16 - 1, 2**16, 2**16 + 1, 150_000):
        content = bytes(number % 251 for number in range(length))
        code = "sha256InScript(Uint8Array.from({length: arguments[0]}, (_, number) => number % 251)).then(arguments[1])"
        assert browser.execute_async_script(code, length) == sha256(content).hexdigest()


@pinned_only
def test_page_has_at_most_6_5_mb_and_is_reproducible(page: Path) -> None:
    assert page.stat().st_size <= 6_500_000
    assert page.read_bytes() == web_page.make(image.read_template())


# The order of the checks, and their edges: what the page's patterns, slices and limits are for.
EDGES = (
    # Spaces, quotes and brackets, and how often a suggestion is corrected.
    "       http://h/       ", "Xhttp://h/x", "http://h/X\u201d", "'tftp://h/x", "(tftp://h/x)", "(tftp://h/x",
    "http://h/a b c d e f g h", "(URL=(URL=(http://h/x", "URL=(URL=(URL=(http://h/x", "URL=(" * 2000 + "http://h/x",
    # Characters that are not ASCII, in a host and elsewhere.
    "h/\u00fc", "://\u00fc/", "h/?u=http://\u00fc/", "a+.-_0://\u00fc/", "http://u:p@\u00fc/", "http://@\u00fc/",
    "http://h/a@\u00fc/", "http://h?a@\u00fc", "http://h#a@\u00fc", "http://h?\u00fc", "http://h#\u00fc",
    "http://h:\u00fc/", "http://h/" + "\u00fc/" * 8, "1/a://\u00fcxxxxxxxxx/",
    # Schemes that are nearly right.
    "hxtp://h/x", "htpt://h/x", "thtp://h/x", "nsf://h/e/f", "x:@h/y",
    # IPv6 addresses without brackets, perhaps with a port.
    "http://fe80::1/x", "http://2001:db8::1:80/x", "http://2001:db8::1:8/x", "http://2001:db8::1:a1/x",
    "http://2001:db8::1:1a/x", "http://1:2::3:80/x", "http://${a}:1:2/x", "http://[::1]:1:2/", "http://[]:80/",
    "iscsi:[::1]:[:]:3260:1:iqn.2004-01.x:y",
    # Paths, and how long a script may be.
    "tftp:///a%00b", "tftp://1.2.3.4/${a}/x", "http://h/".ljust(157, "x"), "http://h/".ljust(158, "x"),
    "http://h/".ljust(159, "x"),
    *(
        start.ljust(length, "x") + behind
        for start in ("tftp://h/", "tftp://hh/")
        for length in (1000, 1500, 1560, 2000)
        for behind in ("?", "?" + "y" * 50, "#y", "?y#" + "z" * 3000, "?" + "y" * 3000, "#" + "z" * 3000)
    ),
)  # fmt: skip


@pytest.mark.parametrize("url", EDGES, ids=lambda url: repr(url[:30]))
def test_page_says_at_edges_what_command_says(browser: Chrome, url: str) -> None:
    assert answer(browser, url) == expected(url)


def test_page_limits_url_as_command_does(browser: Chrome) -> None:
    """To the last byte that fits the slot, and one more."""
    for start in ("http://h/", "tftp://h/"):
        (limit,) = re.findall(r"use at most (\d+) bytes", str(expected(start.ljust(9000, "x"))[1]))
        for length in (int(limit), int(limit) + 1):
            url = start.ljust(length, "x")
            assert answer(browser, url) == expected(url)
