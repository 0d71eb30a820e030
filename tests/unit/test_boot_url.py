"""Which URLs are accepted, and the messages for the others."""

import contextlib
import ipaddress
import re
import string
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boots_from import image, messages
from boots_from.boot_script import redact
from boots_from.boot_url import BOOTABLE, BY_NAME, OVER, SCHEMES, parse, without_userinfo
from boots_from.errors import UrlError
from boots_from.messages import Message
from template.paths import CHECKOUT
from tests.unit.url_strategies import ACCEPTED

_HTTP = "write http://HOST[:PORT][/PATH], such as http://boot.example.com/boot"
_ISCSI = "write iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET, such as iscsi:boot.example.com:::1:iqn.2004-01.example:disk"
_IB_SRP = f"write {BY_NAME['ib_srp'].form}, such as {BY_NAME['ib_srp'].example}"
_NAMES = ", ".join(BOOTABLE)
_NOT_USERINFO = (
    'in a user name or password write "@" as %40, ":" as %3A, "/" as %2F, "?" as %3F and "#" as %23; '
    'in a path write "@" as %40'
)
_BRACKETS = "put an IPv6 address in brackets, as in http://[2001:db8::1]/boot"
_IPV6 = "write it in hexadecimal, as in http://[2001:db8::1]/boot"
_IPV4 = "write four numbers from 0 to 255, with dots between them"
_AT, _OF = "at character", " of the URL"
_TARGET = "does not begin with iqn.YYYY-MM., eui. or naa.: use the target name that the server has"
_ITSELF = "the booting machine would contact itself: use the name or address of your server"
_NUL = "would end the text in iPXE: remove it"
_SHELL = "if your shell replaced a setting such as ${net0/mac}, put the URL in single quotes"
_PASSWORD = (
    "may be a password; it is hidden here, but iPXE shows it at boot: "
    'in a password write "/" as %2F; elsewhere write "@" as %40'
)
_START = "no scheme at character 1 of the URL: start the URL with one, as in http://boot.example.com/boot"
_HOST = "use a host name, an IPv4 address or [an IPv6 address]"
_LUN = "at character 11 of the URL: write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty"
_AOE = "at character 5 of the URL: write aoe:eSHELF.SLOT (shelf 0 to 65534, slot 0 to 254), such as aoe:e0.1"
_PORT = "write a number from 1 to 65535 without leading zeros, or leave the port out"
_LOCAL = (
    "local path instead of a URL at character 1 of the URL: "
    f"serve the file over {OVER} and give its URL, such as http://boot.example.com/boot"
)
_OCTAL = f"leading 0 in the address {_AT} 8{_OF}, which iPXE reads as octal: remove the 0"
_PERCENT_23 = 'write "#" as %23 if the server needs it'
_LIKE = "write a setting like ${net0/mac}"

