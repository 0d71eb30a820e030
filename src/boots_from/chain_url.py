"""Which URLs iPXE can boot from, and what each scheme means to it.

`SCHEMES` is the single source: validation, the boot script, `--help`, the README's table and every
message come from it.

Not handled here: whether a name resolves or a server answers; what an iPXE setting such as
`${net0/mac}` expands to (it is taken as an opaque piece of a host, a port or a path).

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
BOOTABLE = tuple(scheme.name for scheme in SCHEMES if scheme.boot)

# The patterns are in the syntax that Python and JavaScript share: the page that bakes takes them from here.
# An iPXE setting, nested at most once, as in ${net${i}/mac}.
SETTING = r"\$\{[^{}]*(?:\$\{[^{}]*\}[^{}]*)*\}"
# Compiled when first used: most URLs need few of them, and each takes 0.2 to 1 ms.
SCHEME = r"([A-Za-z][A-Za-z0-9+._-]*):"
HOST = rf"(?:{SETTING}|[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{{2}})+"
NAME = r"(?:[A-Za-z0-9.-]|[^\x00-\x7f])+"  # which IDNA may turn into ASCII
ISCSI_LUN = r"[0-9A-Fa-f]{1,4}(-[0-9A-Fa-f]{1,4}){0,3}"
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
    "space": "space {at}: write it as %20",
    "control": "control character 0x{code} {at}: remove it",
    "non-ASCII": "non-ASCII character {at}: {mend}",
    "write the host": "write the host as {host}",
    "no host name": "no host name can hold it; use the name's ASCII (xn--) form",
    "write it": "write it as {escaped}",
    "lacking": 'can\'t boot from "{name}:" {at}: {instead}',
    "unknown scheme": 'unknown scheme "{name}" {at}: use one of {bootable}',
    "no scheme": "no scheme {at}: did you mean {url}?",
    "slashes": '{slashes} after "{name}:" {at}: did you mean {name}:{url}?',
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
    "bad PROTOCOL": 'bad PROTOCOL "{text}" {at}: leave it empty, or write 6 for TCP',
    "bad PORT": 'bad PORT "{text}" {at}: {mend}, or empty for 3260',
    "bad LUN": ('bad LUN "{text}" {at}: write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty'),
    "bad TARGET": 'bad TARGET "{text}" {at}: a target starts with iqn.YYYY-MM., eui. or naa.',
    "bad AoE": ("bad shelf and slot {at}: write {form} (shelf 0 to 65534, slot 0 to 254), such as {example}"),
    "fields": "{count} fields {at}, not {wanted}: {how}",
    "bad field": 'bad {name} "{text}" {at}: write {digits} hexadecimal digits',
    "too long": "the URL is {length} bytes long, {over} too many: use at most {limit} bytes",
    "fragment dropped": "iPXE drops the fragment (from # at character {number}) and does not send it",
    "NFS ignores": "iPXE's NFS ignores the {what}",
    "port": "a port is a number from 1 to 65535",
    "user information": 'in a user name or password write "@" as %40, "/" as %2F and ":" as %3A',
    "brackets": "an IPv6 address goes in brackets, as in http://[2001:db8::1]/boot",
    "a host": "use a host name, an IPv4 address or [an IPv6 address]",
}


class ChainUrl(NamedTuple):
    """A URL that iPXE can boot from.

    `url` is the text exactly as given. `public` is the same without user information: what may be
    printed. `warnings` are sentences for the user.
    """

    url: str
    scheme: Scheme
    public: str
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
        raise _refusal("empty", example=SCHEMES[0].example)
    _refuse_unsafe_characters(url)
    scheme = _scheme(url)
    rest = url[len(scheme.name) + 1 :]
    warnings = []
    fragment = _mask(url).find("#")
    if fragment >= 0:
        warnings.append(MESSAGES["fragment dropped"].format(number=fragment + 1))
        rest = url[len(scheme.name) + 1 : fragment]
    check = {"iscsi": _check_iscsi, "aoe": _check_aoe, "ib_srp": _check_ib_srp}.get(scheme.name, _check_authority)
    warnings.extend(check(scheme, rest))
    public = without_userinfo(url) if check is _check_authority else url
    return ChainUrl(url, scheme, public, tuple(warnings))


def without_userinfo(url: str) -> str:
    """Return the URL without "user:password@", also when the URL is malformed.

    An "@" in the path is no user information, but text up to the last "@" before the first "/" is
    dropped even if a scheme or a slash is missing: better to show less than a password.
    """
    found = re.match(r"((?:[A-Za-z0-9+._-]+:)??/*)[^/?#]*@", _mask(url))
    return url[: found.end(1)] + url[found.end() :] if found else url


def _refusal(message: str, offset: int = 0, **parts: object) -> UrlError:
    """Return the error with one of the messages, about the place `offset` in the URL."""
    return UrlError(MESSAGES[message].format(at=f"at character {offset + 1} of the URL", **parts))


def _refuse_unsafe_characters(url: str) -> None:
    """Refuse what would split or add lines and words of the script, and what iPXE corrupts."""
    if bad := re.search(r"[\x00-\x20\x7f]", url):
        if bad[0] == " " and url.strip(" ") != url:
            raise _refusal("space around")
        if bad[0] == " ":
            raise _refusal("space", bad.start())
        raise _refusal("control", bad.start(), code=f"{ord(bad[0]):02X}")
    if bad := re.search(r"[^\x00-\x7f]+", url):
        raise _refusal("non-ASCII", bad.start(), mend=_ascii_mend(url, bad))


def _ascii_mend(url: str, bad: re.Match[str]) -> str:
    authority = re.match(r"[A-Za-z0-9+._-]+://(?:[^/?#]*@)?([^/?#:@]*)", url)
    if authority and authority.start(1) <= bad.start() < authority.end(1):
        try:
            if not re.fullmatch(NAME, authority[1]):
                raise UnicodeError
            return MESSAGES["write the host"].format(host=authority[1].encode("idna").decode("ascii"))
        except UnicodeError:
            return MESSAGES["no host name"]
    octets = bad[0].encode("utf-8", "surrogateescape" if re.search("[\udc80-\udcff]", bad[0]) else "surrogatepass")
    return MESSAGES["write it"].format(escaped="".join(f"%{octet:02X}" for octet in octets))


def _scheme(url: str) -> Scheme:
    found = re.match(SCHEME, url)
    name = found[1].lower() if found else ""
    if scheme := BY_NAME.get(name):
        if not scheme.boot:
            raise _refusal("lacking", 0, name=name, instead=scheme.instead)
        return scheme
    if found and not re.match(r"[0-9]|[^/]*@|\$\{", url[found.end() :]) and not url.startswith("["):
        raise _refusal("unknown scheme", 0, name=found[1], bootable=", ".join(BOOTABLE))
    bare = re.sub(r"^(?:(https?|tftp|nfs)(?=//))?/*", lambda found: f"{found[1] or 'http'}://", without_userinfo(url))
    raise _refusal("no scheme", 0, url=bare)


def _check_authority(scheme: Scheme, rest: str) -> list[str]:
    """Check //[USERINFO@]HOST[:PORT][/PATH][?QUERY] (RFC 3986, section 3)."""
    here = len(scheme.name) + 1
    if not rest.startswith("//"):
        slashes = "one slash" if rest.startswith("/") else "no slashes"
        bare = without_userinfo("//" + rest.lstrip("/"))
        raise _refusal("slashes", here, slashes=slashes, name=scheme.name, url=bare)
    # Where the parts end is read off the masked text: iPXE expands settings before it splits.
    masked = _mask(rest)
    authority, slash, path = masked.partition("?")[0][2:].partition("/")
    path = slash + path
    _, at_sign, _ = authority.partition("@")
    start = 2 + authority.find("@") + 1
    host_port = rest[start : 2 + len(authority)]
    here += start
    # A stray "@", "/" or ":" in a password moves part of it to where the host or the port should be.
    secret = masked.count("@") > len(at_sign)

    host, colon, port = _split_port(host_port)
    if not host_port.startswith("[") and ":" in _mask(port):
        raise _refusal("two colons", here, mend=MESSAGES["user information" if secret else "brackets"])
    if not host:
        raise _refusal("no host", here, how=scheme.how)
    _check_host(host, here, secret)
    if colon and not _is_port(port):
        what = "bad port" if secret else f'bad port "{port}"' if port else "no port after the colon"
        mend = MESSAGES["user information" if secret else "port"]
        raise _refusal("bad port", here + len(host) + 1, what=what, mend=mend)

    here += len(host_port)
    if "path" in scheme.needs and path.strip("/") == "":
        raise _refusal("no path", here, how=scheme.how)
    if "path" in scheme.needs and path.endswith("/"):
        raise _refusal("no file", here + len(path) - 1, name=scheme.name)

    if scheme.name == "nfs" and (colon or "?" in masked):
        return [MESSAGES["NFS ignores"].format(what="port" if colon else "query")]
    return []


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
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def _check_host(host: str, here: int, secret: bool = False) -> None:
    shown = "" if secret else f' "{host}"'
    if host.startswith("["):
        if not _is_ipv6(host):
            raise _refusal("bad IPv6", here, shown=shown)
    elif re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) and any(int(part) > 255 for part in host.split(".")):
        raise _refusal("bad IPv4", here, shown=shown)
    elif not re.fullmatch(HOST, host):
        good = re.match(HOST, host)
        mend = MESSAGES["user information" if secret else "a host"]
        raise _refusal("bad host", here + (good.end() if good else 0), shown=shown, mend=mend)


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


