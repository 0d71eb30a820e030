"""Which URLs iPXE can boot from, and what each scheme means to it.

`SCHEMES` is the single source: validation, the boot script, `--help`, the README's table and every
message come from it.

Not handled here: whether a name resolves or a server answers; what an iPXE setting such as
`${net0/mac}` expands to (it is taken as an opaque piece of a host, a port or a path).

Refused is what iPXE can't boot from, or would take for something else than is written (tests/boot/test_urls.py
asks it). What it boots from, but was surely meant otherwise, gets a warning.

No message holds anything of what may be a password: all that stands before the last "@".

Sources: RFC 3986 (URI), RFC 4173 (iscsi), RFC 6874 (IPv6 zone), https://ipxe.org/sanuri, and how
iPXE 2.0's own URI parser splits: fragment, query, then authority; user information ends at the
first "@".
"""

import re
from typing import NamedTuple

from boots_from.errors import UrlError


class Scheme(NamedTuple):
    """One row of the table: a URL scheme and how iPXE boots from it."""

    name: str
    transport: str
    boot: str  # the iPXE command; empty when this iPXE lacks the scheme
    form: str
    example: str
    needs: tuple[str, ...]
    instead: str = ""  # only where boot is empty: why not, and what to use

    @property
    def how(self) -> str:
        """The mend of a URL that lacks a part."""
        return f"write {self.form}, such as {self.example}"


SCHEMES = (
    Scheme("http", "HTTP", "chain", "http://HOST[:PORT][/PATH]", "http://bootserver/boot", ("host",)),
    Scheme(
        "https", "HTTP over TLS 1.2; ECDSA on x86-64 and ARM64 UEFI alone", "chain",
        "https://HOST[:PORT][/PATH]", "https://bootserver/boot", ("host",),
    ),
    Scheme("tftp", "TFTP", "chain", "tftp://HOST[:PORT]/PATH", "tftp://bootserver/boot.ipxe", ("host", "path")),
    Scheme(
        "nfs", "NFS v3 over TCP", "chain", "nfs://HOST/EXPORT/PATH",
        "nfs://bootserver/srv/boot.ipxe", ("host", "path"),
    ),
    Scheme(
        "iscsi", "iSCSI", "sanboot", "iscsi:SERVER:PROTOCOL:PORT:LUN:TARGET",
        "iscsi:bootserver:::1:iqn.2004-01.example:disk", ("server", "target"),
    ),
    Scheme("aoe", "ATA over Ethernet", "sanboot", "aoe:eSHELF.SLOT", "aoe:e0.1", ("shelf", "slot")),
    Scheme(
        "ib_srp", "SRP over InfiniBand", "sanboot",
        "ib_srp:SGID:IDEXT:HCA:DGID:PKEY:SERVICE:LUN:TARGETEXT:IOC",
        "ib_srp::::fe800000000000000002c903000b5c11::0002c903000b5c10::0002c903000b5c10:0002c903000b5c10",
        ("dgid", "service", "targetext", "ioc"),
    ),
    Scheme(
        "ftp", "FTP", "", "ftp://HOST/PATH", "ftp://bootserver/boot.ipxe", (),
        "this iPXE has no FTP; serve the file over http://, https://, tftp:// or nfs://",
    ),
    Scheme(
        "fcp", "Fibre Channel", "", "fcp:WWN:LUN", "fcp:50:00:00:00:00:00:00:01:0", (),
        "this iPXE has no Fibre Channel; export the disk over iscsi: or aoe:",
    ),
)  # fmt: skip

BY_NAME = {scheme.name: scheme for scheme in SCHEMES}

# A URL that begins with a setting: what that holds, DHCP says. A root path names a disk, all else a file.
FROM_SETTING = Scheme("", "whatever the setting names", "chain", "${SETTING}", "${filename}", ())
FROM_ROOT_PATH = FROM_SETTING._replace(boot="sanboot", example="${root-path}")
BOOTABLE = tuple(scheme.name for scheme in SCHEMES if scheme.boot)