REFUSED = {
    "": "the URL is empty: give the URL to boot from, such as http://boot.example.com/boot",
    # Without a scheme, or with an unknown one.
    "boot.example.com/boot": "no scheme at character 1 of the URL: did you mean http://boot.example.com/boot?",
    "boot.example.com:8080/boot": "no scheme at character 1 of the URL: did you mean http://boot.example.com:8080/boot?",
    "//h/p": "no scheme at character 1 of the URL: did you mean http://h/p?",
    "https//h/p": "no scheme at character 1 of the URL: did you mean https://h/p?",
    "user:secret@h:80/x": "no scheme at character 1 of the URL: did you mean http://h:80/x?",
    "2001:db8::1/boot": "no scheme at character 1 of the URL: did you mean http://[2001:db8::1]/boot?",
    "fe80::1": "no scheme at character 1 of the URL: did you mean http://[fe80::1]?",
    "2001:db8::1:8080/boot": _START,
    "http;//h/x": "no scheme at character 1 of the URL: did you mean http://h/x?",
    "h/x#y": _START,
    "h:0/x": _START,
    "HTTP:h:0": f'no slashes after "http:" at character 6 of the URL: {_HTTP}',
    "htpp:h": 'unknown scheme "htpp" at character 1 of the URL: did you mean http://h?',
    "htpp://h:0/": f'unknown scheme "htpp" at character 1 of the URL: use one of {_NAMES}',
    "http:://h/x": 'no slashes after "http:" at character 6 of the URL: did you mean http://h/x?',
    "URL=http://h/x": '"URL=" before the URL: remove it',
    "\ufeffhttp://h/x": "invisible character before or after the URL: remove it",
    "http://h/x\u00a0": "invisible character before or after the URL: remove it",
    "(http://h/x)": "quotes or brackets around the URL: remove them",
    "gopher://h/x": f'unknown scheme "gopher" at character 1 of the URL: use one of {_NAMES}',
    "hxtx://h/x": f'unknown scheme "hxtx" at character 1 of the URL: use one of {_NAMES}',
    "sftp://h/x": f'unknown scheme "sftp" at character 1 of the URL: use one of {_NAMES}',
    "htpp://h/x": 'unknown scheme "htpp" at character 1 of the URL: did you mean http://h/x?',
    "HTTTP://u:secret@h/x": "unknown scheme at character 1 of the URL: did you mean http://h/x?",
    "/srv/boot.ipxe": _LOCAL,
    "~/boot.ipxe": _LOCAL,
    "C:\\boot.ipxe": _LOCAL,
    "./x": _LOCAL,
    "../x": _LOCAL,
    "c:/x": _LOCAL,
    "Z:\\x": _LOCAL,
    "FILE:x": _LOCAL,
    ".x/y": _START,
    "a0+.-_://h/x": f'unknown scheme "a0+.-_" at character 1 of the URL: use one of {_NAMES}',
    "http/h/x": "no scheme at character 1 of the URL: did you mean http://http/h/x?",
    "file:///srv/x": _LOCAL,
    "help": "no scheme at character 1 of the URL: did you mean http://help?",
    "${next-server": "unclosed setting at character 1 of the URL: write it like ${net0/mac}",
    "\u201chttp://h/x\u201d": "quotes or brackets around the URL: remove them",
    "http://h/x\u201d": "quotes or brackets around the URL: remove them",
    "<http://h/x>": "quotes or brackets around the URL: remove them",
    "'http://h/x'": "quotes or brackets around the URL: remove them",
    "ftp://h/x": 'cannot boot from "ftp:" at character 1 of the URL '
    f"because this iPXE has no FTP: serve the file over {OVER}",
    "fcp:1:2": 'cannot boot from "fcp:" at character 1 of the URL '
    "because this iPXE has no Fibre Channel: export the disk over iscsi or aoe",
    # Slashes and hosts.
    "http:/h/x": 'only one slash after "http:" at character 6 of the URL: did you mean http://h/x?',
    "HTTPS:h": 'no slashes after "https:" at character 7 of the URL: did you mean https://h?',
    "http:u:secret@h/x": 'no slashes after "http:" at character 6 of the URL: did you mean http://h/x?',
    "http://": f"missing HOST at character 8 of the URL: {_HTTP}",
    "http:///x": f"missing HOST at character 8 of the URL: {_HTTP}",
    "http://u:secret@/x": f"missing HOST at character 17 of the URL: {_HTTP}",
    "http://h\\x/": f'bad host "h\\x" at character 9 of the URL: {_HOST}',
    "http://1.2.3.400/": f'bad IPv4 address "1.2.3.400" at character 8 of the URL: {_IPV4}',
    "http://192.168.1/": f'bad IPv4 address "192.168.1" at character 8 of the URL: {_IPV4}',
    "http://10.0.0.1./": f'bad IPv4 address "10.0.0.1." at character 8 of the URL: {_IPV4}',
    "http://1.2.3.4.5/": f'bad IPv4 address "1.2.3.4.5" at character 8 of the URL: {_IPV4}',
    "http://1..3.4/": f'bad IPv4 address "1..3.4" at character 8 of the URL: {_IPV4}',
    "http://..../": f'bad host "...." at character 8 of the URL: {_HOST}',
    "http://.h/": f'bad host ".h" at character 8 of the URL: {_HOST}',
    "http://h..example/": f'bad host "h..example" at character 8 of the URL: {_HOST}',
    "http://*:80/": f'bad host "*" at character 8 of the URL: {_HOST}',
    "http://*.example/": f'bad host "*.example" at character 8 of the URL: {_HOST}',
    "http://h%00x/": f'bad host "h%00x" at character 9 of the URL: {_HOST}',
    "http://h%20/": f'bad host "h%20" at character 9 of the URL: {_HOST}',
    "http://h%7f/": f'bad host "h%7f" at character 9 of the URL: {_HOST}',
    "http://u%00:p@h/": f"%00 at character 9 of the URL {_NUL}",
    "tftp://h/a%00b": f"%00 at character 11 of the URL {_NUL}",
    "nfs://h/a%00b": f"%00 at character 10 of the URL {_NUL}",
    "http://a@b@h/": f'unexpected "@" at character 11 of the URL: {_NOT_USERINFO}',
    "http://u:se@cret/x@h/": f'unexpected "@" at character 19 of the URL: {_NOT_USERINFO}',
    "http://{next-server}/": 'bad host "{next-server}" at character 8 of the URL: write a setting like ${net0/mac}',
    "http://${next-server/": 'bad host "${next-server" at character 9 of the URL: write a setting like ${net0/mac}',
    # Ports and IPv6.
    "http://h:0/": f'bad PORT "0" at character 10 of the URL: {_PORT}',
    "http://h:65536/": f'bad PORT "65536" at character 10 of the URL: {_PORT}',
    "http://h:080/": f'bad PORT "080" at character 10 of the URL: {_PORT}',
    "http://h:8o/": f'bad PORT "8o" at character 10 of the URL: {_PORT}',
    "http://h:/": f"missing PORT at character 10 of the URL: {_HTTP}",
    "http://u:secret#x@h/": f'unexpected "@" at character 18 of the URL: {_NOT_USERINFO}',
    "http://u:se/cret@h/": f'unexpected "@" at character 17 of the URL: {_NOT_USERINFO}',
    "http://fe80::1/x": f"more than one colon in the host at character 8 of the URL: {_BRACKETS}",
    "http://[::1/x": f'bad IPv6 address "[::1" at character 8 of the URL: {_IPV6}',
    "http://[::g]/": f'bad IPv6 address "[::g]" at character 8 of the URL: {_IPV6}',
    "http://[]/": f'bad IPv6 address "[]" at character 8 of the URL: {_IPV6}',
    "http://[::ffff:1.2.3.4]/": f'bad IPv6 address "[::ffff:1.2.3.4]" at character 8 of the URL: {_IPV6}',
    "http://[1:2:3:4:5:6:7::]/": f'bad IPv6 address "[1:2:3:4:5:6:7::]" at character 8 of the URL: {_IPV6}',
    "http://[::2:3:4:5:6:7:8]/": f'bad IPv6 address "[::2:3:4:5:6:7:8]" at character 8 of the URL: {_IPV6}',
    "http://[1::2::3]/": f'bad IPv6 address "[1::2::3]" at character 8 of the URL: {_IPV6}',
    "http://[1:::2]/": f'bad IPv6 address "[1:::2]" at character 8 of the URL: {_IPV6}',
    "http://[:1:2:3:4:5:6:7]/": f'bad IPv6 address "[:1:2:3:4:5:6:7]" at character 8 of the URL: {_IPV6}',
    "http://[1:2:3:4:5:6:7:]/": f'bad IPv6 address "[1:2:3:4:5:6:7:]" at character 8 of the URL: {_IPV6}',
    "http://[1:2:3:4:5:6:7]/": f'bad IPv6 address "[1:2:3:4:5:6:7]" at character 8 of the URL: {_IPV6}',
    "http://[1:2:3:4:5:6:7:8:9]/": f'bad IPv6 address "[1:2:3:4:5:6:7:8:9]" at character 8 of the URL: {_IPV6}',
    "http://[12345::]/": f'bad IPv6 address "[12345::]" at character 8 of the URL: {_IPV6}',
    "http://[::1]x/": f'bad IPv6 address "[::1]x" at character 8 of the URL: {_IPV6}',
    "http://[fe80::1%]/": f'bad IPv6 address "[fe80::1%]" at character 8 of the URL: {_IPV6}',
    "http://[fe80::1%a<b]/": f'bad IPv6 address "[fe80::1%a<b]" at character 8 of the URL: {_IPV6}',
    "http://[${ip6}%a<b]/": f'bad IPv6 address "[${{ip6}}%a<b]" at character 8 of the URL: {_IPV6}',
    # Characters that would add words or lines to the script, or reach the server corrupted.
    "http://h/a b": "space at character 11 of the URL: write it as %20",
    "http://h/a ": "space before or after the URL: remove it",
    "http://h/a\nshell": "control character 0x0A at character 11 of the URL: remove it",
    "http://h/a\rshell": "control character 0x0D at character 11 of the URL: remove it",
    "http://h/\tx": "control character 0x09 at character 10 of the URL: remove it",
    "http://h/\x7f": "control character 0x7F at character 10 of the URL: remove it",
    "http://h/ü": "non-ASCII character at character 10 of the URL: write it as %C3%BC",
    "http://h/\udcff": "non-ASCII character at character 10 of the URL: write it as %FF",
    "http://bücher.example/x": "non-ASCII character at character 9 of the URL: "
    "use the ASCII (xn--) form of the host name",
    "http://u:\u0434\u0430@h/x": "non-ASCII character at character 10 of the URL: "
    "write each of its UTF-8 bytes as % and two hexadecimal digits",
    # Paths.
    "tftp://h": "missing PATH at character 9 of the URL: "
    "write tftp://HOST[:PORT]/PATH, such as tftp://boot.example.com/boot.ipxe",
    "nfs://h/": "the path at character 8 of the URL does not name a file: "
    "write nfs://HOST/EXPORT/PATH, such as nfs://boot.example.com/srv/boot.ipxe",
    "nfs://h/d/": "the path at character 8 of the URL does not name a file: "
    "write nfs://HOST/EXPORT/PATH, such as nfs://boot.example.com/srv/boot.ipxe",
    # Disks.
    "iscsi:h": f"missing PROTOCOL:PORT:LUN:TARGET at character 8 of the URL: {_ISCSI}",
    "iscsi://h/x": f'unexpected "/" at character 7 of the URL: {_ISCSI}',
    "iscsi::::1:iqn.2004-01.x:y": f"missing SERVER at character 7 of the URL: {_ISCSI}",
    "iscsi:h::99999:1:iqn.2004-01.x:y": f'bad PORT "99999" at character 10 of the URL: {_PORT}',
    "iscsi:h:::xyz:iqn.2004-01.x:y": f'bad LUN "xyz" {_LUN}',
    "iscsi:h::": f"missing LUN:TARGET at character 10 of the URL: {_ISCSI}",
    "iscsi:h:::1-0-0-0-0:iqn.2004-01.x:y": f'bad LUN "1-0-0-0-0" {_LUN}',
    "iscsi:h:::1-00000:iqn.2004-01.x:y": f'bad LUN "1-00000" {_LUN}',
    "iscsi:h:::10000:iqn.2004-01.x:y": f'bad LUN "10000" {_LUN}',
    "iscsi:h:::1:": f"missing TARGET at character 13 of the URL: {_ISCSI}",
    "iscsi:[::g]:::1:iqn.2004-01.x:y": f'bad IPv6 address "[::g]" at character 7 of the URL: {_IPV6}',
    "aoe:0.1": f'bad shelf and slot "0.1" {_AOE}',
    "aoe:e65535.1": f'bad shelf and slot "e65535.1" {_AOE}',
    "aoe:e0.255": f'bad shelf and slot "e0.255" {_AOE}',
    "aoe:": "missing eSHELF.SLOT at character 5 of the URL: write aoe:eSHELF.SLOT, such as aoe:e0.1",
    "ib_srp:": f"missing IDEXT:HCA:DGID:PKEY:SERVICE:LUN:TARGETEXT:IOC at character 8 of the URL: {_IB_SRP}",
    "ib_srp:::::::::": f"missing DGID at character 11 of the URL: {_IB_SRP}",
    "ib_srp:xy::::::::": 'bad SGID "xy" at character 8 of the URL: write 32 hexadecimal digits',
}  # fmt: skip

