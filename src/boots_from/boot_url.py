"""The URLs that iPXE can boot from, and what each scheme means to iPXE.

`SCHEMES` is the single source of validation, the boot script, `--help`, the table in the README and every message.
`messages` holds the words.

Not checked: whether a name resolves or a server answers; what an iPXE setting such as `${net0/mac}` expands to (a
setting counts as an opaque piece of a host, a port or a path).

A URL is refused if iPXE cannot boot from it, or would read it as something else than it says (tests/boot/test_urls.py
compares with real iPXE). A URL that works, but was surely meant differently, gets a warning.

No message contains anything that may be a password, which is everything before the last "@".

Sources: RFC 3986 (URI), RFC 4173 (iscsi), RFC 6874 (IPv6 zone), https://ipxe.org/sanuri, and the URI parser of iPXE
2.0, which splits off the fragment, then the query, then the authority; user information ends at the first "@".
"""

import re
from collections import namedtuple

from boots_from import messages
from boots_from.errors import UrlError
from boots_from.messages import Message

SPACES = " \u00a0\u200b\u2060\ufeff"  # the last is the byte order mark
QUOTES = "\"'`<>\u00ab\u00b4\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"

CLOSING = f"{QUOTES})]}}"

# The patterns use only syntax that Python and JavaScript share, because the web page uses them too. They are compiled
# at their first use: most URLs need few of them, and each takes 0.1 to 1 ms.

# An innermost iPXE setting. iPXE expands settings from the inside out, however deeply they are nested.
SETTING = r"\$\{[^{}]*\}"
SCHEME = r"([A-Za-z][A-Za-z0-9+._-]*):"
# A bracket counts only before a scheme, because an IPv6 address and a setting also begin with one.
OPENING = rf"(?:[{QUOTES}(]|[\[{{](?=[A-Za-z][A-Za-z0-9+._-]*://))+"
ASSIGNED = r"(?:URL=)+"
BARE_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:]+(?:[/?]|$)"
# A host name, after settings are masked: no empty label, no "*" (servers print it as the address they listen on), and
# no control character or space written with %. iPXE decodes these, and %00 would end the name.
HOST = r"(?!\.|.*\.\.)(?:[A-Za-z0-9._~!$&'()+,;=-]|%(?:2[1-9A-Fa-f]|[3-689A-Fa-f][0-9A-Fa-f]|7[0-9A-Ea-e]))+"
# Only digits and dots: an IPv4 address, which has four numbers. iPXE would look up anything else in DNS.
DOTTED = r"[0-9]+(?:\.[0-9]*)+"
IPV4 = r"(?:(?:^|\.)0*(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})){4}"
# The IPv6 addresses that both RFC 4291 and inet6_aton of iPXE accept: without an IPv4 address at the end, and in
# inet6_aton a leading or trailing "::" counts as one word more.
IPV6 = (
    r"(?!.*::.*::)(?!.*:::)(?!:[^:])(?!.*[^:]:$)"
    r"(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?=.*::)(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})"
)
IPV6_SETTINGS = r"[0-9A-Fa-f:]+"  # an address with settings in it, each masked as zeros
ROOT_PATH = r"\$\{(?:[^{}]*/)?root-path[:}]"
ADDRESS = r"\$\{(?:[^{}]*/)?(?:next-server|dhcp-server|gateway|dns)[:}]"
LOCAL_PATH = r"/(?!/)|\.\.?/|~|[A-Za-z]:[\\/]|file:"  # a file on the host that runs boots-from
# Names and addresses of the machine itself. Servers print 0.0.0.0 when they listen on all addresses.
LOOPBACK = r"(?:localhost\.?|127(?:\.[0-9]+){3}|0\.0\.0\.0|\[::1?\])"
HOST_SLIPS = (
    (LOOPBACK, messages.THIS_HOST),
    (rf"(?=.*(?:^|\.)0[0-9]){DOTTED}", messages.OCTAL),
)
# Text that iPXE takes literally, although nobody means it so: the pattern, after settings are masked; whether the place
# in the warning is the last character instead of the first; and the warning.
SLIPS = (
    (r"\$\{", False, messages.UNCLOSED),
    (r"\$\(", False, messages.SHELL),
    (r"\$[A-Za-z_]", False, messages.NO_BRACES),
    (r"\{[A-Za-z][A-Za-z0-9/:._-]*\}", False, messages.NO_DOLLAR),
    (r"[?&][^=&?#]+=(?![^&#])", True, messages.NOTHING_AFTER),
)


