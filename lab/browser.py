"""Chromium, Firefox and WebKitGTK without a screen, all driven by Selenium."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions, ChromeService, WebKitGTKOptions, WebKitGTKService
from selenium.webdriver.common.options import ArgOptions
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from lab.marionette import Marionette

Open = Callable[[str], Any]
CHROMIUM, FIREFOX, WEBKIT = KINDS = ("chromium", "firefox", "webkit")
# This host, under a name that no browser trusts as it trusts "localhost": they withhold their own SHA-256 there.
HOST = "page.example"
_NULL = subprocess.DEVNULL
WIDTH, HEIGHT = 1024, 900  # of a window, in pixels


@contextmanager
def session(downloads: Path, kind: str = CHROMIUM) -> Iterator[Open]:
    """Give a function that opens a URL in a browser of its own, until the block ends.

    Args:
        downloads: where the browsers save files.
        kind: one of `KINDS`.
    """
    start = {CHROMIUM: _chromium, FIREFOX: _firefox, WEBKIT: _webkit}[kind]
    with ExitStack() as running:

        def opened(url: str) -> WebDriver:
            browser = start(running, downloads, url)
            browser.get(url)
            return browser

        yield opened


def _chromium(running: ExitStack, downloads: Path, url: str) -> WebDriver:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(argument)
    options.add_argument(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    running.callback(browser.quit)
    # Also from plain http, where Chromium would ask whether to keep the file, and headless it can't.
    saving = {"behavior": "allow", "downloadPath": str(downloads)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)
    return browser


def _firefox(running: ExitStack, downloads: Path, url: str) -> WebDriver:
    profile = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True)))
    preferences: dict[str, str | int | bool] = {
        "browser.download.dir": str(downloads),
        "browser.download.folderList": 2,  # the directory above
        "browser.download.alwaysOpenPanel": False,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "marionette.port": 0,  # any that is free
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "network.dns.forceResolve": "127.0.0.1",  # `HOST`
        "services.settings.server": "data:,",  # what Mozilla would have it do
    }
    lines = [f"user_pref({_javascript(name)}, {_javascript(value)});\n" for name, value in preferences.items()]
    (profile / "user.js").write_text("".join(lines))
    words = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    size = {"MOZ_HEADLESS_WIDTH": str(WIDTH), "MOZ_HEADLESS_HEIGHT": str(HEIGHT)}
    # What it says is of no use: that this host has no bus, no graphics card and no sound.
    process = running.enter_context(
        subprocess.Popen(words, env={**os.environ, **size, "HOME": str(profile)}, stdout=_NULL, stderr=_NULL)
    )
    running.callback(process.terminate)
    port = profile / "MarionetteActivePort"
    _wait(lambda: port.exists() and port.read_text(), process)
    browser = WebDriver(cast(Any, Marionette(int(port.read_text()))), options=_Capabilities())
    running.callback(browser.quit)
    return browser


class _Capabilities(ArgOptions):
    """What Firefox is asked for: nothing."""

    @property
    def default_capabilities(self) -> dict[str, Any]:
        return {}

    def to_capabilities(self) -> dict[str, Any]:
        return {"acceptInsecureCerts": False}


def _webkit(running: ExitStack, downloads: Path, url: str) -> WebDriver:
    home = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True)))
    (home / "user-dirs.dirs").write_text(f'XDG_DOWNLOAD_DIR="{downloads}"\n')
    (display,) = _display(running)
    # Without graphics hardware the pictures are drawn in software.
    environment = {**os.environ, "DISPLAY": display, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    options = WebKitGTKOptions()
    (mini_browser,) = Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")
    options.binary_location = str(mini_browser)
    options.add_argument("--automation")
    if urlsplit(url).hostname == HOST:
        # It takes no name from elsewhere: it asks the server itself, as its proxy.
        options.proxy = Proxy({"proxyType": ProxyType.MANUAL, "httpProxy": f"127.0.0.1:{urlsplit(url).port}"})
    service = WebKitGTKService("/usr/bin/WebKitWebDriver", env=environment, log_output=_NULL)
    service.start()
    running.callback(service.stop)
    # Not Selenium's WebKitGTK: it warns of its own way to connect.
    browser = WebDriver(RemoteConnection(client_config=ClientConfig(service.service_url)), options=options)
    running.callback(browser.quit)
    browser.set_window_rect(0, 0, WIDTH, HEIGHT)
    return browser


def _display(running: ExitStack) -> Iterator[str]:
    """Give the name of an X display that nobody sees."""
    reading, writing = os.pipe()
    words = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "2000x2000x24", "-nolisten", "tcp"]
    process = running.enter_context(subprocess.Popen(words, pass_fds=[writing], stderr=_NULL))
    running.callback(process.terminate)
    os.close(writing)
    with os.fdopen(reading) as answer:
        yield f":{answer.readline().strip()}"


def _javascript(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _wait(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args!r} does not start")
        time.sleep(0.05)


def wait_until_ready(browser: WebDriver) -> None:
    """Wait until the page takes URLs."""
    wait_until(browser, "return performance.getEntriesByName('ready').length")


def wait_until(browser: WebDriver, script: str) -> None:
    """Wait until a script returns something true, for 20 s at most."""
    WebDriverWait(browser, 90, 0.05).until(lambda driver: driver.execute_script(script))