# The patterns are in the syntax that Python and JavaScript share: the page that bakes takes them from here.
# An iPXE setting, nested at most once, as in ${net${i}/mac}.
SETTING = r"\$\{[^{}]*(?:\$\{[^{}]*\}[^{}]*)*\}"
# Compiled when first used: most URLs need few of them, and each takes 0.2 to 1 ms.
SCHEME = r"([A-Za-z][A-Za-z0-9+._-]*):"
USERINFO = r"(?!iscsi:|aoe:|ib_srp:)(?:[a-z][a-z0-9+._-]*:(?://)?|//)?[^/?#@]*@[^@]*$"
HOST = rf"(?:{SETTING}|[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{{2}})+"
ROOT_PATH = r"\$\{(?:[^{}]*/)?root-path[:}]"
ADDRESS = r"\$\{(?:[^{}]*/)?(?:next-server|dhcp-server|gateway|dns)[:}]"
LOCAL_PATH = r"/(?!/)|\.\.?/|~|[A-Za-z]:[\\/]|file:"  # on the host that bakes
QUOTES = "[\"'`<>\u00ab\u00b4\u00bb\u2018-\u201f\u2039\u203a]+"
# The host, and the network that never leaves it; "0.0.0.0" is what servers say when they listen on all addresses.
LOOPBACK = r"(?:localhost|127(?:\.[0-9]+){3}|0\.0\.0\.0|\[::1?\])"
OCTAL = r"(?=.*(?:^|\.)0[0-9])[0-9]+(?:\.[0-9]+){3}"
# What iPXE takes literally, and nobody means so: the pattern, where settings are masked, and the warning.
SLIPS = (
    (r"\$\{", "unclosed"),
    (r"\$\(", "shell"),
    (r"\$[A-Za-z_]", "no braces"),
    (r"\{[A-Za-z][A-Za-z0-9/:._-]*\}", "no dollar"),
    (r"[?&][^=&?#]+=(?![^&#])", "nothing after"),
)
ISCSI_LUN = r"0*[0-9A-Fa-f]{1,4}(-[0-9A-Fa-f]{1,4}){0,3}"
ISCSI_TARGET = r"iqn\.[0-9]{4}-[0-9]{2}\..+|eui\.[0-9A-Fa-f]{16}|naa\.(?:[0-9A-Fa-f]{16}){1,2}"
AOE = r"e([0-9]+)\.([0-9]+)"
# Field, length in bytes. Each is written as twice as many hexadecimal digits.
IB_SRP_FIELDS = (
    ("SGID", 16), ("IDEXT", 8), ("HCA", 8), ("DGID", 16), ("PKEY", 2),
    ("SERVICE", 8), ("LUN", 0), ("TARGETEXT", 8), ("IOC", 8),
)  # fmt: skip