# Named tuples without the typing module: see Message.
class Field(
    namedtuple("Field", ("name", "pattern", "bad", "needed", "warned"), defaults=(messages.BAD_HOST, False, False))
):
    """A part of a URL, such as the port, or one of the parts between colons in the URL of a disk."""

    __slots__ = ()
    name: str  # as in the form of the scheme
    pattern: str  # of the whole field; empty for a host, which has its own check
    bad: Message  # for text that does not match
    needed: bool  # whether it must not be empty
    warned: bool  # whether text that does not match gets a warning instead of a refusal


def _or_setting(pattern: str) -> str:
    return rf"{pattern}|.*{SETTING}.*"


def _hex(name: str, digits: str, needed: bool = False) -> Field:
    remedy = f"write {digits.replace(',', ' to ')} hexadecimal digits"
    return Field(name, _or_setting(f"[0-9A-Fa-f]{{{digits}}}"), messages.BAD_FIELD._replace(remedy=remedy), needed)


HOST_FIELD = Field("HOST", "", needed=True)
# No leading 0: iPXE would read the number as octal.
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
PORT_FIELD = Field("PORT", _or_setting(_PORT), messages.BAD_PORT, needed=True)
# Up to four groups of 16 bits (scsi_parse_lun in iPXE).
_LUN = Field("LUN", _or_setting(r"0*[0-9A-Fa-f]{1,4}(?:-[0-9A-Fa-f]{1,4}){0,3}"), messages.BAD_LUN)
_PATH = Field("PATH", ".*[^/]", messages.NO_FILE, needed=True)

# The fields of disk URLs. The last field takes the rest, with any colons in it.
# RFC 4173, section 5.
_ISCSI = (
    HOST_FIELD._replace(name="SERVER"),
    Field("PROTOCOL", "6", messages.PROTOCOL, warned=True),
    PORT_FIELD._replace(needed=False),
    _LUN,
    Field(
        "TARGET",
        _or_setting(r"iqn\.[0-9]{4}-[0-9]{2}\..+|eui\.[0-9A-Fa-f]{16}|naa\.(?:[0-9A-Fa-f]{16}){1,2}"),
        messages.TARGET, needed=True, warned=True,
    ),
)  # fmt: skip
# ATA over Ethernet, section 2.1: 65535 and 255, with all bits set, mean every shelf and every slot.
_SHELF = r"0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-4])"
_SLOT = r"0*(?:25[0-4]|2[0-4][0-9]|1?[0-9]{1,2})"
_AOE = (Field("eSHELF.SLOT", _or_setting(rf"e{_SHELF}\.{_SLOT}"), messages.BAD_AOE, needed=True),)
_IB_SRP = (
    _hex("SGID", "32"), _hex("IDEXT", "16"), _hex("HCA", "16"), _hex("DGID", "32", needed=True), _hex("PKEY", "1,4"),
    _hex("SERVICE", "16", needed=True), _LUN, _hex("TARGETEXT", "16", needed=True), _hex("IOC", "16", needed=True),
)  # fmt: skip


class Scheme(
    namedtuple(
        "Scheme",
        ("name", "transport", "boot", "form", "example", "fields", "path", "ignores", "is_pxe", "lacks", "instead"),
        defaults=((), None, (), False, "", ""),
    )
):
    """A row of the table: a URL scheme, and how iPXE boots from it."""

    __slots__ = ()
    name: str
    transport: str
    boot: str  # the iPXE command; empty if this iPXE lacks the scheme
    form: str
    example: str
    fields: tuple[Field, ...]  # of a disk URL; all other URLs are //[USERINFO@]HOST[:PORT][/PATH][?QUERY]
    path: Field | None  # the check of the path, if the scheme needs one
    ignores: tuple[str, ...]  # the parts that iPXE ignores: keys of `given` in _check_authority
    is_pxe: bool  # whether the path becomes the DHCP filename: PXE programs look for their files beside it
    lacks: str  # if `boot` is empty: why
    instead: str  # if `boot` is empty: what to use


