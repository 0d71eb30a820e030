"""The ESP: a FAT file system with the UEFI loaders, made with mtools.

It is stored once, as a partition of the disk to which the El Torito entry for UEFI also points. The ISO 9660 tree lists
its files as well (see template/shared_files.py). That requires clusters that are blocks of ISO 9660, and files whose
clusters are contiguous.

Not handled: FAT32, and file systems that were modified later, whose files may be fragmented.

Sources: UEFI 2.10, sections 3.5.1.1 (removable media) and 13.3 (file system format); Microsoft FAT specification,
sections 3 (boot sector) and 3.5 (FAT12 or FAT16).
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from template.build_tools import BuildError, run

SECTOR = 512  # bytes
CLUSTER = 2048  # bytes: a block of ISO 9660
LABEL = "BOOTS-FROM"
SERIAL = "b0075f20"  # fixed, because a random one would make every build different

_SLACK = 16  # clusters for the directories
_ALIGNMENT = 32 * 1024  # bytes: sgdisk prints a caution about a partition that ends elsewhere
ROOT = 512 * 32  # bytes: the root directory
# The clusters must begin at a multiple of CLUSTER. Each of the two FATs is a multiple of half a cluster.
RESERVED = CLUSTER
_FAT_STEP = 2 * SECTOR

# A driver decides by the number of clusters whether a file system is FAT12 or FAT16. The specification recommends to
# stay 16 away from the limit, because some drivers are off by a few.
_FAT16 = 4085  # clusters
_NEAR = 16  # clusters; rounding up to _ALIGNMENT adds fewer than this

# Fields that differ between the mformat versions of Debian 12 and 13: offset in the boot sector, content.
_BOOT_SECTOR = (
    (3, b"MSWIN4.1"),  # name of the formatter, as the specification recommends for the sake of old drivers
    (36, b"\x80"),  # BIOS drive number: a hard disk, like the media descriptor
    (446, bytes(64)),  # partition table, which only a whole disk has
)


@dataclass(frozen=True)
class Part:
    """A contiguous run of clusters of a file or directory; `start` (from the start of the ESP) and `size` in bytes."""

    path: str
    start: int
    size: int


def make(files: dict[str, Path], image: Path, env: dict[str, str]) -> None:
    """Write the ESP.

    Args:
        files: path in the ESP, with slashes, to the file to copy there, in the order of writing.
        image: the file to write.
        env: the environment of the tools, with SOURCE_DATE_EPOCH.

    Raises:
        BuildError: a tool failed.
    """
    clusters = sum(-(-file.stat().st_size // CLUSTER) for file in files.values()) + _SLACK
    if _FAT16 - 2 * _NEAR <= clusters < _FAT16 + _NEAR:
        clusters = _FAT16 + _NEAR
    # FAT16 takes two bytes for each entry. FAT12 takes less, which leaves some of them unused.
    fat = _round_up(2 * (clusters + 2), _FAT_STEP)
    sectors = _round_up(RESERVED + 2 * fat + ROOT + clusters * CLUSTER, _ALIGNMENT) // SECTOR

    image.unlink(missing_ok=True)
    # -C -T: create the image with this number of sectors; -h -s: a geometry, which mformat requires.
    geometry = ["-T", str(sectors), "-h", "64", "-s", "32"]
    # -c -R -L -r: sectors in a cluster, in front of the FATs, in each FAT, in the root directory.
    sizes = ["-c", str(CLUSTER // SECTOR), "-R", str(RESERVED // SECTOR), "-L", str(fat // SECTOR)]
    sizes += ["-r", str(ROOT // SECTOR)]
    # -N: serial number; -v: label, which MokManager and file managers show.
    run(["mformat", "-i", str(image), "-C", *geometry, *sizes, "-N", SERIAL, "-v", LABEL, "::"], env)
    with image.open("r+b") as opened:
        for offset, content in _BOOT_SECTOR:
            opened.seek(offset)
            opened.write(content)
    created: set[str] = set()
    for path, file in files.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in created:
                run(["mmd", "-i", str(image), f"::{folder}"], env)
                created.add(folder)
        # One call for each file fixes the order on disk. No -m, which would copy the timestamp of the source file.
        run(["mcopy", "-i", str(image), str(file), f"::{path}"], env)


def data_start(boot_sector: bytes) -> int:
    """Return where the first cluster begins, in bytes from the start of the ESP."""
    reserved, fats, root_entries = struct.unpack_from("<HBH", boot_sector, 14)
    (fat_sectors,) = struct.unpack_from("<H", boot_sector, 22)
    return int((reserved + fats * fat_sectors) * SECTOR + root_entries * 32)


def parts(image: Path) -> list[Part]:
    """Return the positions of the files and directories in an ESP; the path of a directory ends with a slash.

    A large directory may have several parts. The root directory and empty files have none.

    Raises:
        BuildError: mtools can't read the ESP.
    """
    boot_sector = image.read_bytes()[:SECTOR]
    cluster, first = boot_sector[13] * SECTOR, data_start(boot_sector)
    found = []
    for line in run(["mdir", "-/", "-b", "-i", str(image), "::"]).splitlines():
        path = line.removeprefix("::/")
        for begin, end in re.findall(r"<(\d+)(?:-(\d+))?>", run(["mshowfat", "-i", str(image), f"::{path}"])):
            count = int(end or begin) - int(begin) + 1
            found.append(Part(path, first + (int(begin) - 2) * cluster, count * cluster))
    return found


def places(image: Path) -> dict[str, int]:
    """Return path and start of each file, in bytes from the start of the ESP.

    Raises:
        BuildError: mtools can't read the ESP, or a file is fragmented.
    """
    starts: dict[str, int] = {}
    for part in parts(image):
        if part.path.endswith("/"):
            continue
        if part.path in starts:
            raise BuildError(f"{part.path} is fragmented on the ESP, so ISO 9660 can't list it: report this as a bug")
        starts[part.path] = part.start
    return starts


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