# What the user reads. {at} is a place in the URL; the others are named where they are filled in.
MESSAGES = {
    "empty": "the URL is empty: give the URL to boot from, such as {example}",
    "space around": "space around the URL: remove it",
    "quotes": "quotes or brackets around the URL: remove them",
    "space": "space {at}: write it as %20",
    "control": "control character 0x{code} {at}: remove it",
    "non-ASCII": "non-ASCII character {at}: {mend}",
    "no host name": "no host name can hold it; use the name's ASCII (xn--) form",
    "write it": "write it as {escaped}",
    "write its bytes": "write each of its bytes, in UTF-8, as % and two hexadecimal digits",
    "lacking": 'can\'t boot from "{name}:" {at}: {instead}',
    "unknown scheme": "unknown scheme{shown} {at}: use one of {bootable}",
    "near scheme": "unknown scheme{shown} {at}: did you mean {url}?",
    "no scheme": "no scheme {at}: did you mean {url}?",
    "local path": "a path, not a URL {at}: serve that file over http, https, tftp or nfs, and give its URL, "
    "such as {example}",
    "slashes": '{slashes} after "{name}:" {at}: did you mean {url}?',
    "two colons": "two colons in the host {at}: {mend}",
    "no host": "no host {at}: {how}",
    "bad port": "{what} {at}: {mend}",
    "no path": "no path {at}: {how}",
    "no file": "no file name after the slash {at}: {name} boots a file, not a directory",
    "bad IPv6": "bad IPv6 address{shown} {at}: write it as in http://[2001:db8::1]/boot",
    "bad IPv4": "bad IPv4 address{shown} {at}: each of the four numbers is at most 255",
    "bad host": "bad host{shown} {at}: {mend}",
    "iscsi slash": "slash {at}: an iscsi URL has none; {how}",
    "missing": "no {fields} {at}: {how}",
    "bad PORT": "bad PORT{shown} {at}: {mend}, or empty for 3260",
    "bad LUN": "bad LUN{shown} {at}: write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty",
    "bad AoE": "bad shelf and slot {at}: write {form} (shelf 0 to 65534, slot 0 to 254), such as {example}",
    "fields": "{count} fields {at}, not {wanted}: {how}",
    "bad field": "bad {name}{shown} {at}: write {digits} hexadecimal digits",
    "too long": "the URL is {length} bytes long, {over} too many: use at most {limit} bytes",
    "two at signs": '"@" {at}: {mend}, and "@" in a path as %40',
    # Warnings.
    "fragment dropped": "iPXE drops the fragment (from # at character {number}) and does not send it",
    "ignores": "iPXE's {protocol} ignores the {what}",
    "no name": "no file name after the slash {at}: {name} boots a file, not a directory",
    "target": "the target {at} does not begin with iqn.YYYY-MM., eui. or naa.: it has to be the server's name for it",
    "PROTOCOL": "iPXE ignores PROTOCOL {at}: iscsi is always over TCP",
    "address": "an address, not a URL {at}: did you mean {url}?",
    "this host": "the host {at} is, for the machine that boots, that machine itself: use the server's name or address",
    "octal": "iPXE reads a number that begins with 0 as octal, {at}: write it without the 0",
    "path at": 'what stands before "@" {at} is not shown, for it may be a password (in one, write "/" as %2F); '
    'if it is not, write that "@" as %40',
    "unclosed": "a setting is not closed {at}: write it as in {right}",
    "shell": "iPXE runs no $(...) {at}: only settings such as {right} are filled in",
    "no braces": "$ without braces {at}: iPXE fills in {right}, not $mac",
    "no dollar": "braces without $ {at}: iPXE fills in {right}, not {wrong}",
    "nothing after": "nothing after = {at}: if the shell took a setting such as {right}, put the URL in single quotes",
    # Pieces of these.
    "port": "a port is a number from 1 to 65535, without a 0 in front",
    "user information": 'in a user name or password write "@" as %40, "/" as %2F and ":" as %3A',
    "brackets": "an IPv6 address goes in brackets, as in http://[2001:db8::1]/boot",
    "a host": "use a host name, an IPv4 address or [an IPv6 address]",
    "a setting": "write a setting as in {right}",
}
EXAMPLES = {"right": "${net0/mac}", "wrong": "{mac}", "example": SCHEMES[0].example}


class ChainUrl(NamedTuple):
    """A URL that iPXE can boot from.

    `url` is the text exactly as given. `public` is the same without user information: what may be
    printed. `warnings` are sentences for the user. `host` is as it was written, an IPv6 address in
    brackets; empty where the scheme has none. `file` is what a tftp URL names on its server.
    """

    url: str
    scheme: Scheme
    public: str
    warnings: tuple[str, ...] = ()
    host: str = ""
    file: str = ""


class _Parts(NamedTuple):
    """What the check of a scheme's URLs finds in one."""

    host: str = ""
    file: str = ""
    warnings: tuple[str, ...] = ()