_FILES = (
    Scheme("http", "HTTP", "chain", "http://HOST[:PORT][/PATH]", "http://boot.example.com/boot"),
    Scheme(
        "https", "HTTP over TLS 1.2; with ECDSA only on x86-64 and ARM64 UEFI", "chain",
        "https://HOST[:PORT][/PATH]", "https://boot.example.com/boot",
    ),
    Scheme(
        "tftp", "TFTP", "chain", "tftp://HOST[:PORT]/PATH", "tftp://boot.example.com/boot.ipxe",
        # Only a warning: iPXE asks for a directory also, and the server may know what to send.
        path=_PATH._replace(warned=True), ignores=("user name and password", "query"), is_pxe=True,
    ),
    Scheme(
        "nfs", "NFS v3 over TCP", "chain", "nfs://HOST/EXPORT/PATH", "nfs://boot.example.com/srv/boot.ipxe",
        path=_PATH, ignores=("user name and password", "port", "query"),
    ),
)  # fmt: skip

_DISKS = (
    Scheme(
        "iscsi", "iSCSI", "sanboot", "iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET",
        "iscsi:boot.example.com:::1:iqn.2004-01.example:disk", _ISCSI,
    ),
    Scheme("aoe", "ATA over Ethernet", "sanboot", "aoe:eSHELF.SLOT", "aoe:e0.1", _AOE),
    Scheme(
        "ib_srp", "SRP over InfiniBand", "sanboot",
        "ib_srp:SGID:IDEXT:HCA:DGID:PKEY:SERVICE:LUN:TARGETEXT:IOC",
        "ib_srp::::fe800000000000000002c903000b5c11::0002c903000b5c10::0002c903000b5c10:0002c903000b5c10", _IB_SRP,
    ),
)  # fmt: skip


*_others, _last = (scheme.name for scheme in _FILES)
OVER = f"{', '.join(_others)} or {_last}"  # for messages: how to serve a file
_LACKING = (
    Scheme(
        "ftp", "FTP", "", "ftp://HOST/PATH", "ftp://boot.example.com/boot.ipxe",
        lacks="this iPXE has no FTP", instead=f"serve the file over {OVER}",
    ),
    Scheme(
        "fcp", "Fibre Channel", "", "fcp:WWN:LUN", "fcp:50:00:00:00:00:00:00:01:0",
        lacks="this iPXE has no Fibre Channel", instead="export the disk over iscsi or aoe",
    ),
)  # fmt: skip

SCHEMES = (*_FILES, *_DISKS, *_LACKING)

BY_NAME = {scheme.name: scheme for scheme in SCHEMES}

# User information, in a URL of any scheme. A disk URL has none: its "@" is part of a field.
USERINFO = (
    rf"(?!(?:{'|'.join(scheme.name for scheme in _DISKS)}):)"
    r"(?:[a-z][a-z0-9+._-]*:(?://)?|//)?[^/?#@]*@[^@]*$"
)
# The start of a URL without a scheme, or with another character instead of the colon.
NO_COLON = rf"(?:({'|'.join(scheme.name for scheme in _FILES)})[;.,]?(?=//))?/*"

# A URL that begins with a setting, whose value comes from DHCP. A root path names a disk, any other setting a file.
FROM_SETTING = Scheme("", "whatever the setting names", "chain", "${SETTING}", "${filename}")
FROM_ROOT_PATH = FROM_SETTING._replace(boot="sanboot", example="${root-path}")
BOOTABLE = tuple(scheme.name for scheme in SCHEMES if scheme.boot)


