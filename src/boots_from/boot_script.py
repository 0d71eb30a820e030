"""The iPXE script that boots a machine from a URL: boot.ipxe, with what it needs to know of the URL filled in."""

import re

from boots_from import resources
from boots_from.boot_url import BootUrl, hides_userinfo_only
from boots_from.errors import TemplateError

SHOWN = 158  # bytes of the URL that are echoed: two lines of the 80-column screen

# The words that @BOOT@ and @THEN@ stand for, by the iPXE command that the table of schemes names.
BOOT = {
    "chain": ("imgselect --autofree --timeout ${stall}", "fetched"),
    "sanboot": ("sanboot", "ended"),
}


def text() -> str:
    """Return boot.ipxe without comments and empty lines, which the slot has no room for.

    Raises:
        TemplateError: the installed package is damaged.
    """
    return re.sub(r"(?m)^(?:#(?: .*)?)?\n", "", resources.read("boot.ipxe").decode("ascii"))


def render(boot_url: BootUrl) -> bytes:
    """Return the script that boots from `boot_url`, in ASCII.

    Args:
        boot_url: a checked URL. What is echoed on the machine's screen is its `public` form, cut
            to two lines; iPXE itself leaves out user information where it prints the URL.

    Raises:
        TemplateError: the installed package is damaged, or its script has a word that nothing here fills in.
    """
    boot, then = BOOT[boot_url.scheme.boot]
    public = boot_url.public
    words = {
        "URL": boot_url.url,
        "SHOWN": public if len(public) <= SHOWN else public[: SHOWN - 3] + "...",
        "SCHEME": boot_url.scheme.name or "none",  # one that begins with a setting
        "FAMILY": "ipv6" if boot_url.host.startswith("[") else "ipv4",
        "ADDRESS": boot_url.host if re.fullmatch(r"[0-9.]+", boot_url.host) else "",
        "FILE": boot_url.file,
        "BOOT": boot,
        "THEN": then,
    }
    # In one pass, so that nothing in the URL is taken for a word to fill in.
    try:
        return re.sub("@([A-Z]+)@", lambda word: words[word[1]], text()).encode("ascii")
    except KeyError as error:
        raise TemplateError(
            f"boot.ipxe has @{error.args[0]}@, which boot_script.py does not fill in: add it to the words there"
        ) from None


def redact(boot_url: BootUrl) -> bytes:
    """Return the script without user information: what may be printed."""
    redacted = boot_url._replace(url=boot_url.public)
    if not hides_userinfo_only(boot_url.url):  # then the host and the file may be pieces of a password
        redacted = redacted._replace(host="", file=boot_url.file and "...")
    return render(redacted)