PASSED_THROUGH = [
    "http://h",
    "http://h:1/",
    "http://h:65535/",
    "HTTP://H/x",
    "http://h?x=1",
    "http://h/boot?a=b&c=d&&e||f;'\"[x]{0}<z>\\%zz$'",
    "http://${next-server}:${net0/port:uint16}/x",
    "http://${net${i}/next-server}/${net${i}/mac}?u=${uuid}",
    "${filename}",
    "${root-path}",
    "${base-url}/boot?mac=${mac}",
    "http://h_1.example/x",
    "http://[2001:db8::1]:8080/x",
    "http://[fe80::1%25net0]/x",
    "http://[${ip6}]/x",
    "http://[${prefix}::1]/x",
    "http://[1:2:3:4:5:6:7:8]/x",
    "http://[1:2:3:4:5:6::8]/x",
    "http://[::2:3:4:5:6:7]/x",
    "http://[2:3:4:5:6:7::]/x",
    "http://[fe80::1%${net${i}}]/x",
    "http://${net${i${j${k}}}/next-server}/${a${b${c${d}}}}",
    "${net${i${j}}/filename}",
    "http://h./x",
    "http://42/x",
    "http://${a}.${b}./x",
    "http://h%c3%bc/x",
    "http://%31%30.0.2.2/x",
    "http://h/a%00b?c%00",
    "http://h/${a#b}${c?d}",
    "http://localhosts/x",
    "http://xlocalhost/x",
    "http://127.example/x",
    "http://128.0.0.1/x",
    "http://0.0.0.1/x",
    "http://10.0.0.100/x",
    "http://100.0.0.0/x",
    "http://[::2]/x",
    "http://a~!$&'()+,;=-b_%2a%7E%80/x",
    "${next-servers}/x",
    "${xdns}/x",
    "${dns/x}/x",
    "http://h/?a=b=&=c",
    "http://h/{0}{}{a!b}",
    "iscsi:h:::AbF9-AbF9-1-2:iqn.2004-01.x",
    "iscsi:h::::eui.0123456789ABCDEF",
    "iscsi:h::::naa.0123456789abcdef",
    "iscsi:h::::naa.0123456789ABCDEF0123456789abcdef",
    "http://u:p%40%2F@h/x%40y",
    "http://${user:uristring}:${password:uristring}@h/x",
    "nfs://h/srv/boot.ipxe",
    "tftp://h:6969/boot.ipxe",
    "iscsi:h:::00001:iqn.2004-01.example:x",
    "iscsi:[fd00::1]:6:3260:0-1-0-0:eui.0123456789abcdef",
    "iscsi:${server}:::${lun}:${target}",
    "aoe:e65534.254",
    "aoe:e0000000001.0000001",
    "aoe:e${shelf}.${slot}",
    *(scheme.example for scheme in SCHEMES if scheme.boot),
]