class BootUrl(namedtuple("BootUrl", ("url", "scheme", "public", "warnings", "host", "file"), defaults=((), "", ""))):
    """A URL that iPXE can boot from.

    `url` is the text exactly as given. `public` is the text without user information, which may be printed. `warnings`
    are sentences for the user. `host` is the host as written, with an IPv6 address in brackets; empty if the scheme has
    none. `file` is the path of a tftp URL on its server; empty if the path contains a setting, because the script sets
    the DHCP setting `filename` to it, which could then contain itself.
    """

    __slots__ = ()
    url: str
    scheme: Scheme
    public: str
    warnings: tuple[str, ...]
    host: str
    file: str


class _Refusal(Exception):  # noqa: N818
    """A refusal whose suggested URL has not been checked yet."""

    def __init__(self, message: Message, offset: int, suggestion: str, parts: dict[str, object]) -> None:
        super().__init__()
        self.message, self.offset, self.suggestion, self.parts = message, offset, suggestion, parts


class _Parts(namedtuple("_Parts", ("warnings", "host", "file"), defaults=("", ""))):
    """What the check of a URL returns beside the scheme."""

    __slots__ = ()
    warnings: list[str]
    host: str
    file: str


def parse(url: str) -> BootUrl:
    """Check a URL, and find out how iPXE boots from it.

    Args:
        url: the URL. iPXE settings such as `${net0/mac}` or `${uuid}` may be wherever iPXE expands them.

    Returns:
        The checked URL, with its text unchanged.

    Raises:
        UrlError: iPXE cannot boot from the URL. The message is one ASCII line with the place in the URL (characters
            are counted from 1) and the remedy, and without user information. A suggested URL passes this check
            without a warning.
    """
    try:
        return _parse(url)
    except _Refusal as refusal:
        meant = _acceptable(refusal.suggestion)
        text = refusal.message.text(refusal.offset, **refusal.parts, url=without_userinfo(meant))
        raise UrlError(text, meant) from None


def _acceptable(url: str) -> str:
    """Return the URL, corrected a few more times if necessary; empty if it still has an error or a warning."""
    for _ in range(5):
        if not url:
            return ""
        try:
            return "" if _parse(url).warnings else url
        except _Refusal as refusal:
            url = refusal.suggestion
    return ""


def _parse(url: str) -> BootUrl:
    if not url:
        raise _refusal(messages.EMPTY)
    _refuse_unsafe_characters(url)
    scheme = _scheme(url)
    start = len(scheme.name) + 1 if scheme.name else 0
    fragment = _mask(url).find("#")
    rest = url[start : fragment if fragment >= 0 else None]
    public_from = url.rfind("@") + 1
    check = _check_fields if scheme.fields else _check_authority if scheme.name else _check_setting
    parts = check(scheme, rest, public_from)
    warnings = [messages.FRAGMENT.text(fragment)] if fragment >= 0 else []
    warnings += parts.warnings
    public = without_userinfo(url)
    if not hides_userinfo_only(url):
        warnings.append(messages.HIDDEN.text(public_from - 1))
    return BootUrl(url, scheme, public, (*warnings, *_slips(url)), parts.host, parts.file)


def without_userinfo(url: str) -> str:
    """Return the URL without anything that may be "user:password@", even if the URL is malformed.

    The text before the last "@" may be a password with a "/" or "@" in it, so all of it is left out.
    """
    last = url.rfind("@")
    if last < 0:
        return url
    start = re.match(rf"(?:(?:{'|'.join(BY_NAME)}):)?/*", url, re.IGNORECASE)
    return url[: start.end() if start else 0] + (url[last + 1 :] if hides_userinfo_only(url) else "..." + url[last:])


def hides_userinfo_only(url: str) -> bool:
    """Return whether iPXE reads everything before the last "@", if there is one, as user information."""
    return "@" not in url or re.match(USERINFO, _mask(url), re.IGNORECASE) is not None


def bytes_behind_path(url: str) -> int:
    """Return the length of the query and the fragment in bytes, with the "?" or "#" at their start."""
    found = re.search(r"[?#]", _mask(url))
    return len(url) - found.start() if found else 0


