"""What lies where in a finished image, and why.

Reads the image with xorriso and mtools. What the tables say why, they say here, so that a change of the
layout without a reason for it fails.

Not handled: images that template/iso.py did not make.

Sources: UEFI 2.10, section 5.3 (GPT); ECMA-119 (ISO 9660), section 8; El Torito 1.0; Microsoft's FAT specification.
"""

import re
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from template.__main__ import HINT
from template.esp import SECTOR
from template.tool import BuildError, run

BLOCK = 2048  # bytes: ISO 9660's

_X86 = "UEFI's name for x86-64 on removable media; Microsoft's signature makes Secure Boot run it"
_ARM64 = _X86.replace("x86-64", "ARM64")
_COPY = "; here for sticks made by copying the ISO's files"
_SLOT = "**slot**: the script, which alone differs between two images"
# What each file is, and why it is there.
_FILES = {
    "/boot/isolinux/isolinux.bin": "BIOS's boot loader, for CD and stick alike",
    "/boot/isolinux/ldlinux.c32": "ISOLINUX's other half, without which it stops",
    "/boot/isolinux/isolinux.cfg": "tells ISOLINUX to load the next two",
    "/boot/isolinux/ipxe.lkrn": "iPXE for BIOS, in the form of a Linux kernel",
    "/EFI/BOOT/autoexec.ipxe": f"{_SLOT}; BIOS's initrd, which iPXE takes for its script",
    "/EFI/BOOT/BOOTX64.EFI": f"shim{_COPY}",
    "/EFI/BOOT/grubx64.efi": f"iPXE{_COPY}",
    "/EFI/BOOT/mmx64.efi": f"MokManager{_COPY}",
    "/EFI/BOOT/ecdsa-x86_64.efi": f"the second iPXE{_COPY}",
    "/EFI/BOOT/BOOTAA64.EFI": f"iPXE itself{_COPY}: shim and MokManager too would take the image over 14 MiB",
    f"/{HINT}": "its name tells what to choose in MokManager; its content is the next file's",
    "/firmware.txt": "packages, versions, hashes",
    "ESP /EFI/BOOT/BOOTX64.EFI": f"shim. {_X86}",
    "ESP /EFI/BOOT/grubx64.efi": "iPXE for x86-64, under the only name that shim starts",
    "ESP /EFI/BOOT/mmx64.efi": "MokManager, with which the operator enrolls iPXE, under the only name that shim starts",
    "ESP /EFI/BOOT/BOOTAA64.EFI": f"shim. {_ARM64}",
    "ESP /EFI/BOOT/grubaa64.efi": "iPXE for ARM64",
    "ESP /EFI/BOOT/mmaa64.efi": "MokManager for ARM64",
    "ESP /EFI/BOOT/ecdsa-x86_64.efi": "a second iPXE, for https with ECDSA; uses the network card through the first",
    "ESP /EFI/BOOT/ecdsa-arm64.efi": "the same for ARM64, where it has drivers of its own",
    "ESP /EFI/BOOT/BOOTRISCV64.EFI": "iPXE for RISC-V 64; nobody signs for its Secure Boot",
    "ESP /EFI/BOOT/BOOTLOONGARCH64.EFI": "iPXE for LoongArch64; nobody signs for its Secure Boot",
    "ESP /EFI/BOOT/autoexec.ipxe": f"{_SLOT}; iPXE on UEFI looks for it where it was loaded from",
    f"ESP /{HINT}": "its name tells what to choose in MokManager",
}


@dataclass(frozen=True)
class Range:
    """Bytes of the image: the first, how many, what they are, and why they are there."""

    start: int
    size: int
    what: str
    why: str


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
    esp, esp_sectors = (int(word) for word in _found(r"MBR partition *: *2 +\S+ +0xef +(\d+) +(\d+)", report))
    last = len(content) - SECTOR
    found = [
        Range(0, 432, "MBR, boot code", "BIOS from stick or disk: finds isolinux.bin, whose block is written into it"),
        Range(432, 80, "MBR, partition table", "see the partitions below"),
        Range(SECTOR, SECTOR, "GPT header", "some UEFIs look for the ESP of a stick in a GPT alone"),
        Range(2 * SECTOR, entries, "GPT entries", "see the partitions below"),
        Range(16 * BLOCK, 4 * BLOCK, "volume descriptors", "ISO 9660, El Torito, Joliet (Windows' names), end"),
        Range(32 * BLOCK, 3 * BLOCK, "volume descriptors", "the same for who mounts partition 1 of a stick"),
        Range(35 * BLOCK, (catalog - 35) * BLOCK, "directories, path tables", "twice, for disc and partition 1"),
        Range(catalog * BLOCK, BLOCK, "El Torito catalogue", "see the entries below"),
        *_fat(content[esp * SECTOR : (esp + esp_sectors) * SECTOR], esp * SECTOR),
        Range(last - entries, entries, "GPT entries, copy", "UEFI wants a copy at the end"),
        Range(last, SECTOR, "GPT header, copy", "UEFI wants a copy at the end"),
    ]
    listing = _xorriso(image, "-find", "/", "-type", "f", "-exec", "report_lba")
    for block, size, path in re.findall(
        r"^File data lba: *\d+ , *(\d+) , *\d+ , *(\d+) , '(.*)'$", listing, re.MULTILINE
    ):
        found.append(Range(int(block) * BLOCK, int(size), path, _FILES[path]))
    return sorted(found, key=lambda part: part.start)


def _fat(esp: bytes, offset: int) -> list[Range]:
    """Return the ranges of the ESP, which begins at `offset`."""
    sectors, reserved, fats, root_entries = struct.unpack_from("<BHBH", esp, 13)
    cluster = sectors * SECTOR
    (fat_sectors,) = struct.unpack_from("<H", esp, 22)
    root = (reserved + fats * fat_sectors) * SECTOR
    data = root + root_entries * 32
    found = [
        Range(offset, reserved * SECTOR, "ESP: boot sector", "FAT16, which UEFI reads from any medium"),
        Range(offset + reserved * SECTOR, root - reserved * SECTOR, "ESP: both FATs", "which cluster follows which"),
        Range(offset + root, data - root, "ESP: root directory", "holds the label BOOTS-FROM, which MokManager shows"),
    ]
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        file = Path(name, "esp.img")
        file.write_bytes(esp)
        for line in run(["mdir", "-/", "-b", "-i", str(file), "::"]).splitlines():
            path = line.removeprefix("::")
            clusters = re.findall(r"<(\d+)(?:-(\d+))?>", run(["mshowfat", "-i", str(file), f"::{path}"]))
            why = "a directory" if path.endswith("/") else _FILES[f"ESP {path}"]
            for first, end in clusters:  # a directory that has grown is in two pieces
                start = offset + data + (int(first) - 2) * cluster
                found.append(Range(start, (int(end or first) - int(first) + 1) * cluster, f"ESP: {path}", why))
    return found


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
        "active, or some BIOSes don't boot a stick; the ISO 9660 tree",
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