@pytest.mark.parametrize("url", REFUSED, ids=repr)
def test_bad_url_gets_fact_place_and_remedy(url: str) -> None:
    with pytest.raises(UrlError) as refused:
        parse(url)
    assert str(refused.value) == REFUSED[url]


@pytest.mark.parametrize("url", PASSED_THROUGH)
def test_good_url_stays_unchanged(url: str) -> None:
    parsed = parse(url)
    assert parsed.url == url
    assert parsed.warnings == ()
    assert parsed.scheme.name == ("" if url.startswith("$") else url.partition(":")[0].lower())


def ib_srp(**fields: str) -> str:
    names = BY_NAME["ib_srp"].form.split(":")[1:]
    values = dict.fromkeys(("SERVICE", "TARGETEXT", "IOC"), "0" * 16) | {"DGID": "0" * 32} | fields
    return ":".join(["ib_srp", *(values.get(name, "") for name in names)])


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("SGID", 32), ("IDEXT", 16), ("HCA", 16), ("DGID", 32), ("PKEY", 4),
        ("SERVICE", 16), ("TARGETEXT", 16), ("IOC", 16),
    ],
)  # fmt: skip
def test_ib_srp_field_has_fixed_length(name: str, digits: int) -> None:
    """Byte strings of a fixed length; PKEY is a number of 16 bits (ib_srp_parse_root_path in iPXE)."""
    good = ("0123456789abcdefABCDEF" * 2)[:digits]
    assert parse(ib_srp(**{name: good})).warnings == ()
    assert parse(ib_srp(**{name: "${it}"})).warnings == ()
    at = ib_srp(**{name: "?"}).index("?") + 1
    remedy = f"write {'1 to 4' if name == 'PKEY' else digits} hexadecimal digits"
    for bad in (good + "0", good[1:] + "g", *([] if name == "PKEY" else [good[1:]])):
        with pytest.raises(UrlError) as refused:
            parse(ib_srp(**{name: bad}))
        assert str(refused.value) == f'bad {name} "{bad}" at character {at} of the URL: {remedy}'