def parse(url: str) -> ChainUrl:
    """Check a URL and say how iPXE boots from it.

    Args:
        url: the URL, with iPXE settings such as `${net0/mac}` or `${uuid}` wherever iPXE expands them.

    Returns:
        The checked URL; its text is never changed.

    Raises:
        UrlError: iPXE could not boot from it. The message is one ASCII line that names the place in
            the URL (characters are counted from 1) and the mend, and holds no user information.
    """
    if not url:
        raise _refusal("empty")
    _refuse_unsafe_characters(url)
    scheme = _scheme(url)
    start = len(scheme.name) + 1 if scheme.name else 0
    warnings = []
    fragment = _mask(url).find("#")
    if fragment >= 0:
        warnings.append(_message("fragment dropped", number=fragment + 1))
    check = {
        "": _check_setting,
        "iscsi": _check_iscsi,
        "aoe": _check_aoe,
        "ib_srp": _check_ib_srp,
    }.get(scheme.name, _check_authority)
    hidden = url.rfind("@") + 1
    parts = check(scheme, url[start : fragment if fragment >= 0 else None], hidden)
    warnings += parts.warnings
    public = without_userinfo(url)
    if public != url and not _is_userinfo(url):
        warnings.append(_message("path at", hidden - 1))
    return ChainUrl(url, scheme, public, (*warnings, *_slips(url)), parts.host, parts.file)


def without_userinfo(url: str) -> str:
    """Return the URL without all that may be "user:password@", also when the URL is malformed.

    What stands before the last "@" may be a password that holds a "/" or a "@": better to show less than that.
    """
    last = url.rfind("@")
    if last < 0:
        return url
    start = re.match(rf"(?:(?:{'|'.join(BY_NAME)}):)?/*", url, re.IGNORECASE)
    return url[: start.end() if start else 0] + (url[last + 1 :] if _is_userinfo(url) else "..." + url[last:])


def _is_userinfo(url: str) -> bool:
    """Return whether iPXE too takes all that stands before the last "@" for user information."""
    return re.match(USERINFO, _mask(url), re.IGNORECASE) is not None


def _message(message: str, offset: int = 0, /, **parts: object) -> str:
    """Return one of the messages, about the place `offset` in the URL."""
    return MESSAGES[message].format(**{"at": f"at character {offset + 1} of the URL", **EXAMPLES, **parts})


def _refusal(message: str, offset: int = 0, suggestion: str = "", /, **parts: object) -> UrlError:
    """Return the error with one of the messages; `suggestion` is the URL that may be meant, if that is clear."""
    if not re.fullmatch(r"[!-~]+", suggestion):
        suggestion = ""
    return UrlError(_message(message, offset, **parts), suggestion)


def _shown(text: str, offset: int, hidden: int) -> str:
    """Return what stands at `offset` in the URL as the user reads it: nothing, if it may be a password."""
    return f' "{text}"' if offset >= hidden else ""


def _slips(url: str) -> list[str]:
    """Return warnings of what was surely meant otherwise."""
    masked = _mask(url)
    found = ((re.search(pattern, masked), name) for pattern, name in SLIPS)
    return [_message(name, slip.end() - 1 if name == "nothing after" else slip.start()) for slip, name in found if slip]


def _refuse_unsafe_characters(url: str) -> None:
    """Refuse what would split or add lines and words of the script, and what iPXE corrupts."""
    if url.strip(" ") != url:
        raise _refusal("space around", 0, url.strip(" "))
    # No URL begins with one of these; one may end with those of ASCII.
    if re.match(QUOTES, url) or re.search(rf"(?![!-~]){QUOTES}$(?!\n)", url):
        raise _refusal("quotes", 0, re.sub(rf"^{QUOTES}|{QUOTES}$(?!\n)", "", url))
    if bad := re.search(r"[\x00-\x20\x7f]", url):
        if bad[0] == " ":
            raise _refusal("space", bad.start(), url.replace(" ", "%20"))
        raise _refusal("control", bad.start(), code=f"{ord(bad[0]):02X}")
    if bad := re.search(r"[^\x00-\x7f]+", url):
        raise _non_ascii(url, bad)


