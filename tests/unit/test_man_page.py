"""boots-from(1) says what boots-from --help says."""

import re

import boots_from
from boots_from import boot_url
from template.paths import CHECKOUT

PAGE = (CHECKOUT / "man/boots-from.1").read_text()


def test_urls_are_those_of_the_help() -> None:
    urls = PAGE.partition(".SH URLS\n")[2].partition(".PP\n")[0]
    entries = [f".TP\n.B {each.form}\n{each.transport}; {each.boot}\n" for each in boot_url.SCHEMES if each.boot]
    assert urls == "".join(entries)
    lacking = {each.transport for each in boot_url.SCHEMES if not each.boot}
    assert lacking == {"FTP", "Fibre Channel"}
    assert "ftp and Fibre Channel do not work" in PAGE
    assert all(f".B {each.example}\n" in PAGE for each in (boot_url.FROM_SETTING, boot_url.FROM_ROOT_PATH))


def test_options_are_those_of_the_command() -> None:
    options = PAGE.partition(".SH OPTIONS\n")[2].partition(".SH URLS\n")[0].replace("\\-", "-")
    assert re.findall(r"--?[a-z-]+", options) == ["-h", "--help", "--version"]


def test_version_is_that_of_the_package() -> None:
    assert f'"boots-from {boots_from.__version__}"' in PAGE.splitlines()[1]
