"""Every printable character of a URL, but for what may be a password, is shown and asked for as it was typed."""

import string
from urllib.parse import unquote

import pytest

from boots_from import boot_url, image
from lab.lan import Lan
from tests.boot.conftest import Boot

SERVER = "http://[fd00::1]"  # has an address in a tenth of a second, IPv4 in three
PRINTABLE = string.digits + string.ascii_letters + string.punctuation


def urls() -> list[str]:
    """Return URLs with each character first, in the middle and last, of the path and of the query."""
    return [f"{SERVER}/{word}" for char in PRINTABLE for word in (f"{char}a{char}b{char}", f"x?{char}a{char}b{char}")]


@pytest.mark.thorough
def test_every_character(lan: Lan, boot: Boot) -> None:
    """One machine runs the scripts of all these URLs, one after the other: its server's script chains to them."""
    lan.segment(ipv6="slaac")
    scripts = lan.www / "scripts"
    scripts.mkdir()
    chains = []
    for number, url in enumerate(urls()):
        (scripts / str(number)).write_bytes(image.script_for(boot_url.parse(url)))
        chains.append(f"chain --autofree {SERVER}/scripts/{number} ||")
    (lan.www / "all").write_text("\n".join(["#!ipxe", *chains, "echo that was all", "sleep 600", ""]))
    lan.http("""
        merge_slashes off; error_page 400 =200 /ok;
        location /all { } location /scripts/ { } location / { return 200 "#!ipxe\\n"; }
    """)
    booted = boot(f"{SERVER}/all")
    booted.wait_for("that was all", 300, may_fail=True)
    shown = booted.console.replace("\r", "").splitlines()
    asked = [request[0] for request in lan.requests() if not request[0].startswith(("/all", "/scripts/"))]
    assert len(asked) == len(urls())
    for url, request in zip(urls(), asked, strict=True):
        # What stands before an "@" may be a password.
        assert boot_url.parse(url).public in shown
        assert unquote(request) == unquote(url.removeprefix(SERVER).partition("#")[0]), url
