"""Printable characters of a URL are shown on the screen and requested as typed, except for a possible password."""

import string
from urllib.parse import unquote

import pytest

from boots_from import boot_url, image
from lab.lan import Lan
from tests.boot.conftest import BootFrom

SERVER = "http://[fd00::1]"  # IPv6, because a card gets an address in 0.1 s, by DHCP in 3 s
PRINTABLE = string.digits + string.ascii_letters + string.punctuation


def urls() -> list[str]:
    """Return URLs with each character at the beginning, in the middle and at the end of the path, and of the query."""
    return [f"{SERVER}/{word}" for char in PRINTABLE for word in (f"{char}a{char}b{char}", f"x?{char}a{char}b{char}")]


@pytest.mark.thorough
def test_each_printable_character_is_shown_and_requested(lan: Lan, boot_from: BootFrom) -> None:
    """One machine runs the boot scripts of all URLs in order, because the script of the server chains to each."""
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
    booted = boot_from(f"{SERVER}/all")
    booted.wait_for("that was all", 300, may_fail=True)
    shown = booted.console.replace("\r", "").splitlines()
    requested = [request[0] for request in lan.requests() if not request[0].startswith(("/all", "/scripts/"))]
    assert len(requested) == len(urls())
    for url, request in zip(urls(), requested, strict=True):
        # `public` leaves out what precedes an "@", which may be a password.
        assert boot_url.parse(url).public in shown
        assert unquote(request) == unquote(url.removeprefix(SERVER).partition("#")[0]), url
