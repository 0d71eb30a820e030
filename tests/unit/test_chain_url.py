"""Which URLs are taken as they are, and what the others are told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boots_from.chain_url import BOOTABLE, SCHEMES, parse, without_userinfo
from boots_from.errors import UrlError
from tests.unit.urls import ACCEPTED

_HTTP = "write http://HOST[:PORT][/PATH], such as http://bootserver/boot"
_ISCSI = "write iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET, such as iscsi:bootserver:::1:iqn.2004-01.example:disk"
_NAMES = "http, https, tftp, nfs, iscsi, aoe, ib_srp"
_SECRET = 'in a user name or password write "@" as %40, "/" as %2F and ":" as %3A'
_BRACKETS = "an IPv6 address goes in brackets, as in http://[2001:db8::1]/boot"
_IPV6 = "write it as in http://[2001:db8::1]/boot"
_HOST = "use a host name, an IPv4 address or [an IPv6 address]"
_PORT = "a port is a number from 1 to 65535"

REFUSED = {
    "": "the URL is empty: give the URL to boot from, such as http://bootserver/boot",
    # No scheme, or an unknown one.
    "bootserver/boot": "no scheme at character 1 of the URL: did you mean http://bootserver/boot?",
    "bootserver:8080/boot": "no scheme at character 1 of the URL: did you mean http://bootserver:8080/boot?",
    "//h/p": "no scheme at character 1 of the URL: did you mean http://h/p?",
    "https//h/p": "no scheme at character 1 of the URL: did you mean https://h/p?",
    "user:secret@h:80/x": "no scheme at character 1 of the URL: did you mean http://h:80/x?",
    "htp://h/x": f'unknown scheme "htp" at character 1 of the URL: use one of {_NAMES}',
    "file:/etc/passwd": f'unknown scheme "file" at character 1 of the URL: use one of {_NAMES}',
    "ftp://h/x": 'can\'t boot from "ftp:" at character 1 of the URL: '
    "this iPXE has no FTP; serve the file over http://, https://, tftp:// or nfs://",
    "fcp:1:2": 'can\'t boot from "fcp:" at character 1 of the URL: '
    "this iPXE has no Fibre Channel; export the disk over iscsi: or aoe:",
    # Slashes and hosts.
    "http:/h/x": 'one slash after "http:" at character 6 of the URL: did you mean http://h/x?',
    "HTTPS:h": 'no slashes after "https:" at character 7 of the URL: did you mean https://h?',
    "http:u:secret@h/x": 'no slashes after "http:" at character 6 of the URL: did you mean http://h/x?',
    "http://": f"no host at character 8 of the URL: {_HTTP}",
    "http:///x": f"no host at character 8 of the URL: {_HTTP}",
    "http://u:secret@/x": f"no host at character 17 of the URL: {_HTTP}",
    "http://h\\x/": f'bad host "h\\x" at character 9 of the URL: {_HOST}',
    "http://1.2.3.400/": 'bad IPv4 address "1.2.3.400" at character 8 of the URL: '
    "each of the four numbers is at most 255",
    "http://a@b@h/": f"bad host at character 11 of the URL: {_SECRET}",
    # Ports and IPv6.
    "http://h:0/": f'bad port "0" at character 10 of the URL: {_PORT}',
    "http://h:65536/": f'bad port "65536" at character 10 of the URL: {_PORT}',
    "http://h:8o/": f'bad port "8o" at character 10 of the URL: {_PORT}',
    "http://h:/": f"no port after the colon at character 10 of the URL: {_PORT}",
    "http://u:se/cret@h/": f"bad port at character 10 of the URL: {_SECRET}",
    "http://fe80::1/x": f"two colons in the host at character 8 of the URL: {_BRACKETS}",
    "http://[::1/x": f'bad IPv6 address "[::1" at character 8 of the URL: {_IPV6}',
    "http://[::g]/": f'bad IPv6 address "[::g]" at character 8 of the URL: {_IPV6}',
    "http://[::1]x/": f'bad IPv6 address "[::1]x" at character 8 of the URL: {_IPV6}',
    # What would add words or lines to the script, or reach the server corrupted.
    "http://h/a b": "space at character 11 of the URL: write it as %20",
    "http://h/a ": "space around the URL: remove it",
    "http://h/a\nshell": "control character 0x0A at character 11 of the URL: remove it",
    "http://h/a\rshell": "control character 0x0D at character 11 of the URL: remove it",
    "http://h/\tx": "control character 0x09 at character 10 of the URL: remove it",
    "http://h/\x7f": "control character 0x7F at character 10 of the URL: remove it",
    "http://h/ü": "non-ASCII character at character 10 of the URL: write it as %C3%BC",
    "http://h/\udcff": "non-ASCII character at character 10 of the URL: write it as %FF",
    "http://bücher.example/x": "non-ASCII character at character 9 of the URL: "
    "write the host as xn--bcher-kva.example",
    # Paths.
    "tftp://h": "no path at character 9 of the URL: "
    "write tftp://HOST[:PORT]/PATH, such as tftp://bootserver/boot.ipxe",
    "nfs://h/": "no path at character 8 of the URL: "
    "write nfs://HOST/EXPORT/PATH, such as nfs://bootserver/srv/boot.ipxe",
    "tftp://h/d/": "no file name after the slash at character 11 of the URL: tftp boots a file, not a directory",
    # Disks.
    "iscsi:h": f"no PROTOCOL:PORT:LUN:TARGET at character 8 of the URL: {_ISCSI}",
    "iscsi://h/x": f"slash at character 7 of the URL: an iscsi URL has none; {_ISCSI}",
    "iscsi::::1:iqn.2004-01.x:y": f"no server at character 7 of the URL: {_ISCSI}",
    "iscsi:h:7::1:iqn.2004-01.x:y": 'bad PROTOCOL "7" at character 9 of the URL: leave it empty, or write 6 for TCP',
    "iscsi:h::99999:1:iqn.2004-01.x:y": f'bad PORT "99999" at character 10 of the URL: {_PORT}, or empty for 3260',
    "iscsi:h:::xyz:iqn.2004-01.x:y": 'bad LUN "xyz" at character 11 of the URL: '
    "write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty",
    "iscsi:h:::1:": f"no target at character 13 of the URL: {_ISCSI}",
    "iscsi:h:::1:foo": 'bad TARGET "foo" at character 13 of the URL: a target starts with iqn.YYYY-MM., eui. or naa.',
    "iscsi:[::g]:::1:iqn.2004-01.x:y": f'bad IPv6 address "[::g]" at character 7 of the URL: {_IPV6}',
    "aoe:0.1": "bad shelf and slot at character 5 of the URL: "
    "write aoe:eSHELF.SLOT (shelf 0 to 65534, slot 0 to 254), such as aoe:e0.1",
    "ib_srp:1": "1 fields at character 8 of the URL, not 9: "
    f"write {SCHEMES[6].form}, such as {SCHEMES[6].example}",
    "ib_srp:::::::::": f"no DGID at character 11 of the URL: write {SCHEMES[6].form}, such as {SCHEMES[6].example}",
    "ib_srp:xy::::::::": 'bad SGID "xy" at character 8 of the URL: write 32 hexadecimal digits',
}  # fmt: skip

PASSED_THROUGH = [
    "http://h",
    "http://h:1/",
    "http://h:65535/",
    "HTTP://H/x",
    "http://h?x=1",
    "http://h/boot?a=b&c=d&&e||f;'\"[x]{y}<z>\\%zz",
    "http://${next-server}:${net0/port:uint16}/x",
    "http://${net${i}/next-server}/${net${i}/mac}?u=${uuid}",
    "http://h/${open",
    "http://h_1.example/x",
    "http://[2001:db8::1]:8080/x",
    "http://[fe80::1%25net0]/x",
    "http://[${ip6}]/x",
    "http://u:p%40%2F@h/x@y",
    "http://${user:uristring}:${password:uristring}@h/x",
    "nfs://h/srv/boot.ipxe",
    "tftp://h:6969/boot.ipxe",
    "iscsi:[::1]:6:3260:0-1-0-0:eui.0123456789abcdef",
    "iscsi:${server}:::${lun}:${target}",
    "iscsi:h:::1:iqn.2004-01.example:a@b",
    *(scheme.example for scheme in SCHEMES if scheme.boot),
]


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_refused_with_what_where_and_the_mend(url: str) -> None:
    with pytest.raises(UrlError) as refused:
        parse(url)
    assert str(refused.value) == REFUSED[url]


@pytest.mark.parametrize("url", PASSED_THROUGH)
def test_passes_through_unchanged(url: str) -> None:
    parsed = parse(url)
    assert parsed.url == url
    assert parsed.warnings == ()
    assert parsed.scheme.name == url.partition(":")[0].lower()


@given(ACCEPTED)
def test_accepts_what_the_strategy_makes(url: str) -> None:
    assert parse(url).url == url


@given(st.text())
def test_any_text_is_taken_or_refused_in_one_ascii_line(text: str) -> None:
    try:
        parsed = parse(text)
    except UrlError as error:
        assert str(error).isascii()
        assert str(error).isprintable()
    else:
        assert parsed.url == text
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


@given(st.text("hpt:/@.sx[]%?#", max_size=14).map(lambda rest: f"http://user:hunter2{rest}@h{rest}"))
def test_no_message_or_public_form_holds_the_password(url: str) -> None:
    try:
        shown = str(parse(url).public)
    except UrlError as error:
        shown = str(error)
    if "@" in url.removeprefix("http://").partition("/")[0].partition("?")[0].partition("#")[0]:
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("http://h/a#b", "iPXE drops the fragment (from # at character 11) and does not send it"),
        ("iscsi:h:::1:iqn.2004-01.x:y#z", "iPXE drops the fragment (from # at character 28) and does not send it"),
        ("nfs://h:2049/e/f", "iPXE's NFS ignores the port"),
        ("nfs://h/e/f?x=1", "iPXE's NFS ignores the query"),
    ],
)
def test_warns_of_what_ipxe_drops(url: str, warning: str) -> None:
    assert parse(url).warnings == (warning,)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://u:p@h/x", "http://h/x"),
        ("http://h/x@y", "http://h/x@y"),
        ("http://h?mail=a@b", "http://h?mail=a@b"),
        ("u:p@h/x", "h/x"),
        ("http:u:p@h", "h"),
        ("http://${u/v}:${p}@h/x", "http://h/x"),
    ],
)
def test_user_information_is_left_out(url: str, public: str) -> None:
    assert without_userinfo(url) == public


def test_readme_has_the_same_table() -> None:
    rows = []
    for scheme in SCHEMES:
        how = f"`{scheme.boot}`" if scheme.boot else f"refused: {scheme.instead}"
        rows.append(f"| `{scheme.form}` | {scheme.transport} | {how} | `{scheme.example}` |")
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert "\n".join(["| --- | --- | --- | --- |", *rows, ""]) in readme


def test_the_table_is_whole() -> None:
    assert BOOTABLE == ("http", "https", "tftp", "nfs", "iscsi", "aoe", "ib_srp")
    for scheme in SCHEMES:
        assert scheme.boot in ("chain", "sanboot", "")
        assert bool(scheme.boot) != bool(scheme.instead)
        assert scheme.example.startswith(scheme.name + ":")
        assert scheme.form.startswith(scheme.name + ":")
