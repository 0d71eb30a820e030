"""The template image and its slot.

The template is a finished hybrid ISO. In place of the iPXE script it has a slot: SLOT_SIZE bytes of placeholder text.
Baking replaces the slot with the script for a URL, and changes nothing else. This module does not parse ISO 9660 or
FAT. It finds the slot by its content, so it does not matter which file systems list it.
"""

import _thread  # threading takes 1 ms to import
from collections.abc import Iterable, Iterator
from mmap import mmap

from boots_from import boot_script, boot_url, messages, resources
from boots_from.errors import REINSTALL, TemplateError, UrlError

SLOT_SIZE = 14336  # bytes
SCRIPT = "EFI/BOOT/autoexec.ipxe"  # the path of the slot, in both file systems

# The second and the last line of the slot. No other text in the image is like it, so one pass finds every slot, and
# every piece of one.
_EDGE = b"# boots-from slot: this line, its copy below, and all between them become the script of a URL\n"
_FIRST_LINE = b"#!ipxe\n"
_SLOT_TEXT = b"""\
echo This is the boots-from template, without a URL. To make an image, run boots-from URL
shell
exit 1
"""


def _placeholder() -> bytes:
    """Return the slot: a valid iPXE script of SLOT_SIZE bytes, unlike anything else in the image."""
    head = _FIRST_LINE + _EDGE + _SLOT_TEXT
    padding = SLOT_SIZE - len(head) - len(_EDGE)
    line = b"#" * 63 + b"\n"
    return head + (line * (padding // len(line) + 1))[-padding:] + _EDGE


SLOT = _placeholder()

# The titles of three lists in packages.txt on the ISO. Each list is the title, its lines, and an empty line.
# The packages: lines "package version suite SHA-256".
PACKAGE_LIST_TITLE = b"# boots-from packages: Debian package, version, suite, SHA-256\n"

# Custom files that replace a file of these packages: lines "file SHA-256 replaced-file".
OVERRIDE_LIST_TITLE = b"# boots-from files that are not from Debian: file, SHA-256, in place of\n"

# The files to enroll with MokManager: lines "path SHA-256 purpose".
HASH_LIST_TITLE = b"# boots-from Secure Boot: file to enroll, SHA-256 as MokManager shows it, what for\n"

CHUNK = 2**16  # bytes; the most that Image.chunks gives at once


class Image:
    """The image that `bake` returns, readable in parts: for servers that send images to many machines at once.

    All images share one template. The first image reads it, while others wait, and it stays in memory; each further
    image needs only the memory for its script. Images never change, so any number of threads may read them without a
    lock.

    Attributes:
        size: the length of the image, in bytes.
        warnings: sentences about parts of the URL that were surely meant differently, without user information.
    """

    def __init__(self, url: str) -> None:
        """Take the argument of `bake`, and raise the same exceptions."""
        parsed = boot_url.parse(url)
        self._pieces = _with_script(_shared_template(), script_for(parsed))
        self._sha256 = ""
        self.size = sum(map(len, self._pieces))
        self.warnings = parsed.warnings

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """Return a part of the image, which is shorter than `size` if the image ends before.

        Args:
            start: the offset of the first byte.
            size: the number of bytes; by default all up to the end.

        Raises:
            ValueError: `start` or `size` is negative.
        """
        return b"".join(self._views(start, size))

    def chunks(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """Return the bytes that `read` returns, in chunks of at most CHUNK bytes, each copied only when it is needed.

        Args:
            start: the offset of the first byte.
            size: the number of bytes; by default all up to the end.

        Raises:
            ValueError: `start` or `size` is negative.
        """
        views = self._views(start, size)
        return (bytes(view[at : at + CHUNK]) for view in views for at in range(0, len(view), CHUNK))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the whole image, in hexadecimal; computed at the first use."""
        if not self._sha256:
            self._sha256 = sha256(self._pieces)
        return self._sha256

    def _views(self, start: int, size: int | None) -> list[memoryview]:
        """Return the views of the pieces that make up `size` bytes from `start`, without copying."""
        if start < 0 or (size is not None and size < 0):
            raise ValueError(f"start and size must not be negative: {start}, {size}")
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
    """Return the parts of the template around its slot. The first call reads them, while other threads wait."""
    with _template_lock:
        if not _template_parts:
            _template_parts.extend(_around_slot(read_template()))
        return _template_parts


def bake(url: str) -> bytes:
    """Return the bootable image that boots from a URL.

    Reads the template from the package. Uses no other file and no network.

    Args:
        url: the URL that iPXE chains to, or the disk that it boots from: `boot_url.SCHEMES` lists the schemes.

    Returns:
        The hybrid ISO 9660 image (El Torito; UEFI 2.10 section 13.3), which differs from the template only in the slot.

    Raises:
        UrlError: iPXE cannot boot from the URL, or the URL is too long for the slot.
        TemplateError: the installed package is damaged.
    """
    return fill(map_template(), script_for(boot_url.parse(url)))


def script_for(parsed: boot_url.BootUrl) -> bytes:
    """Return the script for a URL; raise UrlError if it is longer than the slot."""
    script = boot_script.render(parsed)
    if len(script) > SLOT_SIZE:
        over = len(script) - SLOT_SIZE
        if parsed.file:  # the script holds the path of a tftp URL twice, and the query and the fragment once
            over -= max(0, over - boot_url.bytes_behind_path(parsed.url)) // 2
        length = len(parsed.url)
        raise UrlError(messages.TOO_LONG.text(length=length, over=over, limit=length - over))
    return script


def read_template() -> bytes:
    """Return the template from the package; raise TemplateError if it cannot be read."""
    return resources.read("template.iso")


def map_template() -> bytes | mmap:
    """Return the template for brief use: see `resources.mapped`."""
    return resources.mapped("template.iso")


def slot_offset(template: bytes | bytearray | mmap) -> int:
    """Return the offset of the slot in the template, in bytes.

    Raises:
        TemplateError: the template does not hold exactly one whole slot, and no further piece of one.
    """
    edge = template.find(_EDGE)
    offset = edge - len(_FIRST_LINE)
    if template[offset : offset + SLOT_SIZE] != SLOT or template.find(_EDGE, offset + SLOT_SIZE) >= 0:
        raise TemplateError(f"the template is damaged (it must have exactly one slot for the script): {REINSTALL}")
    return offset


def pieces(template: bytes | mmap, script: bytes) -> list[bytes | memoryview]:
    """Return the three pieces of an image: the template up to the slot, the padded script, the rest of the template.

    The template is not copied, because that would take as long as the rest of the baking.

    Args:
        template: the template image.
        script: the script, of at most SLOT_SIZE bytes.

    Raises:
        TemplateError: the template does not hold exactly one whole slot.
        ValueError: the script is longer than the slot.
    """
    return _with_script(_around_slot(template), script)


def _around_slot(template: bytes | mmap) -> list[memoryview]:
    """Return the parts of the template before and after the slot."""
    offset = slot_offset(template)
    view = memoryview(template)
    return [view[:offset], view[offset + SLOT_SIZE :]]


def _with_script(parts: list[memoryview], script: bytes) -> list[bytes | memoryview]:
    before, after = parts
    return [before, _padded(script), after]


def _padded(script: bytes) -> bytes:
    """Return the script, padded to the length of the slot."""
    if len(script) > SLOT_SIZE:
        raise ValueError(f"the script has {len(script)} bytes, but the slot only {SLOT_SIZE}")
    return script.ljust(SLOT_SIZE, b"\n")


def sha256(pieces: Iterable[bytes | memoryview]) -> str:
    """Return the SHA-256 of the pieces in a row, in hexadecimal."""
    import hashlib  # here, because it takes 2 ms, and the command needs it only while the disk is busy

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def fill(template: bytes | mmap, script: bytes) -> bytes:
    """Return the image as one string of bytes; arguments and exceptions are those of `pieces`."""
    return b"".join(pieces(template, script))


def packages(template: bytes) -> list[str]:
    """Return the packages that the template was built from, as lines "package version suite SHA-256".

    Raises:
        TemplateError: the template has no such list.
    """
    return _list(template, PACKAGE_LIST_TITLE)


def overrides(template: bytes) -> list[str]:
    """Return the custom files in the template, as lines "file SHA-256 replaced-file"."""
    return _list(template, OVERRIDE_LIST_TITLE) if OVERRIDE_LIST_TITLE in template else []


def hashes_to_enroll(template: bytes) -> list[str]:
    """Return the files to enroll for Secure Boot, as lines "path SHA-256 purpose", with the hash that MokManager shows.

    Raises:
        TemplateError: the template has no such list.
    """
    return _list(template, HASH_LIST_TITLE)


def mok_rows(sha256: str) -> tuple[str, str]:
    """Return a SHA-256, given in hexadecimal, as the two rows in which MokManager shows it."""
    digits = bytes.fromhex(sha256).hex(" ").upper()
    return digits[:47], digits[48:]


def _list(template: bytes, title: bytes) -> list[str]:
    start = template.find(title)
    if start < 0:
        raise TemplateError(f"the template is damaged (a list in packages.txt is missing): {REINSTALL}")
    end = template.index(b"\n\n", start)  # directly after the title if the list is empty
    return template[start + len(title) : end].decode("ascii").splitlines()
