"""The template image and its slots.

The template is a finished hybrid ISO in which the iPXE script is a slot: SLOT_SIZE bytes of
placeholder text. Baking puts a URL's script in place of every copy of the slot and changes nothing
else. This module does not parse ISO 9660 or FAT: slots are found by their content, so it does not
matter which file system holds them.
"""

import threading
from collections.abc import Iterable, Iterator

from boots_from import boot_script, chain_url, messages, packaged
from boots_from.errors import TemplateError, UrlError

SLOT_SIZE = 12288  # bytes
SCRIPT = "EFI/BOOT/autoexec.ipxe"  # what the slot is, in either file system

# One on ISO 9660 (BIOS's initrd, and for tools that copy files), one on the ESP (UEFI).
SLOT_COPIES = 2

# Both are looked for on their own, so a slot that lost a byte anywhere but here is still seen.
_SLOT_FIRST_LINES = b"""\
#!ipxe
# boots-from slot: replaced by the script that boots from a URL
"""
_SLOT_LAST_LINE = b"# boots-from slot ends here\n"
_SLOT_TEXT = b"""\
echo This is the boots-from template. No URL was baked into it: run boots-from URL.
shell
exit 1
"""


def _placeholder() -> bytes:
    """Return the slot: a valid iPXE script, unlike anything else in the image, SLOT_SIZE bytes long."""
    head = _SLOT_FIRST_LINES + _SLOT_TEXT
    padding = SLOT_SIZE - len(head) - len(_SLOT_LAST_LINE)
    line = b"#" * 63 + b"\n"
    return head + (line * (padding // len(line) + 1))[-padding:] + _SLOT_LAST_LINE


SLOT = _placeholder()

# In the ISO's firmware.txt: this line, then a line "package version suite SHA-256" for each, then an empty line.
FIRMWARE_LIST_TITLE = b"# boots-from firmware: Debian package, version, suite, SHA-256\n"

# Likewise, with lines "file SHA-256 source", where files of one's own stand for some of these packages'.
OWN_LIST_TITLE = b"# boots-from firmware that is not Debian's: file, SHA-256, in place of\n"

# Likewise, with lines "path SHA-256 what for": what to enroll with MokManager.
HASH_LIST_TITLE = b"# boots-from Secure Boot: file to enroll, SHA-256 as MokManager shows it, what for\n"

CHUNK = 2**16  # bytes


class Image:
    """The image that `bake` returns, to be read in parts: for who serves images to many machines at once.

    All images share one template. The first to be made reads it, others wait for that, and it stays in memory; one
    more image costs its script. Images never change, so any number of threads may read them, without a lock.

    Attributes:
        size: bytes.
        warnings: sentences about what was surely meant otherwise; without the URL's user information.
    """

    def __init__(self, url: str) -> None:
        """Take what `bake` takes; raise what it raises."""
        parsed = chain_url.parse(url)
        self._pieces = _with_slots(_shared_template(), script_for(parsed))
        self._sha256 = ""
        self.size = sum(map(len, self._pieces))
        self.warnings = parsed.warnings

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """Return `size` bytes from `start` on, by default all; fewer where the image ends before.

        Raises:
            ValueError: one of them is negative.
        """
        return b"".join(self._views(start, size))

    def chunks(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """Return what `read` would, in chunks of at most CHUNK bytes, each copied when asked for; raise as it does."""
        views = self._views(start, size)
        return (bytes(view[at : at + CHUNK]) for view in views for at in range(0, len(view), CHUNK))

    @property
    def sha256(self) -> str:
        """The whole image's SHA-256, in hexadecimal; computed when it is first asked for."""
        if not self._sha256:
            self._sha256 = sha256(self._pieces)
        return self._sha256

    def _views(self, start: int, size: int | None) -> list[memoryview]:
        """Return the parts of the pieces between `start` and `size` bytes further, uncopied."""
        if start < 0 or (size is not None and size < 0):
            raise ValueError(f"start {start} and size {size} are counted from 0")
        stop = self.size if size is None else start + size
        views = []
        for piece in self._pieces:
            if view := memoryview(piece)[max(start, 0) : max(stop, 0)]:
                views.append(view)
            start, stop = start - len(piece), stop - len(piece)
        return views


_template_parts: list[memoryview] = []
_template_lock = threading.Lock()


def _shared_template() -> list[memoryview]:
    """Return the packaged template's parts around its slots; the first call reads it, and others wait for that."""
    with _template_lock:
        if not _template_parts:
            _template_parts.extend(_around_slots(read_template()))
        return _template_parts


def bake(url: str) -> bytes:
    """Return the bootable image that boots from a URL.

    Reads nothing but the packaged template and touches neither disk nor network beyond that.

    Args:
        url: the URL that iPXE chains to (http, https, tftp, nfs) or boots as a disk (iscsi, aoe, ib_srp).

    Returns:
        The hybrid ISO 9660 image, equal to the template but for the slots (El Torito, UEFI 2.10 section 13.3).

    Raises:
        UrlError: iPXE could not boot from the URL, or it is too long for the slot.
        TemplateError: the installed package is damaged.
    """
    return fill(read_template(), script_for(chain_url.parse(url)))


def script_for(parsed: chain_url.ChainUrl) -> bytes:
    """Return a URL's script; raise UrlError if it is longer than the slot."""
    script = boot_script.render(parsed)
    if len(script) > SLOT_SIZE:
        # A tftp URL's path is there twice.
        over = (len(script) - SLOT_SIZE + bool(parsed.file)) // (1 + bool(parsed.file))
        length = len(parsed.url)
        raise UrlError(messages.TOO_LONG.text(length=length, over=over, limit=length - over))
    return script


def read_template() -> bytes:
    """Return the packaged template; raise TemplateError if there is none."""
    return packaged.read("template.iso")


def check(template: bytes) -> None:
    """Raise TemplateError unless the template holds exactly SLOT_COPIES whole slots and no damaged one."""
    found = template.count(SLOT)
    starts, ends = template.count(_SLOT_FIRST_LINES), template.count(_SLOT_LAST_LINE)
    if not found == starts == ends == SLOT_COPIES:
        raise TemplateError(
            f"the template is damaged: {found} whole slots, {starts} beginnings and {ends} ends, "
            f"not {SLOT_COPIES} of each: reinstall boots-from, or run make in its checkout"
        )


def pieces(template: bytes, script: bytes) -> list[bytes | memoryview]:
    """Return what the image consists of: the template's parts, and the padded script in place of every slot.

    Nothing of the template is copied: that would take as long as the rest of the baking.

    Args:
        template: the finished image.
        script: at most SLOT_SIZE bytes.

    Raises:
        TemplateError: a slot is missing, damaged or one too many; nothing is returned then.
        ValueError: the script is longer than the slot.
    """
    return _with_slots(_around_slots(template), script)


def _around_slots(template: bytes) -> list[memoryview]:
    """Return the template's parts before, between and behind the slots."""
    check(template)
    parts, view, done = [], memoryview(template), 0
    while (slot := template.find(SLOT, done)) >= 0:
        parts.append(view[done:slot])
        done = slot + SLOT_SIZE
    return [*parts, view[done:]]


def _with_slots(parts: list[memoryview], script: bytes) -> list[bytes | memoryview]:
    """Return the parts, and the padded script between each two."""
    if len(script) > SLOT_SIZE:
        raise ValueError(f"script of {len(script)} bytes for a slot of {SLOT_SIZE}")
    padded = script.ljust(SLOT_SIZE, b"\n")
    pieces: list[bytes | memoryview] = [parts[0]]
    for part in parts[1:]:
        pieces += [padded, part]
    return pieces


def sha256(pieces: Iterable[bytes | memoryview]) -> str:
    """Return the SHA-256, in hexadecimal, of what consists of these pieces."""
    import hashlib  # 2 ms of the command's start, which needs it later

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def fill(template: bytes, script: bytes) -> bytes:
    """Return the image in one: see `pieces`, whose arguments and exceptions these are."""
    return b"".join(pieces(template, script))


def firmware(template: bytes) -> list[str]:
    """Return the lines "package version suite SHA-256" that the template was built from.

    Raises:
        TemplateError: the template holds no such list.
    """
    return _list(template, FIRMWARE_LIST_TITLE)


def own_files(template: bytes) -> list[str]:
    """Return the lines "file SHA-256 source" of what is not from the packages, but stands for their file `source`."""
    return _list(template, OWN_LIST_TITLE) if OWN_LIST_TITLE in template else []


def enrolled_hashes(template: bytes) -> list[str]:
    """Return the lines "path SHA-256 what for" of what is to be enrolled for Secure Boot, as MokManager shows it.

    Raises:
        TemplateError: the template holds no such list.
    """
    return _list(template, HASH_LIST_TITLE)


def mok_rows(sha256: str) -> tuple[str, str]:
    """Return a SHA-256, given in hexadecimal, as the two rows that MokManager shows."""
    digits = bytes.fromhex(sha256).hex(" ").upper()
    return digits[:47], digits[48:]


def _list(template: bytes, title: bytes) -> list[str]:
    start = template.find(title)
    if start < 0:
        raise TemplateError("the template names no firmware: reinstall boots-from, or run make in its checkout")
    end = template.index(b"\n\n", start)  # right behind the title, where the list is empty
    return template[start + len(title) : end].decode("ascii").splitlines()
