"""The iPXE script that boots a machine from a URL: boot.ipxe, with the URL and facts about it filled in."""

import re

from boots_from import resources
from boots_from.boot_url import BootUrl, hides_userinfo_only
from boots_from.errors import TemplateError

SHOWN = 158  # bytes of the URL that the script shows: two lines of 79 columns

# The values of @BOOT@ and @THEN@, by the iPXE command in the table of schemes.
BOOT = {
    "chain": ("imgselect --autofree --timeout ${stall}", "fetched"),
    "sanboot": ("sanboot", "ended"),
}


def text() -> str:
    """Return boot.ipxe without comments and empty lines, which would not fit the slot.

    Raises:
        TemplateError: boot.ipxe cannot be read, so the installed package is damaged.
    """
    return re.sub(r"(?m)^(?:#(?: .*)?)?\n", "", resources.read("boot.ipxe").decode("ascii"))


def render(boot_url: BootUrl) -> bytes:
    """Return the script that boots from `boot_url`, in ASCII.

    Args:
        boot_url: a checked URL. The script shows its `public` form, cut to two lines. iPXE itself also leaves out user
            information when it prints the URL.

    Raises:
        TemplateError: boot.ipxe cannot be read, or has a word between two @ that has no value here.
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
    # In one pass, so that a word such as @URL@ in the URL stays as it is.
    try:
        return re.sub("@([A-Z]+)@", lambda word: words[word[1]], text()).encode("ascii")
    except KeyError as error:
        raise TemplateError(
            f"no value for @{error.args[0]}@ in boot.ipxe: add one to `words` in boot_script.py"
        ) from None


def redact(boot_url: BootUrl) -> bytes:
    """Return the script without user information, so that it may be printed."""
    redacted = boot_url._replace(url=boot_url.public)
    if not hides_userinfo_only(boot_url.url):  # the host and the file may then be pieces of a password
        redacted = redacted._replace(host="", file=boot_url.file and "...")
    return render(redacted)
