"""Every message about a URL, for the command and for the page, which takes them from here (web/rules.py)."""

from collections import namedtuple

EXAMPLES = {"right": "${net0/mac}", "wrong": "{mac}", "example": "http://boot.example.com/boot"}


MEANT = "did you mean {url}?"


# Not typing.NamedTuple: importing typing takes 3 ms, a fifth of what the command needs on top of starting Python.
class Message(namedtuple("Message", ("fact", "remedy", "asks"), defaults=("", False))):
    """A message about a URL: what is wrong, and what to do. `text` fills in the names in braces."""

    __slots__ = ()
    fact: str
    remedy: str  # may be empty in a warning
    asks: bool  # if the URL that was probably meant is known, MEANT replaces the remedy

    def text(self, offset: int = 0, /, **parts: object) -> str:
        """Return the message as one line.

        Args:
            offset: the place in the URL, counted from 0; the message counts characters from 1.
            parts: values for the names in braces, beside those of `EXAMPLES`. `url` is the URL that was probably
                meant.
        """
        remedy = MEANT if self.asks and parts.get("url") else self.remedy
        line = f"{self.fact}: {remedy}" if remedy else self.fact
        return line.format(**{"at": f"at character {offset + 1} of the URL", **EXAMPLES, **parts})


_FORM = "write {form}, such as {example}"

# The URL as a whole.
EMPTY = Message("the URL is empty", "give the URL to boot from, such as {example}")
SPACE_AROUND = Message("space before or after the URL", "remove it")
INVISIBLE = Message("invisible character before or after the URL", "remove it")
ASSIGNED = Message('"URL=" before the URL', "remove it")
QUOTED = Message("quotes or brackets around the URL", "remove them")
SPACE = Message("space {at}", "write it as %20")
CONTROL = Message("control character 0x{code} {at}", "remove it")
NUL = Message("%00 {at} would end the text in iPXE", "remove it")
NON_ASCII = Message("non-ASCII character {at}", "write it as {escaped}")
NON_ASCII_HOST = NON_ASCII._replace(remedy="use the ASCII (xn--) form of the host name")
NON_ASCII_HIDDEN = NON_ASCII._replace(remedy="write each of its UTF-8 bytes as % and two hexadecimal digits")
TOO_LONG = Message("the URL is {length} bytes long, {over} too many", "use at most {limit} bytes")

# Its scheme.
LACKING = Message('cannot boot from "{name}:" {at} because {lacks}', "{instead}")
SLASHES = Message('{slashes} after "{name}:" {at}', _FORM, asks=True)
UNKNOWN_SCHEME = Message("unknown scheme{shown} {at}", "use one of {bootable}", asks=True)
NO_SCHEME = Message("no scheme {at}", "start the URL with one, as in {example}", asks=True)
LOCAL_PATH = Message(
    "local path instead of a URL {at}", "serve the file over {over} and give its URL, such as {example}"
)

# Its parts.
MISSING = Message("missing {missing} {at}", _FORM)
DISK_SLASH = Message('unexpected "/" {at}', _FORM)
BAD_HOST = Message("bad host{shown} {at}", "use a host name, an IPv4 address or [an IPv6 address]")
BAD_HOST_SETTING = BAD_HOST._replace(remedy="write a setting like {right}")
BAD_IPV4 = Message("bad IPv4 address{shown} {at}", "write four numbers from 0 to 255, with dots between them")
BAD_IPV6 = Message("bad IPv6 address{shown} {at}", "write it in hexadecimal, as in http://[2001:db8::1]/boot")
TWO_COLONS = Message(
    "more than one colon in the host {at}", "put an IPv6 address in brackets, as in http://[2001:db8::1]/boot"
)
NOT_USERINFO = Message(
    'unexpected "@" {at}',
    'in a user name or password write "@" as %40, ":" as %3A, "/" as %2F, "?" as %3F and "#" as %23; '
    'in a path write "@" as %40',
)
BAD_FIELD = Message("bad {field}{shown} {at}", _FORM)
BAD_PORT = BAD_FIELD._replace(remedy="write a number from 1 to 65535 without leading zeros, or leave the port out")
BAD_LUN = BAD_FIELD._replace(remedy="write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty")
BAD_AOE = Message("bad shelf and slot{shown} {at}", "write {form} (shelf 0 to 65534, slot 0 to 254), such as {example}")

# Warnings.
NO_FILE = Message("the path {at} does not name a file", _FORM)
FRAGMENT = Message('iPXE does not send the part after "#" {at}', 'write "#" as %23 if the server needs it')
IGNORED = Message("iPXE ignores the {what} in {protocol} URLs")
PROTOCOL = Message("iPXE ignores PROTOCOL {at}", "iSCSI always uses TCP")
TARGET = Message(
    "the target {at} does not begin with iqn.YYYY-MM., eui. or naa.", "use the target name that the server has"
)
ADDRESS = Message("address instead of a URL {at}", "write http:// before it", asks=True)
THIS_HOST = Message(
    "with the host {at} the booting machine would contact itself", "use the name or address of your server"
)
OCTAL = Message("leading 0 in the address {at}, which iPXE reads as octal", "remove the 0")
HIDDEN = Message(
    'the text before "@" {at} may be a password; it is hidden here, but iPXE shows it at boot',
    'in a password write "/" as %2F; elsewhere write "@" as %40',
)
UNCLOSED = Message("unclosed setting {at}", "write it like {right}")
SHELL = Message("iPXE does not run $(...) {at}", "use a setting such as {right}")
NO_BRACES = Message("$ without braces {at}", "write a setting like {right}, not $mac")
NO_DOLLAR = Message("braces without $ {at}", "write a setting like {right}, not {wrong}")
NOTHING_AFTER = Message(
    'no value after "=" {at}', "if your shell replaced a setting such as {right}, put the URL in single quotes"
)