@pytest.mark.parametrize("name", BY_NAME["ib_srp"].form.split(":")[1:])
def test_ib_srp_requires_only_some_fields(name: str) -> None:
    if name in ("DGID", "SERVICE", "TARGETEXT", "IOC"):
        with pytest.raises(UrlError, match=rf"^missing {name} at character "):
            parse(ib_srp(**{name: ""}))
    else:
        assert parse(ib_srp(**{name: ""})).warnings == ()


def test_ib_srp_lun_is_that_of_iscsi() -> None:
    for lun in ("1", "0-1-0-0", "ffff"):
        assert parse(ib_srp(LUN=lun)).warnings == ()
    for lun in ("0001000000000000", "1-0-0-0-0"):
        with pytest.raises(UrlError, match=r"^bad LUN "):
            parse(ib_srp(LUN=lun))
    assert parse(ib_srp(PKEY="f")).warnings == ()


def accepted(url: str) -> bool:
    try:
        parse(url)
    except UrlError:
        return False
    return True


@pytest.mark.parametrize(
    ("form", "least", "most"),
    [
        ("http://h:{}/", 1, 65535),
        ("iscsi:h::{}::iqn.2004-01.x:y", 1, 65535),
        ("aoe:e{}.0", 0, 65534),
        ("aoe:e0.{}", 0, 254),
        ("http://{}.0.0.0/", 0, 255),
        ("http://0.0.0.{}/", 0, 255),
    ],
)
def test_numbers_outside_limits_are_refused(form: str, least: int, most: int) -> None:
    """With numbers around each limit, and one with more digits than Python converts."""
    numbers = {number for number in range(70_000) if number < 1100 or number % 9 == 0 or abs(number - most) < 12}
    assert {number for number in numbers if accepted(form.format(number))} == numbers & set(range(least, most + 1))
    assert not accepted(form.format("1" * 5000))


# Letters that are in no message, characters with a meaning in URLs, and characters that are not ASCII.
_SECRETS = st.text(st.sampled_from([*"QXZ0158", *"#?/@:%&=[]", "\u0436", "\u00e9", "\U0001f600"]), max_size=12)
HOSTILE = st.builds(
    lambda head, user, password, rest: (f"{head}{user}:{password}@{rest}", f"{user}:{password}"),
    st.sampled_from(
        ["http://", "https://", "tftp://", "nfs://", "HTTP://", "htpp://", "http:/", "http:", "", "//", "iscsi:", "ftp://"]
    ),
    _SECRETS, _SECRETS,
    st.sampled_from(["h/x", "h", "h:80/x?y=1#z", "h:::1:iqn.2004-01.x:y", "h:0/", "[::1/", "h/a b", "/x", "h/x@y"]),
)  # fmt: skip


def test_host_accepts_only_these_characters() -> None:
    """Plain, and as %XX, which iPXE decodes: no control character and no space."""
    plain = {
        char
        for char in string.printable
        if accepted(f"http://a{char}b/") and parse(f"http://a{char}b/").host[1:2] == char
    }
    assert plain == {*string.ascii_letters, *string.digits, *"._~!$&'()+,;=-"}
    for form in ("{:02x}", "{:02X}"):
        escaped = {code for code in range(256) if accepted(f"http://a%{form.format(code)}b/")}
        assert escaped == set(range(0x21, 0x100)) - {0x7F}


def read_by_ipxe(text: str) -> bool:
    """Return whether inet6_aton of iPXE accepts it: words up to 0xffff; one "::", which counts as a word of 0."""
    words, padded, at = 0, False, 0
    while True:
        digits = re.match(r"[0-9A-Fa-f]*", text[at:])
        assert digits
        if int(digits[0] or "0", 16) > 0xFFFF:
            return False
        words += 1
        end = at + digits.end()
        if end == len(text):
            return padded or words == 8
        if text[end] != ":":
            return False
        if not digits[0] and at > 0:
            if padded:
                return False
            padded = True
        at = end + 1
        if words == 8:
            return False