def _check_iscsi(scheme: Scheme, rest: str) -> list[str]:
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
    _check_host(server, here)
    here += len(server) + 1
    if protocol not in ("", "6"):
        raise _refusal("bad PROTOCOL", here, text=protocol)
    here += len(protocol) + 1
    if port and not _is_port(port):
        raise _refusal("bad PORT", here, text=port, mend=MESSAGES["port"])
    here += len(port) + 1
    if lun and not re.search(SETTING, lun) and not re.fullmatch(ISCSI_LUN, lun):
        raise _refusal("bad LUN", here, text=lun)
    here += len(lun) + 1
    if not target:
        raise _refusal("missing", here, fields="target", how=scheme.how)
    if not re.search(SETTING, target) and not re.fullmatch(ISCSI_TARGET, target):
        raise _refusal("bad TARGET", here, text=target)
    return []


def _check_aoe(scheme: Scheme, rest: str) -> list[str]:
    """Check eSHELF.SLOT; both all ones mean broadcast (ATA over Ethernet, section 2.1)."""
    address = re.fullmatch(AOE, rest)
    known = address is not None and int(address[1]) < 0xFFFF and int(address[2]) < 0xFF
    if not known and not re.search(SETTING, rest):
        raise _refusal("bad AoE", len("aoe:"), form=scheme.form, example=scheme.example)
    return []


def _check_ib_srp(scheme: Scheme, rest: str) -> list[str]:
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
            raise _refusal("bad field", here, name=name, text=text, digits=2 * octets or "1 to 16")
        here += len(text) + 1
    return []
