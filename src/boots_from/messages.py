"""What the user reads about a URL. The page that bakes takes it from here too."""

from collections import namedtuple

EXAMPLES = {"right": "${net0/mac}", "wrong": "{mac}", "example": "http://bootserver/boot"}


MEANT = "did you mean {url}?"


# Not typing.NamedTuple: importing typing takes 3 ms, a fifth of what the command takes over starting Python.
class Message(namedtuple("Message", ("fact", "remedy", "asks"), defaults=("", False))):
    """What is wrong with what, and what to do. In braces stands what `text` fills in."""

    __slots__ = ()
    fact: str
    remedy: str  # only a warning may have none
    asks: bool  # whether MEANT is the remedy where a URL that may be meant is known

    def text(self, offset: int = 0, /, **parts: object) -> str:
        """Return it in one line.

        Args:
            offset: the place in the URL that it is about; what the user reads counts characters from 1.
            parts: what stands for the words in braces; there are `EXAMPLES` for some. `url` is the
                URL that may be meant.
        """
        remedy = MEANT if self.asks and parts.get("url") else self.remedy
        line = f"{self.fact}: {remedy}" if remedy else self.fact
        return line.format(**{"at": f"at character {offset + 1} of the URL", **EXAMPLES, **parts})


_FORM = "write {form}, such as {example}"

# Of the whole URL.
EMPTY = Message("the URL is empty", "give the URL to boot from, such as {example}")
SPACE_AROUND = Message("space around the URL", "remove it")
INVISIBLE = Message("invisible character around the URL", "remove it")
ASSIGNED = Message('"URL=" in front of the URL', "remove it")
QUOTED = Message("quotes or brackets around the URL", "remove them")
SPACE = Message("space {at}", "write it as %20")
CONTROL = Message("control character 0x{code} {at}", "remove it")
NUL = Message("%00 {at}, where iPXE takes the text to end", "remove it")
NON_ASCII = Message("non-ASCII character {at}", "write it as {escaped}")
NON_ASCII_HOST = NON_ASCII._replace(remedy="no host name can hold it; use the name's ASCII (xn--) form")
NON_ASCII_HIDDEN = NON_ASCII._replace(remedy="write each of its bytes, in UTF-8, as % and two hexadecimal digits")
TOO_LONG = Message("the URL is {length} bytes long, {over} too many", "use at most {limit} bytes")

# Of its scheme.
LACKING = Message('can\'t boot from "{name}:" {at}, for {lacks}', "{instead}")
SLASHES = Message('{slashes} after "{name}:" {at}', _FORM, asks=True)
UNKNOWN_SCHEME = Message("unknown scheme{shown} {at}", "use one of {bootable}", asks=True)
NO_SCHEME = Message("no scheme {at}", "begin the URL with one, as in {example}", asks=True)
LOCAL_PATH = Message("a path, not a URL {at}", "serve that file over {over}, and give its URL, such as {example}")

# Of its parts.
MISSING = Message("no {missing} {at}", _FORM)
DISK_SLASH = Message("slash {at}", "an {name} URL has none; " + _FORM)
BAD_HOST = Message("bad host{shown} {at}", "use a host name, an IPv4 address or [an IPv6 address]")
BAD_HOST_SETTING = BAD_HOST._replace(remedy="write a setting as in {right}")
BAD_IPV4 = Message("bad IPv4 address{shown} {at}", "write four numbers, each at most 255")
BAD_IPV6 = Message("bad IPv6 address{shown} {at}", "write it in hexadecimal, as in http://[2001:db8::1]/boot")
TWO_COLONS = Message("two colons in the host {at}", "an IPv6 address goes in brackets, as in http://[2001:db8::1]/boot")
NOT_USERINFO = Message(
    'the "@" {at} ends no user name and password',
    'in those write "@" as %40, ":" as %3A, "/" as %2F, "?" as %3F and "#" as %23, and in a path "@" as %40',
)
BAD_FIELD = Message("bad {field}{shown} {at}", _FORM)
BAD_PORT = BAD_FIELD._replace(remedy="write a number from 1 to 65535, without a 0 in front, or leave it out")
BAD_LUN = BAD_FIELD._replace(remedy="write it in hexadecimal, such as 1 or 0-1-0-0, or leave it empty")
BAD_AOE = Message("bad shelf and slot{shown} {at}", "write {form} (shelf 0 to 65534, slot 0 to 254), such as {example}")

# Warnings.
NO_FILE = Message("the path {at} names no file", _FORM)
FRAGMENT = Message("iPXE drops the fragment (from # {at}) and does not send it")
IGNORED = Message("iPXE's {protocol} ignores the {what}")
PROTOCOL = Message("iPXE ignores PROTOCOL {at}, for iscsi is always over TCP")
TARGET = Message(
    "the target {at} does not begin with iqn.YYYY-MM., eui. or naa.", "it has to be the server's name for it"
)
ADDRESS = Message("an address, not a URL {at}", "write http:// in front of it", asks=True)
THIS_HOST = Message(
    "the host {at} is, for the machine that boots, that machine itself", "use the server's name or address"
)
OCTAL = Message("iPXE reads a number that begins with 0 as octal, {at}", "write it without the 0")
HIDDEN = Message(
    'what stands before "@" {at} may be a password: it is not shown here, but iPXE shows it when the machine boots',
    'in a password write "/" as %2F; elsewhere write that "@" as %40',
)
UNCLOSED = Message("a setting is not closed {at}", "write it as in {right}")
SHELL = Message("iPXE runs no $(...) {at}", "only settings such as {right} are filled in")
NO_BRACES = Message("$ without braces {at}", "iPXE fills in {right}, not $mac")
NO_DOLLAR = Message("braces without $ {at}", "iPXE fills in {right}, not {wrong}")
NOTHING_AFTER = Message(
    "nothing after = {at}", "if the shell took a setting such as {right}, put the URL in single quotes"
)
