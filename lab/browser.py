"""A headless Chromium."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.ui import WebDriverWait

Open = Callable[[str], Chrome]
HOST = "page.example"  # this host, under a name that the browser does not trust as it trusts "localhost"


@contextmanager
def session(downloads: Path) -> Iterator[Open]:
    """Give a function that opens a URL in a browser of its own, until the block ends.

    Args:
        downloads: where the browsers save files.
    """
    with ExitStack() as running:

        def start(url: str) -> Chrome:
            options = ChromeOptions()
            options.binary_location = "/usr/bin/chromium"
            for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1024,900"):
                options.add_argument(argument)
            options.add_argument(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
            browser = Chrome(options, ChromeService("/usr/bin/chromedriver"))
            running.callback(browser.quit)
            # Also from plain http, where Chromium would ask whether to keep the file, and headless it can't.
            saving = {"behavior": "allow", "downloadPath": str(downloads)}
            browser.execute_cdp_cmd("Browser.setDownloadBehavior", saving)
            browser.get(url)
            return browser

        yield start


def wait_until_ready(browser: Chrome) -> None:
    """Wait until the page takes URLs."""
    wait_until(browser, "return performance.getEntriesByName('ready').length")


def wait_until(browser: Chrome, script: str) -> None:
    """Wait until a script returns something true, for 20 s at most."""
    WebDriverWait(browser, 90, 0.05).until(lambda driver: driver.execute_script(script))
