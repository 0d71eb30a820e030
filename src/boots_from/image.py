"""The template image and its slot.

The template is a finished hybrid ISO in which the iPXE script is a slot: SLOT_SIZE bytes of
placeholder text. Baking puts a URL's script in its place and changes nothing else. This module does
not parse ISO 9660 or FAT: the slot is found by its content, so it does not matter which file
systems list it.
"""

import _thread  # threading takes 1 ms to import
from collections.abc import Iterable, Iterator
from mmap import mmap

from boots_from import boot_script, chain_url, messages, packaged
from boots_from.errors import TemplateError, UrlError

SLOT_SIZE = 14336  # bytes
SCRIPT = "EFI/BOOT/autoexec.ipxe"  # what the slot is, in both file systems

# The slot's second line and its last. Nothing else in the image is like it, so whoever counts it sees every slot, and a
# piece of one, in a single pass.
_EDGE = b"# boots-from slot: all from one such line to the other becomes a URL's script\n"
_FIRST_LINE = b"#!ipxe\n"
_SLOT_TEXT = b"""\
echo This is the boots-from template. No URL was baked into it: run boots-from URL.
shell
exit 1
"""


def _placeholder() -> bytes:
    """Return the slot: a valid iPXE script, unlike anything else in the image, SLOT_SIZE bytes long."""
    head = _FIRST_LINE + _EDGE + _SLOT_TEXT
    padding = SLOT_SIZE - len(head) - len(_EDGE)
    line = b"#" * 63 + b"\n"
    return head + (line * (padding // len(line) + 1))[-padding:] + _EDGE


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
        self._pieces = _with_script(_shared_template(), script_for(parsed))
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
_template_lock = _thread.allocate_lock()


def _shared_template() -> list[memoryview]:
    """Return the packaged template's parts around its slot; the first call reads it, and others wait for that."""
    with _template_lock:
        if not _template_parts:
            _template_parts.extend(_around_slot(read_template()))
        return _template_parts


def bake(url: str) -> bytes:
    """Return the bootable image that boots from a URL.

    Reads nothing but the packaged template and touches neither disk nor network beyond that.

    Args:
        url: the URL that iPXE chains to (http, https, tftp, nfs) or boots as a disk (iscsi, aoe, ib_srp).

    Returns:
        The hybrid ISO 9660 image, equal to the template but for the slot (El Torito, UEFI 2.10 section 13.3).

    Raises:
        UrlError: iPXE could not boot from the URL, or it is too long for the slot.
        TemplateError: the installed package is damaged.
    """
    return fill(map_template(), script_for(chain_url.parse(url)))


def script_for(parsed: chain_url.ChainUrl) -> bytes:
    """Return a URL's script; raise UrlError if it is longer than the slot."""
    script = boot_script.render(parsed)
    if len(script) > SLOT_SIZE:
        over = len(script) - SLOT_SIZE
        if parsed.file:  # a tftp URL's path is there twice; what stands behind it, once
            over -= max(0, over - chain_url.bytes_behind_path(parsed.url)) // 2
        length = len(parsed.url)
        raise UrlError(messages.TOO_LONG.text(length=length, over=over, limit=length - over))
    return script


def read_template() -> bytes:
    """Return the packaged template; raise TemplateError if there is none."""
    return packaged.read("template.iso")


def map_template() -> bytes | mmap:
    """Return what `read_template` does, for a moment: see `packaged.mapped`."""
    return packaged.mapped("template.iso")


def slot_offset(template: bytes | bytearray | mmap) -> int:
    """Return where the template's slot begins, in bytes.

    Raises:
        TemplateError: the slot is not there, not whole, or there is another, or a piece of one.
    """
    edge = template.find(_EDGE)
    offset = edge - len(_FIRST_LINE)
    if template[offset : offset + SLOT_SIZE] != SLOT or template.find(_EDGE, offset + SLOT_SIZE) >= 0:
        raise TemplateError(
            "the template is damaged: the slot for the script is not whole, or not there exactly once: "
            "reinstall boots-from, or run make in its checkout"
        )
    return offset


def pieces(template: bytes | mmap, script: bytes) -> list[bytes | memoryview]:
    """Return what the image consists of: the template's part before the slot, the padded script, and the other part.

    Nothing of the template is copied: that would take as long as the rest of the baking.

    Args:
        template: the finished image.
        script: at most SLOT_SIZE bytes.

    Raises:
        TemplateError: the slot is missing, damaged or there twice; nothing is returned then.
        ValueError: the script is longer than the slot.
    """
    return _with_script(_around_slot(template), script)


def _around_slot(template: bytes | mmap) -> list[memoryview]:
    """Return the template's parts before and behind the slot."""
    offset = slot_offset(template)
    view = memoryview(template)
    return [view[:offset], view[offset + SLOT_SIZE :]]


def _with_script(parts: list[memoryview], script: bytes) -> list[bytes | memoryview]:
    before, behind = parts
    return [before, _padded(script), behind]


def _padded(script: bytes) -> bytes:
    """Return the script, as long as the slot."""
    if len(script) > SLOT_SIZE:
        raise ValueError(f"script of {len(script)} bytes for a slot of {SLOT_SIZE}")
    return script.ljust(SLOT_SIZE, b"\n")


def sha256(pieces: Iterable[bytes | memoryview]) -> str:
    """Return the SHA-256, in hexadecimal, of what consists of these pieces."""
    import hashlib  # 2 ms of the command's start, which needs it later

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def fill(template: bytes | mmap, script: bytes) -> bytes:
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