def _non_ascii(url: str, bad: re.Match[str]) -> UrlError:
    authority = re.match(r"[A-Za-z0-9+._-]+://(?:[^/?#]*@)?([^/?#:@]*)", url)
    if authority and authority.start(1) <= bad.start() < authority.end(1):
        return _refusal("non-ASCII", bad.start(), mend=MESSAGES["no host name"])
    hidden = bad.start() < url.rfind("@")
    mend = MESSAGES["write its bytes"] if hidden else _message("write it", escaped=_escaped(bad))
    return _refusal("non-ASCII", bad.start(), re.sub(r"[^\x00-\x7f]+", _escaped, url), mend=mend)


def _escaped(text: re.Match[str]) -> str:
    octets = text[0].encode("utf-8", "surrogateescape" if re.search("[\udc80-\udcff]", text[0]) else "surrogatepass")
    return "".join(f"%{octet:02X}" for octet in octets)


def _scheme(url: str) -> Scheme:
    found = re.match(SCHEME, url)
    name = found[1].lower() if found else ""
    if scheme := BY_NAME.get(name):
        if not scheme.boot:
            raise _refusal("lacking", name=name, instead=scheme.instead)
        rest = url[found.end() :] if found else ""
        if scheme.boot == "chain" and not rest.startswith("//"):
            slashes = "one slash" if rest.startswith("/") else "no slashes"
            fixed = f"{name}://{rest.lstrip('/')}"
            shown = without_userinfo(fixed)
            raise _refusal("slashes", len(name) + 1, fixed, slashes=slashes, name=name, url=shown)
        return scheme
    if re.match(SETTING, url):
        return FROM_ROOT_PATH if re.match(ROOT_PATH, url) else FROM_SETTING
    if url.startswith("${"):
        raise _refusal("unclosed")
    if re.match(LOCAL_PATH, url, re.IGNORECASE):
        raise _refusal("local path")
    if found and not re.match(r"[0-9]|[^/]*@|\$\{", url[found.end() :]) and not url.startswith("["):
        shown = _shown(found[1], 0, url.rfind("@") + 1)
        for near in BOOTABLE:
            if _is_near(name, near):
                fixed = near + url[len(name) :]
                raise _refusal("near scheme", 0, fixed, shown=shown, url=without_userinfo(fixed))
        raise _refusal("unknown scheme", shown=shown, bootable=", ".join(BOOTABLE))
    fixed = re.sub(r"^(?:(https?|tftp|nfs)(?=//))?/*", lambda found: f"{found[1] or 'http'}://", url)
    raise _refusal("no scheme", 0, fixed, url=without_userinfo(fixed))


def _is_near(word: str, known: str) -> bool:
    """Return whether one letter of `known` is missing, too many, another (but the first), or two are swapped."""
    same = 0
    while same < min(len(word), len(known)) and word[same] == known[same]:
        same += 1
    rest, wanted = word[same:], known[same:]
    replaced = same > 0 and rest[1:] == wanted[1:]
    return replaced or rest == wanted[1:] or rest[1:] == wanted or rest[1:2] + rest[:1] + rest[2:] == wanted


def _check_setting(scheme: Scheme, rest: str, hidden: int) -> _Parts:
    """Check a URL that begins with a setting: what else is in it depends on that."""
    is_address = re.match(ADDRESS, rest) and not hidden
    return _Parts(warnings=(_message("address", url=f"http://{rest}"),) if is_address else ())


