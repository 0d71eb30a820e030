"""Chromium, Firefox and WebKitGTK without a screen, driven by Selenium."""

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
# This host, under a name that is not a secure context like "localhost", so that browsers don't offer SHA-256 there.
HOST = "page.example"
_NULL = subprocess.DEVNULL
WIDTH, HEIGHT = 1024, 900  # of a window, in pixels


@contextmanager
def session(downloads: Path, kind: str = CHROMIUM) -> Iterator[Open]:
    """Yield a function that opens a URL in a new browser; the browsers end with the block.

    Args:
        downloads: the directory in which the browsers save files.
        kind: one of KINDS.
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
    # Over plain http Chromium asks whether to keep a file, which it can't do without a screen.
    saving = {"behavior": "allow", "downloadPath": str(downloads)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)
    return browser


def _firefox(running: ExitStack, downloads: Path, url: str) -> WebDriver:
    profile = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True)))
    preferences: dict[str, str | int | bool] = {
        "browser.download.dir": str(downloads),
        "browser.download.folderList": 2,  # use browser.download.dir
        "browser.download.alwaysOpenPanel": False,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "marionette.port": 0,  # any free port
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "network.dns.forceResolve": "127.0.0.1",  # for HOST
        "services.settings.server": "data:,",  # no remote settings from Mozilla
    }
    lines = [f"user_pref({_javascript(name)}, {_javascript(value)});\n" for name, value in preferences.items()]
    (profile / "user.js").write_text("".join(lines))
    command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    size = {"MOZ_HEADLESS_WIDTH": str(WIDTH), "MOZ_HEADLESS_HEIGHT": str(HEIGHT)}
    # Its output only complains about the missing D-Bus, graphics card and sound.
    process = running.enter_context(
        subprocess.Popen(command, env={**os.environ, **size, "HOME": str(profile)}, stdout=_NULL, stderr=_NULL)
    )
    running.callback(process.terminate)
    port = profile / "MarionetteActivePort"
    _wait(lambda: port.exists() and port.read_text(), process)
    browser = WebDriver(cast(Any, Marionette(int(port.read_text()))), options=_Capabilities())
    running.callback(browser.quit)
    return browser


class _Capabilities(ArgOptions):
    """The capabilities to request from Firefox, which are only the defaults."""

    @property
    def default_capabilities(self) -> dict[str, Any]:
        return {}

    def to_capabilities(self) -> dict[str, Any]:
        return {"acceptInsecureCerts": False}


def _webkit(running: ExitStack, downloads: Path, url: str) -> WebDriver:
    home = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True)))
    (home / "user-dirs.dirs").write_text(f'XDG_DOWNLOAD_DIR="{downloads}"\n')
    (display,) = _display(running)
    environment = {**os.environ, "DISPLAY": display, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    options = WebKitGTKOptions()
    (mini_browser,) = Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")
    options.binary_location = str(mini_browser)
    options.add_argument("--automation")
    if urlsplit(url).hostname == HOST:
        # WebKitGTK has no option to map a host name. Instead it uses the server as its proxy.
        options.proxy = Proxy({"proxyType": ProxyType.MANUAL, "httpProxy": f"127.0.0.1:{urlsplit(url).port}"})
    service = WebKitGTKService("/usr/bin/WebKitWebDriver", env=environment, log_output=_NULL)
    service.start()
    running.callback(service.stop)
    # Not selenium.webdriver.WebKitGTK, which uses a deprecated way to connect, with a warning.
    browser = WebDriver(RemoteConnection(client_config=ClientConfig(service.service_url)), options=options)
    running.callback(browser.quit)
    browser.set_window_rect(0, 0, WIDTH, HEIGHT)
    return browser


def _display(running: ExitStack) -> Iterator[str]:
    """Start a virtual X display, and yield its name."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "2000x2000x24", "-nolisten", "tcp"]
    process = running.enter_context(subprocess.Popen(command, pass_fds=[writing], stderr=_NULL))
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
            raise RuntimeError(f"{process.args!r} did not start within 60 s")
        time.sleep(0.05)


def wait_until_ready(browser: WebDriver) -> None:
    """Wait until the page accepts URLs."""
    wait_until(browser, "return performance.getEntriesByName('ready').length")


def wait_until(browser: WebDriver, script: str) -> None:
    """Wait until a script returns a true value, at most 90 s."""
    WebDriverWait(browser, 90, 0.05).until(lambda driver: driver.execute_script(script))
