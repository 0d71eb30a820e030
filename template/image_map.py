"""Map of a finished image: every byte range, and why it exists.

xorriso and mtools read the image. The reasons are in this module and in contents.py, so that a change of the layout
without a reason fails. A file that both ISO 9660 and the ESP list is one range.

Not handled: images that were not made by template/iso.py.

Sources: UEFI 2.10, section 5.3 (GPT); ECMA-119 (ISO 9660), section 8; El Torito 1.0; Microsoft FAT specification.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from template import contents, esp
from template.build_tools import BuildError, run
from template.esp import SECTOR
from template.shared_files import BLOCK

# Labels of parts of the picture.
_TABLES, _TABLES_COPY, _TREE = "MBR and GPT", "GPT, copy", "ISO 9660: directories, El Torito"


@dataclass(frozen=True)
class Range:
    """A range of bytes in the image.

    `start` and `size` are in bytes. `what` names the content and `why` gives its purpose. `drawn` is the label of its
    part in the picture. `file` is the path, if the range is a file. `on_esp` is true within the ESP.
    """

    start: int
    size: int
    what: str
    why: str
    drawn: str
    file: str = ""
    on_esp: bool = False


def ranges(image: Path) -> list[Range]:
    """Return the ranges of an image, by position; the bytes between them are zero.

    Raises:
        BuildError: xorriso or mtools can't read the image.
        KeyError: the image contains a file that has no row in contents.py.
    """
    content = image.read_bytes()
    report = _report(image)
    entries = int(_found(r"GPT entry array *: *2 +(\d+)", report)[0]) * 128
    catalog = int(_found(r"El Torito catalog *: *(\d+)", report)[0])
    first, sectors = (int(word) for word in _found(r"MBR partition *: *2 +\S+ +0xef +(\d+) +(\d+)", report))
    last = len(content) - SECTOR
    found = [
        Range(
            0, 432, "MBR, boot code",
            "loads isolinux.bin, whose block number it contains, on BIOS from stick or disk", _TABLES,
        ),
        Range(432, 80, "MBR, partition table", "lists the partitions below", _TABLES),
        Range(SECTOR, SECTOR, "GPT header", "some UEFI firmware finds the ESP of a stick only in a GPT", _TABLES),
        Range(2 * SECTOR, entries, "GPT entries", "list the partitions below", _TABLES),
        Range(
            16 * BLOCK, 4 * BLOCK, "volume descriptors", "ISO 9660, El Torito, Joliet (names for Windows), end", _TREE
        ),
        Range(32 * BLOCK, 3 * BLOCK, "volume descriptors", "ISO 9660, Joliet and end, of partition 1", _TREE),
        Range(
            35 * BLOCK, (catalog - 35) * BLOCK, "directories, path tables",
            "of the whole disc; of partition 1, without the files on the ESP", _TREE,
        ),
        Range(catalog * BLOCK, BLOCK, "El Torito catalogue", "lists the El Torito entries below", _TREE),
        Range(last - entries, entries, "GPT entries, copy", "UEFI requires a copy at the end", _TABLES_COPY),
        Range(last, SECTOR, "GPT header, copy", "UEFI requires a copy at the end", _TABLES_COPY),
    ]  # fmt: skip
    tree = {}
    listing = _xorriso(image, "-find", "/", "-type", "f", "-exec", "report_lba")
    for block, size, path in re.findall(
        r"^File data lba: *\d+ , *(\d+) , *\d+ , *(\d+) , '/(.*)'$", listing, re.MULTILINE
    ):
        tree[path] = (int(block) * BLOCK, int(size))
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        file = Path(name, "esp.img")
        file.write_bytes(content[first * SECTOR : (first + sectors) * SECTOR])
        found += _of_esp(file, first * SECTOR, tree)
    for path, (start, size) in tree.items():
        row = contents.find(contents.ISO, path)
        found.append(Range(start, size, f"/{path}", row.why, row.drawn, path))
    return sorted(found, key=lambda part: part.start)


def _of_esp(file: Path, offset: int, tree: dict[str, tuple[int, int]]) -> Iterator[Range]:
    """Return the ranges of the ESP, and remove its files from the ISO 9660 tree.

    Args:
        file: the ESP.
        offset: where it begins in the image, in bytes.
        tree: path to start and size, in bytes. Only files that are stored on the ESP are removed.
    """
    start = offset
    boot_sector = file.read_bytes()[:SECTOR]
    root = esp.data_start(boot_sector) - esp.ROOT
    for size, what, why in (
        (esp.RESERVED, "boot sector", "FAT, the file system that UEFI reads from any medium"),
        (root - esp.RESERVED, "both FATs", "link the clusters of each file"),
        (esp.ROOT, "root directory", "contains the label BOOTS-FROM, which MokManager shows"),
    ):
        yield Range(start, size, f"ESP: {what}", why, contents.FAT, on_esp=True)
        start += size
    for part in esp.parts(file):
        start = offset + part.start
        if part.path.endswith("/"):
            yield Range(start, part.size, f"ESP: /{part.path}", "directory", contents.FAT, on_esp=True)
            continue
        row = contents.find(contents.ESP, part.path)
        what = f"ESP: /{part.path}"
        if tree.get(part.path, ("", 0))[0] == start:
            what = f"/{part.path}"
            del tree[part.path]
        yield Range(start, part.size, what, row.why, row.drawn, part.path, on_esp=True)


def tables(image: Path) -> str:
    """Return the Markdown tables for docs/explanation/layout.md: byte ranges, partitions, El Torito entries."""
    parts = ranges(image)
    total = image.stat().st_size
    lines = ["| first byte | bytes | content | purpose |", "| ---: | ---: | --- | --- |"]
    lines += [f"| {part.start:,} | {part.size:,} | {part.what} | {part.why} |" for part in parts]
    used = sum(part.size for part in parts)
    zeros = f"{total - used:,} bytes between these ranges are zero"
    lines += ["", f"The image has {total:,} bytes ({total / 2**20:.2f} MiB). {zeros}.", ""]

    report = _report(image)
    whys = (
        "the ISO 9660 tree without the ESP; active, because some BIOSes boot no stick without an active partition",
        "the ESP, for UEFI from a stick",
    )
    lines += [
        "| partition table | partition | type | first sector | sectors | purpose |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for number, status, kind, start, sectors in re.findall(
        r"MBR partition *: +(\d) +(\S+) +(\S+) +(\d+) +(\d+)", report
    ):
        lines.append(f"| MBR | {number} | {kind}, {status} | {start} | {sectors} | {whys[int(number) - 1]} |")
    for number, start, sectors in re.findall(r"GPT start and size *: +(\d+) +(\d+) +(\d+)", report):
        lines.append(f"| GPT | {number} | Basic Data | {start} | {sectors} | MBR partition {number} |")
    lines += ["", "| El Torito entry | platform | sectors | block | purpose |", "| --- | --- | ---: | ---: | --- |"]
    whys = ("isolinux.bin, of which BIOSes load four sectors", "the ESP, which is also partition 2")
    for number, platform, sectors, block in re.findall(
        r"El Torito boot img : +(\d) +(\w+) +y +none +\S+ +\S+ +(\d+) +(\d+)", report
    ):
        lines.append(f"| {number} | {platform} | {sectors} | {block} | {whys[int(number) - 1]} |")
    return "\n".join(lines) + "\n"


def _report(image: Path) -> str:
    """Return the xorriso report on the partition tables and on El Torito."""
    return _xorriso(image, "-report_system_area", "plain", "-report_el_torito", "plain")


def _xorriso(image: Path, *commands: str) -> str:
    return run(["xorriso", "-no_rc", "-indev", str(image), *commands])


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if not match:
        raise BuildError(f"the xorriso report has no {pattern}: use an image made by template/iso.py")
    return match.groups()