def _check_authority(scheme: Scheme, rest: str, hidden: int) -> _Parts:
    """Check //[USERINFO@]HOST[:PORT][/PATH][?QUERY] (RFC 3986, section 3)."""
    # Where the parts end is read off the masked text: iPXE expands settings before it splits.
    masked = _mask(rest)
    authority, slash, path = masked.partition("?")[0][2:].partition("/")
    path = slash + path
    _, at_sign, _ = authority.partition("@")
    start = 2 + authority.find("@") + 1
    host_port = rest[start : 2 + len(authority)]
    here = len(scheme.name) + 1 + start

    host, colon, port = _split_port(host_port)
    # A stray "@", "/" or ":" in a password moves part of it to where the host or the port should be.
    secret = here < hidden
    if not host_port.startswith("[") and ":" in _mask(port):
        raise _refusal("two colons", here, mend=MESSAGES["user information" if secret else "brackets"])
    if not host:
        raise _refusal("no host", here, how=scheme.how)
    warnings = _check_host(host, here, hidden)
    if colon and not _is_port(port):
        what = f"bad port{_shown(port, here, hidden)}" if port else "no port after the colon"
        mend = MESSAGES["user information" if secret else "port"]
        raise _refusal("bad port", here + len(host) + 1, what=what, mend=mend)
    if at_sign and secret:  # iPXE would show, at boot, what may be the second half of a password
        raise _refusal("two at signs", hidden - 1, mend=MESSAGES["user information"])

    here += len(host_port)
    lacking = "path" in scheme.needs and path == ""
    if lacking or (scheme.name == "nfs" and path.strip("/") == ""):
        raise _refusal("no path", here, how=scheme.how)
    if scheme.name == "nfs" and path.endswith("/"):
        raise _refusal("no file", here + len(path) - 1, name=scheme.name)
    if scheme.name == "tftp" and path.endswith("/"):  # iPXE asks for it, and a server may know what to send
        warnings.append(_message("no name", here + len(path) - 1, name=scheme.name))
    if scheme.name in ("nfs", "tftp"):
        parts = {"user name and password": at_sign, "port": colon * (scheme.name == "nfs"), "query": "?" in masked}
        protocol = scheme.name.upper()
        warnings += [_message("ignores", protocol=protocol, what=what) for what, given in parts.items() if given]
    # iPXE leaves out the slash before it, as in RFC 3617.
    file = rest[start + len(host_port) + 1 :][: len(path) - 1] if scheme.name == "tftp" else ""
    return _Parts(host, file, tuple(warnings))


def _mask(text: str) -> str:
    """Replace each iPXE setting by as many letters, so that nothing inside it looks like a delimiter."""
    return re.sub(SETTING, lambda setting: "x" * len(setting[0]), text)


def _split_port(host_port: str) -> tuple[str, str, str]:
    """Split HOST[:PORT] at the first colon outside [...] (IPv6) and ${...} (a setting)."""
    masked = re.sub(r"\[[^\]]*\]|\[.*", lambda literal: "x" * len(literal[0]), _mask(host_port))
    host, colon, _ = masked.partition(":")
    return host_port[: len(host)], colon, host_port[len(host) + 1 :]


def _is_port(text: str) -> bool:
    if re.search(SETTING, text):
        return True
    # No 0 in front: iPXE would read it as octal.
    return re.fullmatch(r"[1-9][0-9]{0,4}", text) is not None and int(text) <= 65535


def _check_host(host: str, here: int, hidden: int) -> list[str]:
    shown = _shown(host, here, hidden)
    if host.startswith("["):
        if not _is_ipv6(host):
            raise _refusal("bad IPv6", here, shown=shown)
    elif re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) and any(int(part) > 255 for part in host.split(".")):
        raise _refusal("bad IPv4", here, shown=shown)
    elif not re.fullmatch(HOST, host):
        good = re.match(HOST, host)
        end = good.end() if good else 0
        mend = "user information" if here < hidden else "a setting" if host[end] == "{" else "a host"
        raise _refusal("bad host", here + end, shown=shown, mend=_message(mend))
    slips = {"this host": LOOPBACK, "octal": OCTAL}
    return [_message(name, here) for name, pattern in slips.items() if re.fullmatch(pattern, host, re.IGNORECASE)]