def _refusal(message: Message, offset: int = 0, suggestion: str = "", /, **parts: object) -> _Refusal:
    """Return a refusal; `suggestion` is the URL that was probably meant, if that is clear."""
    return _Refusal(message, offset, suggestion, parts)


def _shown(text: str, offset: int, public_from: int) -> str:
    """Return the quoted text at `offset` in the URL, for a message; nothing if it may be part of a password."""
    return f' "{text}"' if offset >= public_from else ""


def _slips(url: str) -> list[str]:
    """Return warnings about text that iPXE takes literally."""
    masked = _mask(url)
    found = ((re.search(pattern, masked), at_end, warning) for pattern, at_end, warning in SLIPS)
    return [warning.text(slip.end() - 1 if at_end else slip.start()) for slip, at_end, warning in found if slip]


def _refuse_unsafe_characters(url: str) -> None:
    """Refuse characters that would add words or lines to the script, and characters that iPXE corrupts."""
    if url.strip(" ") != url:
        raise _refusal(messages.SPACE_AROUND, 0, url.strip(" "))
    if url.strip(SPACES) != url:
        raise _refusal(messages.INVISIBLE, 0, url.strip(SPACES))
    if assigned := re.match(ASSIGNED, url, re.IGNORECASE):
        raise _refusal(messages.ASSIGNED, 0, url[assigned.end() :])
    # No URL begins with one of these characters, but a URL may end with an ASCII one.
    if opened := re.match(OPENING, url):
        inside = url[opened.end() :]
        for _ in opened[0]:
            inside = inside[:-1] if inside[-1:] in CLOSING else inside
        raise _refusal(messages.QUOTED, 0, inside)
    if not url[len(url.rstrip(QUOTES)) :].isascii():
        raise _refusal(messages.QUOTED, 0, url.rstrip(QUOTES))
    if bad := re.search(r"[\x00-\x20\x7f]", url):
        if bad[0] == " ":
            raise _refusal(messages.SPACE, bad.start(), url.replace(" ", "%20"))
        raise _refusal(messages.CONTROL, bad.start(), code=f"{ord(bad[0]):02X}")
    if bad := re.search(r"[^\x00-\x7f]+", url):
        raise _non_ascii(url, bad)


def _non_ascii(url: str, bad: re.Match[str]) -> _Refusal:
    authority = re.match(r"[A-Za-z0-9+._-]+://(?:[^/?#]*@)?([^/?#:@]*)", url)
    if authority and authority.start(1) <= bad.start() < authority.end(1):
        return _refusal(messages.NON_ASCII_HOST, bad.start())
    suggestion = re.sub(r"[^\x00-\x7f]+", _escaped, url)
    if bad.start() < url.rfind("@"):
        return _refusal(messages.NON_ASCII_HIDDEN, bad.start(), suggestion)
    return _refusal(messages.NON_ASCII, bad.start(), suggestion, escaped=_escaped(bad))


def _escaped(text: re.Match[str]) -> str:
    # Each character on its own: undecodable bytes arrive as these surrogates, and a caller of the library may mix them
    # with others.
    octets = (c.encode("utf-8", "surrogateescape" if "\udc80" <= c <= "\udcff" else "surrogatepass") for c in text[0])
    return "".join(f"%{octet:02X}" for octet in b"".join(octets))


