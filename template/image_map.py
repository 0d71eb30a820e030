"""What lies where in a finished image, and why.

Reads the image with xorriso and mtools. What the tables say why, they say here, so that a change of the
layout without a reason for it fails. A file that ISO 9660 lists too is in one range.

Not handled: images that template/iso.py did not make.

Sources: UEFI 2.10, section 5.3 (GPT); ECMA-119 (ISO 9660), section 8; El Torito 1.0; Microsoft's FAT specification.
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

# Parts of the picture.
_TABLES, _TABLES_COPY, _TREE = "MBR and GPT", "GPT, copy", "ISO 9660: directories, El Torito"


@dataclass(frozen=True)
class Range:
    """Bytes of the image: the first, how many, what they are, why they are there, and their part of the picture.

    `file` is the path of a file; `on_esp` says whether it is within the ESP.
    """

    start: int
    size: int
    what: str
    why: str
    drawn: str
    file: str = ""
    on_esp: bool = False


def ranges(image: Path) -> list[Range]:
    """Return what the image consists of, by position; what is in no range is zero.

    Raises:
        BuildError: a tool can't read the image.
        KeyError: it holds a file that has no reason to be there.
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
            "for BIOS from stick or disk: holds the block of isolinux.bin, and starts it", _TABLES,
        ),
        Range(432, 80, "MBR, partition table", "see the partitions below", _TABLES),
        Range(SECTOR, SECTOR, "GPT header", "some UEFIs look for the ESP of a stick only in a GPT", _TABLES),
        Range(2 * SECTOR, entries, "GPT entries", "see the partitions below", _TABLES),
        Range(
            16 * BLOCK, 4 * BLOCK, "volume descriptors", "ISO 9660, El Torito, Joliet (names for Windows), end", _TREE
        ),
        Range(32 * BLOCK, 3 * BLOCK, "volume descriptors", "the same of partition 1 of a stick", _TREE),
        Range(
            35 * BLOCK, (catalog - 35) * BLOCK, "directories, path tables",
            "of the disc; of partition 1, with its own files only", _TREE,
        ),
        Range(catalog * BLOCK, BLOCK, "El Torito catalogue", "see the entries below", _TREE),
        Range(last - entries, entries, "GPT entries, copy", "UEFI wants a copy at the end", _TABLES_COPY),
        Range(last, SECTOR, "GPT header, copy", "UEFI wants a copy at the end", _TABLES_COPY),
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
    """Return the ranges of the ESP, which begins at `offset`, and take its files out of the ISO 9660 tree.

    The tree is path to start and size. A file that it has elsewhere is left there.
    """
    start = offset
    boot_sector = file.read_bytes()[:SECTOR]
    root = esp.data(boot_sector) - esp.ROOT
    for size, what, why in (
        (esp.RESERVED, "boot sector", "FAT, which UEFI reads from any medium"),
        (root - esp.RESERVED, "both FATs", "which cluster follows which"),
        (esp.ROOT, "root directory", "holds the label BOOTS-FROM, which MokManager shows"),
    ):
        yield Range(start, size, f"ESP: {what}", why, contents.FAT, on_esp=True)
        start += size
    for part in esp.parts(file):
        start = offset + part.start
        if part.path.endswith("/"):
            yield Range(start, part.size, f"ESP: /{part.path}", "a directory", contents.FAT, on_esp=True)
            continue
        row = contents.find(contents.ESP, part.path)
        what = f"ESP: /{part.path}"
        if tree.get(part.path, ("", 0))[0] == start:
            what = f"/{part.path}"
            del tree[part.path]
        yield Range(start, part.size, what, row.why, row.drawn, part.path, on_esp=True)


def tables(image: Path) -> str:
    """Return the tables in Markdown."""
    parts = ranges(image)
    total = image.stat().st_size
    lines = ["| from byte | bytes | what | why |", "| ---: | ---: | --- | --- |"]
    lines += [f"| {part.start:,} | {part.size:,} | {part.what} | {part.why} |" for part in parts]
    used = sum(part.size for part in parts)
    lines += ["", f"{total:,} bytes ({total / 2**20:.2f} MiB), of which {total - used:,} are zeros between these.", ""]

    report = _report(image)
    whys = (
        "active, because some BIOSes boot no other stick; the ISO 9660 tree without the files of the ESP",
        "the ESP, for UEFI from a stick",
    )
    lines += [
        "| partition table | partition | type | first sector | sectors | why |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for number, status, kind, start, sectors in re.findall(
        r"MBR partition *: +(\d) +(\S+) +(\S+) +(\d+) +(\d+)", report
    ):
        lines.append(f"| MBR | {number} | {kind}, {status} | {start} | {sectors} | {whys[int(number) - 1]} |")
    for number, start, sectors in re.findall(r"GPT start and size *: +(\d+) +(\d+) +(\d+)", report):
        lines.append(f"| GPT | {number} | Basic Data | {start} | {sectors} | the same partition |")
    lines += ["", "| El Torito entry | platform | sectors | block | why |", "| --- | --- | ---: | ---: | --- |"]
    whys = ("isolinux.bin: four sectors, as BIOSes expect", "the ESP itself, stored once")
    for number, platform, sectors, block in re.findall(
        r"El Torito boot img : +(\d) +(\w+) +y +none +\S+ +\S+ +(\d+) +(\d+)", report
    ):
        lines.append(f"| {number} | {platform} | {sectors} | {block} | {whys[int(number) - 1]} |")
    return "\n".join(lines) + "\n"


def _report(image: Path) -> str:
    """Return what xorriso says of the partition tables and of El Torito."""
    return _xorriso(image, "-report_system_area", "plain", "-report_el_torito", "plain")


def _xorriso(image: Path, *commands: str) -> str:
    return run(["xorriso", "-no_rc", "-indev", str(image), *commands])


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if not match:
        raise BuildError(f"xorriso's report has no {pattern}: is this an image of template/iso.py?")
    return match.groups()