def _is_ipv6(host: str) -> bool:
    import ipaddress  # 5 ms to import, and most URLs hold none

    if not host.endswith("]"):
        return False
    address, _, zone = host[1:-1].partition("%")
    if re.fullmatch(SETTING, address):
        return True
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return "%" not in host or re.fullmatch(HOST, zone) is not None


def _fields(text: str) -> list[str]:
    """Split at colons outside [...] and ${...}."""
    return re.findall(rf"(?:^|:)((?:\[[^\]]*\]|{SETTING}|[^:])*)", text)


def _check_iscsi(scheme: Scheme, rest: str, hidden: int) -> _Parts:
    """Check SERVER:PROTOCOL:PORT:LUN:TARGET (RFC 4173, section 5)."""
    here = len("iscsi:")
    if rest.startswith("/"):
        raise _refusal("iscsi slash", here, how=scheme.how)
    fields = _fields(rest)
    if len(fields) < 5:
        missing = scheme.form.split(":")[1 + len(fields) :]
        raise _refusal("missing", here + len(rest), fields=":".join(missing), how=scheme.how)
    server, protocol, port, lun = fields[:4]
    target = ":".join(fields[4:])
    if not server:
        raise _refusal("missing", here, fields="server", how=scheme.how)
    warnings = _check_host(server, here, hidden)
    here += len(server) + 1
    if protocol not in ("", "6"):
        warnings.append(_message("PROTOCOL", here))
    here += len(protocol) + 1
    if port and not _is_port(port):
        raise _refusal("bad PORT", here, shown=_shown(port, here, hidden), mend=MESSAGES["port"])
    here += len(port) + 1
    if lun and not re.search(SETTING, lun) and not re.fullmatch(ISCSI_LUN, lun):
        raise _refusal("bad LUN", here, shown=_shown(lun, here, hidden))
    here += len(lun) + 1
    if not target:
        raise _refusal("missing", here, fields="target", how=scheme.how)
    if not re.search(SETTING, target) and not re.fullmatch(ISCSI_TARGET, target):
        warnings.append(_message("target", here))
    return _Parts(server, warnings=tuple(warnings))


def _check_aoe(scheme: Scheme, rest: str, hidden: int) -> _Parts:
    """Check eSHELF.SLOT; both all ones mean broadcast (ATA over Ethernet, section 2.1)."""
    address = re.fullmatch(AOE, rest)
    known = address is not None and int(address[1]) < 0xFFFF and int(address[2]) < 0xFF
    if not known and not re.search(SETTING, rest):
        raise _refusal("bad AoE", len("aoe:"), form=scheme.form, example=scheme.example)
    return _Parts()


def _check_ib_srp(scheme: Scheme, rest: str, hidden: int) -> _Parts:
    """Check nine fields of hexadecimal digits, some of which may be empty."""
    here = len("ib_srp:")
    fields = _fields(rest)
    if len(fields) != len(IB_SRP_FIELDS):
        raise _refusal("fields", here, count=len(fields), wanted=len(IB_SRP_FIELDS), how=scheme.how)
    for text, (name, octets) in zip(fields, IB_SRP_FIELDS, strict=True):
        if name.lower() in scheme.needs and not text:
            raise _refusal("missing", here, fields=name, how=scheme.how)
        digits = f"{{{2 * octets}}}" if octets else "{1,16}"
        if text and not re.search(SETTING, text) and not re.fullmatch(f"[0-9A-Fa-f]{digits}", text):
            shown = _shown(text, here, hidden)
            raise _refusal("bad field", here, name=name, shown=shown, digits=2 * octets or "1 to 16")
        here += len(text) + 1
    return _Parts()