def _scheme(url: str) -> Scheme:
    found = re.match(SCHEME, url)
    name = found[1].lower() if found else ""
    rest = url[found.end() :] if found else ""
    if scheme := BY_NAME.get(name):
        if not scheme.boot:
            raise _refusal(messages.LACKING, **scheme._asdict())
        if not scheme.fields and not rest.startswith("//"):
            slashes = "only one slash" if rest.startswith("/") else "no slashes"
            fixed = f"{name}://{rest.lstrip('/:')}"
            raise _refusal(messages.SLASHES, len(name) + 1, fixed, slashes=slashes, **scheme._asdict())
        return scheme
    if url.startswith("${") and not _mask(url).startswith("${"):
        return FROM_ROOT_PATH if re.match(ROOT_PATH, _mask_inside(url)) else FROM_SETTING
    if url.startswith("${"):
        raise _refusal(messages.UNCLOSED)
    if re.match(LOCAL_PATH, url, re.IGNORECASE):
        raise _refusal(messages.LOCAL_PATH, over=OVER)
    if found and not re.match(r"[0-9]|[^/]*@|\$\{", rest) and not re.match(BARE_IPV6, url):
        shown = _shown(found[1], 0, url.rfind("@") + 1)
        near = next((known for known in BOOTABLE if _is_near(name, known)), "")
        fixed = near + url[len(name) :] if near else ""
        raise _refusal(messages.UNKNOWN_SCHEME, 0, fixed, shown=shown, bootable=", ".join(BOOTABLE))
    fixed = re.sub(f"^{NO_COLON}", lambda found: f"{found[1] or 'http'}://", url)
    raise _refusal(messages.NO_SCHEME, 0, fixed)


def _is_near(word: str, known: str) -> bool:
    """Return whether `word` is `known` with one letter missing, added, replaced (not the first), or two swapped."""
    same = 0
    while same < min(len(word), len(known)) and word[same] == known[same]:
        same += 1
    rest, target = word[same:], known[same:]
    replaced = same > 0 and rest[1:] == target[1:]
    return replaced or rest == target[1:] or rest[1:] == target or rest[1:2] + rest[:1] + rest[2:] == target


def _check_setting(scheme: Scheme, rest: str, public_from: int) -> _Parts:
    """Check a URL that begins with a setting. Only the value of the setting tells what the rest means."""
    # With an "@" the suggestion could show a password.
    is_address = re.match(ADDRESS, _mask_inside(rest)) and not public_from
    return _Parts([messages.ADDRESS.text(url=_acceptable(f"http://{rest}"))] if is_address else [])


def _check_fields(scheme: Scheme, rest: str, public_from: int) -> _Parts:
    """Check the fields of a disk URL, from left to right."""
    offset = len(scheme.name) + 1
    if rest.startswith("/"):
        raise _refusal(messages.DISK_SLASH, offset, **scheme._asdict())
    texts = _split(rest, len(scheme.fields))
    warnings: list[str] = []
    host = ""
    for field, text in zip(scheme.fields, texts, strict=False):
        warnings += _check_field(scheme, field, text, offset, public_from)
        if not field.pattern:
            host = text
        offset += len(text) + 1
    if missing := scheme.fields[len(texts) :]:
        names = ":".join(field.name for field in missing)
        raise _refusal(messages.MISSING, offset - 1, missing=names, **scheme._asdict())
    return _Parts(warnings, host)


def _check_authority(scheme: Scheme, rest: str, public_from: int) -> _Parts:
    """Check //[USERINFO@]HOST[:PORT][/PATH][?QUERY] (RFC 3986, section 3)."""
    # Find the parts in the masked text: iPXE expands settings before it splits, so a "/" inside one is no divider.
    masked = _mask(rest)
    before_query, query, _ = masked.partition("?")
    authority, slash, path = before_query[2:].partition("/")
    path = slash + path
    start = 2 + authority.find("@") + 1
    host_port = rest[start : 2 + len(authority)]
    offset = len(scheme.name) + 1 + start
    host, *port = _split(host_port, 2)
    # iPXE decodes the user information and, if the scheme needs one, the path. The host has its own pattern.
    decoded = masked[:start] + "x" * len(host_port) + (path if scheme.path else "")
    if (nul := decoded.find("%00")) >= 0:
        raise _refusal(messages.NUL, len(scheme.name) + 1 + nul)
    # A stray "@", "/", "?" or "#" in a password moves part of the password to the place of the host or the port.
    stray = _refusal(messages.NOT_USERINFO, public_from - 1) if offset < public_from else None
    if stray and "@" in authority:  # iPXE would show what may be the second half of a password at boot
        raise stray
    try:
        warnings = _check_field(scheme, HOST_FIELD, host, offset, public_from)
        if port:
            if not host.startswith("[") and ":" in _mask(port[0]):
                meant = f"{scheme.name}:{rest[:start]}[{host_port}]{rest[start + len(host_port) :]}"
                raise _refusal(messages.TWO_COLONS, offset, meant if _is_plain_ipv6(host_port) else "")
            _check_field(scheme, PORT_FIELD, port[0], offset + len(host) + 1, public_from)
    except _Refusal as refusal:
        raise stray or refusal from None
    if scheme.path:
        warnings += _check_field(scheme, scheme.path, path, offset + len(host_port), public_from)
    given = {"user name and password": "@" in authority, "port": port, "query": query}
    protocol = scheme.name.upper()
    warnings += [messages.IGNORED.text(protocol=protocol, what=what) for what in scheme.ignores if given[what]]
    # iPXE leaves out the first slash, as in RFC 3617.
    file = rest[start + len(host_port) + 1 :][: len(path) - 1] if scheme.is_pxe else ""
    return _Parts(warnings, host, "" if "${" in file else file)