def is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


@given(
    st.lists(st.sampled_from(["", "", "0", "12", "aBcD", "F09a", "12345", "g", "1.2.3.4"]), max_size=10).map(":".join)
)
@example(":".join("0123456789abcdefABCDEF" for _ in range(8)))
@example("0000:1111:2222:9999:aaaa:AAAA:ffff:FFFF")
@example("::ffff:AAAA:0")
@settings(max_examples=1000)
def test_ipv6_address_accepted_if_python_and_ipxe_accept_it(text: str) -> None:
    assert accepted(f"http://[{text}]/") == (is_ipv6(text) and read_by_ipxe(text))


@given(ACCEPTED)
def test_generated_good_urls_are_accepted(url: str) -> None:
    assert parse(url).url == url


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8") | st.characters(categories=["Cs"])),
        st.lists(st.sampled_from([*"htps:/.;@#?&=[]()<> \"'0a%1${}", "URL=", "::", "//", "\ufeff", "\u201c"])).map(
            "".join
        ),
        HOSTILE.map(lambda case: case[0]),
    )
)
@settings(max_examples=1000)
def test_suggested_url_is_accepted_without_warning(text: str) -> None:
    try:
        parse(text)
    except UrlError as error:
        assert ("did you mean" in str(error)) <= bool(error.suggestion)
        if error.suggestion:
            assert parse(error.suggestion).warnings == ()


@given(st.text())
def test_any_text_is_accepted_or_refused_in_one_ascii_line(text: str) -> None:
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


def pieces(secret: str) -> set[str]:
    """Return the pieces of user information that nothing may show: three characters in a row, or an escaped one."""
    found = {secret[at : at + 3] for at in range(len(secret) - 2) if re.search("[QXZ]", secret[at : at + 3])}
    return found | {quote(character) for character in secret if not character.isascii()}


@given(HOSTILE)
@example(("tftp://0/00Q?:@h/x", "0/00Q?:"))
@example(("tftp://h/XQZ:Q?Z@y", "XQZ:Q?Z"))
@settings(max_examples=2000)
def test_user_information_is_never_shown(case: tuple[str, str]) -> None:
    """In no message, and not in the redacted script."""
    url, secret = case
    try:
        parsed = parse(url)
    except UrlError as error:
        shown = str(error)
    else:
        script = image.script_for(parsed)
        shown = "\n".join([redact(parsed).decode(), parsed.public, *parsed.warnings])
        assert url in script.decode()
    assert [piece for piece in pieces(secret) if piece in shown] == []


WARNED = {
    "iscsi:h:7::1:iqn.2004-01.x:y": f"iPXE ignores PROTOCOL {_AT} 9{_OF}: iSCSI always uses TCP",
    "iscsi:host::::iqn.target": f"the target at character 15 of the URL {_TARGET}",
    "tftp://h/d/": f"the path {_AT} 9{_OF} does not name a file: write tftp://HOST[:PORT]/PATH, such as tftp://boot.example.com/boot.ipxe",
    "tftp://u:p@h/x": "iPXE ignores the user name and password in TFTP URLs",
    "tftp://h/x?y": "iPXE ignores the query in TFTP URLs",
    "${next-server}/boot": f"address instead of a URL {_AT} 1{_OF}: did you mean http://${{next-server}}/boot?",
    "http://localhost:8000/x": f"with the host {_AT} 8{_OF} {_ITSELF}",
    "http://127.0.0.1/x": f"with the host {_AT} 8{_OF} {_ITSELF}",
    "http://0.0.0.0:8000/x": f"with the host {_AT} 8{_OF} {_ITSELF}",
    "http://[::1]/x": f"with the host {_AT} 8{_OF} {_ITSELF}",
    **{
        f"http://{host}/x": f"with the host {_AT} 8{_OF} {_ITSELF}"
        for host in ("LocalHost", "localhost.", "127.255.0.3", "[::]")
    },
    **{f"http://{host}/": _OCTAL for host in ("010.0.0.1", "10.01.0.1", "10.0.00.1")},
    **{
        f"${{{name}}}/x": f"address instead of a URL {_AT} 1{_OF}: did you mean http://${{{name}}}/x?"
        for name in (
            "dhcp-server",
            "gateway",
            "dns",
            "net0/next-server",
            "next-server:ipv4",
            "net${i}/dns",
            "a/b/gateway",
        )
    },
    "http://h/${a#b}#c": f'iPXE does not send the part after "#" {_AT} 16{_OF}: {_PERCENT_23}',
    "http://h/x?a=1&mac=": f'no value after "=" {_AT} 19{_OF}: {_SHELL}',
    "http://h/$Mac": f"$ without braces {_AT} 10{_OF}: {_LIKE}, not $mac",
    "http://h/$_": f"$ without braces {_AT} 10{_OF}: {_LIKE}, not $mac",
    "http://h/{Net0/mac:HEX.a_b-c}": f"braces without $ {_AT} 10{_OF}: {_LIKE}, not {{mac}}",
    **{
        f"iscsi:h::::{target}": f"the target at character 12 of the URL {_TARGET}"
        for target in ("iqn.2004-01x", "eui.0123456789abcde", "naa.0123456789abcdef0", "naa0123456789abcdef")
    },
    "aoe:e${a}@.1": f'the text before "@" {_AT} 10{_OF} {_PASSWORD}',
    "http://10.0.0.010/": _OCTAL,
    "http://h/x@y": f'the text before "@" {_AT} 11{_OF} {_PASSWORD}',
    "http://user:80/hunter2@h/": f'the text before "@" {_AT} 23{_OF} {_PASSWORD}',
    "iscsi:h:::1:iqn.2004-01.x:a@b": f'the text before "@" {_AT} 28{_OF} {_PASSWORD}',
    "${next-server}/hunter2@h": f'the text before "@" {_AT} 23{_OF} {_PASSWORD}',
    "${next-server}x..y/": f"address instead of a URL {_AT} 1{_OF}: write http:// before it",
    "http://h/x?mac=": f'no value after "=" {_AT} 15{_OF}: {_SHELL}',
    "http://h/x?mac=&y=1": f'no value after "=" {_AT} 15{_OF}: {_SHELL}',
    "http://h/${mac": f"unclosed setting {_AT} 10{_OF}: write it like ${{net0/mac}}",
    "http://h/$mac": f"$ without braces {_AT} 10{_OF}: {_LIKE}, not $mac",
    "http://h/{mac}": f"braces without $ {_AT} 10{_OF}: {_LIKE}, not {{mac}}",
    "http://h/$(uname)": f"iPXE does not run $(...) {_AT} 10{_OF}: use a setting such as ${{net0/mac}}",
    "http://h/a#b": f'iPXE does not send the part after "#" {_AT} 11{_OF}: {_PERCENT_23}',
    "iscsi:h:::1:iqn.2004-01.x:y#z": f'iPXE does not send the part after "#" {_AT} 28{_OF}: {_PERCENT_23}',
    "nfs://h:2049/e/f": "iPXE ignores the port in NFS URLs",
    "nfs://h/e/f?x=1": "iPXE ignores the query in NFS URLs",
}


