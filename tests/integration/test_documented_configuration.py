"""The page on boot servers has the same lines as the tests."""

import pytest

from template.paths import CHECKOUT
from tests.integration import test_bty, test_cobbler, test_installer

LINES = [test_bty.NGINX, *test_installer.SCRIPT.splitlines()]
PATHS = [url.partition("bty-server")[2] + "'" for url in (test_bty.URL, test_cobbler.URL)]


@pytest.mark.parametrize("text", [*(f"    {line}\n" for line in LINES), *PATHS])
def test_page_has_tested_configuration(text: str) -> None:
    assert text in (CHECKOUT / "docs/how-to/boot-servers.md").read_text()