def _mask(text: str, by: str = "x") -> str:
    """Replace each iPXE setting with letters of the same length, so that nothing inside it looks like a delimiter."""
    while (masked := re.sub(SETTING, lambda setting: by * len(setting[0]), text)) != text:
        text = masked
    return text


def _mask_inside(text: str) -> str:
    """Return a text that begins with a setting, with the settings inside the first one masked."""
    return text[:2] + _mask(text[2:])


def _split(text: str, most: int) -> list[str]:
    """Split at colons outside [...] (IPv6) and ${...} (settings) into at most `most` pieces; the last has the rest."""
    masked = re.sub(r"\[[^\]]*\]?", lambda literal: "x" * len(literal[0]), _mask(text))
    pieces: list[str] = []
    start = 0
    while len(pieces) < most - 1 and (colon := masked.find(":", start)) >= 0:
        pieces.append(text[start:colon])
        start = colon + 1
    return [*pieces, text[start:]]


def _check_field(scheme: Scheme, field: Field, text: str, offset: int, public_from: int) -> list[str]:
    """Check a field; return its warnings. `offset` is the place of its text in the URL."""
    if not text:
        if field.needed:
            raise _refusal(messages.MISSING, offset, missing=field.name, **scheme._asdict())
        return []
    if not field.pattern:
        return _check_host(text, offset, public_from)
    if re.fullmatch(field.pattern, text):
        return []
    parts = {"field": field.name, "shown": _shown(text, offset, public_from), **scheme._asdict()}
    if field.warned:
        return [field.bad.text(offset, **parts)]
    raise _refusal(field.bad, offset, **parts)


def _check_host(host: str, offset: int, public_from: int) -> list[str]:
    shown = _shown(host, offset, public_from)
    if host.startswith("["):
        if not _is_ipv6(host):
            raise _refusal(messages.BAD_IPV6, offset, shown=shown)
    elif re.fullmatch(DOTTED, host):
        if not re.fullmatch(IPV4, host):
            raise _refusal(messages.BAD_IPV4, offset, shown=shown)
    elif not re.fullmatch(HOST, masked := _mask(host)):
        good = re.match(HOST, masked)
        end = good.end() if good else 0
        bad = messages.BAD_HOST_SETTING if host[end] == "{" else messages.BAD_HOST
        raise _refusal(bad, offset + end, shown=shown)
    return [warning.text(offset) for pattern, warning in HOST_SLIPS if re.fullmatch(pattern, host, re.IGNORECASE)]


def _is_plain_ipv6(text: str) -> bool:
    """Return whether the text is an IPv6 address without brackets that cannot be an address and a port."""
    before, _, last = text.rpartition(":")
    return bool(re.fullmatch(IPV6, text)) and not (last.isdecimal() and re.fullmatch(IPV6, before))


def _is_ipv6(host: str) -> bool:
    if not host.endswith("]"):
        return False
    address, percent, zone = host[1:-1].partition("%")
    if percent and not re.fullmatch(HOST, _mask(zone)):
        return False
    masked = _mask(address, "0")
    return re.fullmatch(IPV6 if masked == address else IPV6_SETTINGS, masked) is not None