@pytest.mark.parametrize("url", WARNED)
def test_suspicious_url_gets_a_warning(url: str) -> None:
    assert parse(url).warnings == (WARNED[url],)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://u:p@h/x", "http://h/x"),
        ("http://h/x@y", "http://...@y"),
        ("http://h?mail=a@b", "http://...@b"),
        ("http://u:80/p@h/x", "http://...@h/x"),
        ("http://u:p@a/b@h/x", "http://...@h/x"),
        ("u:p@h/x", "h/x"),
        ("@h/x", "h/x"),
        ("HTTP://u:p@h/x", "HTTP://h/x"),
        ("http:u:p@h", "http:h"),
        ("iscsi:u:p@h:::1:x", "iscsi:...@h:::1:x"),
        ("http://${u/v}:${p}@h/x", "http://h/x"),
        ("//u:p@h/x", "//h/x"),
        ("http://u?p@h/x", "http://...@h/x"),
        ("http://u#p@h/x", "http://...@h/x"),
        ("x2+.-_://u:p@h/x", "h/x"),
        ("aoe:x@y", "aoe:...@y"),
        ("ib_srp:x@y", "ib_srp:...@y"),
        ("ISCSI:x@y", "ISCSI:...@y"),
    ],
)
def test_without_userinfo_removes_user_and_password(url: str, public: str) -> None:
    assert without_userinfo(url) == public


@pytest.mark.parametrize(
    ("url", "boot"),
    [
        ("${root-path}", "sanboot"),
        ("${net0/root-path}", "sanboot"),
        ("${net${i}/root-path:string}", "sanboot"),
        ("${a/b/root-path}", "sanboot"),
        ("${root-paths}", "chain"),
        ("${xroot-path}", "chain"),
        ("${root-path/x}", "chain"),
        ("${filename}${root-path}", "chain"),
        ("${filename}/root-path}", "chain"),
    ],
)
def test_root_path_setting_is_a_disk(url: str, boot: str) -> None:
    assert parse(url).scheme.boot == boot


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://u:p@h:80/x", "h"),
        ("tftp://[fd00::1]:69/x", "[fd00::1]"),
        ("iscsi:10.0.0.1:::1:iqn.2004-01.x:y", "10.0.0.1"),
        ("iscsi:[fd00::1]:::1:iqn.2004-01.x:y", "[fd00::1]"),
        ("aoe:e0.1", ""),
        ("${filename}", ""),
    ],
)
def test_host_is_kept_as_written(url: str, host: str) -> None:
    assert parse(url).host == host


@pytest.mark.parametrize(
    ("url", "suggestion"),
    [
        ("h/x", "http://h/x"),
        ("u:p@h/x", "http://u:p@h/x"),
        ("http:/u:p@h/x", "http://u:p@h/x"),
        ("htpp://u:p@h/x", "http://u:p@h/x"),
        (" http://h/x ", "http://h/x"),
        ("http://h/a b", "http://h/a%20b"),
        ("http://h/\u00e4?\u00f6", "http://h/%C3%A4?%C3%B6"),
        ("\u201ehttp://h/x\u201c", "http://h/x"),
        ("'http://h/x", "http://h/x"),
        ("(http://h/x)", "http://h/x"),
        ("((http://h/x?a=(b)))", "http://h/x?a=(b)"),
        ("(http://h/x?a=(b))", "http://h/x?a=(b)"),
        ("[http://h/${mac}]", "http://h/${mac}"),
        ("<h/x>", "http://h/x"),
        ("[x](http://h/x)", ""),
        ("[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        ("2001:db8::1", "http://[2001:db8::1]"),
        ("http://2001:db8::1/x", "http://[2001:db8::1]/x"),
        ("http://u:p@fe80::1/x", "http://u:p@[fe80::1]/x"),
        ("http://2001:db8::1:80/x", ""),
        ("URL=http://h/x", "http://h/x"),
        ("url=URL='htpp:h/x'", "http://h/x"),
        ("\ufeffhttp://h/x\u200b", "http://h/x"),
        ("\ufeffh/\u00e4 b", "http://h/%C3%A4%20b"),
        ("http;//h/x", "http://h/x"),
        ("https.//h/x", "https://h/x"),
        ("http,//h/x", "http://h/x"),
        ("tftp//h/x", "tftp://h/x"),
        ("nfs;//h/x/y", "nfs://h/x/y"),
        ("FE80::a:b/x", "http://[FE80::a:b]/x"),
        ("cafe::9?x=1", "http://[cafe::9]?x=1"),
        ("{http://h/x}", "http://h/x"),
        ("[a1+.-_://h/x]", ""),
        ("http:://h/x", "http://h/x"),
        ("http:///h/x", ""),
        ("\ud800\udc41http://h/", ""),
        ("http://h/\ud800\udc80\udfff", "http://h/%ED%A0%80%80%ED%BF%BF"),
        # No suggestion: corrected, these would still be refused, or get a warning.
        ("h/x#y", ""),
        ("http:h:0/", ""),
        ("htpp://localhost/", ""),
        ("'", ""),
        ("URL=", ""),
        ("(URL=" * 2000 + "http://h/", ""),
        ("http://b\u00fccher/x", ""),  # IDNA 2003 and 2008 may give different ASCII names
        ("http://h:0/", ""),
    ],
)
def test_refusal_suggests_accepted_url(url: str, suggestion: str) -> None:
    with pytest.raises(UrlError) as refused:
        parse(url)
    assert refused.value.suggestion == suggestion


@pytest.mark.parametrize("scheme", BOOTABLE)
def test_misspelled_scheme_is_recognised(scheme: str) -> None:
    rest = BY_NAME[scheme].example.removeprefix(scheme)
    slips = {scheme[:at] + scheme[at + 1 :] for at in range(len(scheme))}
    slips |= {scheme[:at] + scheme[at] + scheme[at:] for at in range(len(scheme))}
    slips |= {scheme[:at] + scheme[at + 1] + scheme[at] + scheme[at + 2 :] for at in range(len(scheme) - 1)}
    slips |= {scheme[:at] + "x" + scheme[at + 1 :] for at in range(1, len(scheme))}
    for slip in slips - set(BOOTABLE) - {"ftp"}:
        with pytest.raises(UrlError) as refused:
            parse(slip + rest)
        assert refused.value.suggestion.endswith(rest)


def test_every_message_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """REFUSED and WARNED hold the text of each message."""
    used = set()
    text = Message.text

    def noted(message: Message, offset: int = 0, /, **parts: object) -> str:
        used.add(message)
        return text(message, offset, **parts)

    monkeypatch.setattr(Message, "text", noted)
    for url in (*REFUSED, *WARNED, "http://h/" + "x" * 9000):
        with contextlib.suppress(UrlError):
            image.script_for(parse(url))
    known = {name: value for name, value in vars(messages).items() if isinstance(value, Message)}
    # Every user of BAD_FIELD has its own remedy.
    assert [name for name, message in known.items() if message not in used] == ["BAD_FIELD"]


def test_page_has_the_table_of_schemes() -> None:
    rows = []
    for scheme in SCHEMES:
        how = f"`{scheme.boot}`" if scheme.boot else f"refused: {scheme.lacks}; {scheme.instead}"
        rows.append(f"| `{scheme.form}` | {scheme.transport} | {how} | `{scheme.example}` |")
    page = (CHECKOUT / "docs/reference/urls.md").read_text()
    assert "\n".join(["| --- | --- | --- | --- |", *rows, ""]) in page


def test_table_of_schemes_is_complete() -> None:
    for scheme in SCHEMES:
        assert scheme.boot in ("chain", "sanboot", "")
        assert bool(scheme.boot) != bool(scheme.lacks) == bool(scheme.instead)
        assert scheme.example.startswith(scheme.name + ":")
        assert scheme.form.startswith(scheme.name + ":")
