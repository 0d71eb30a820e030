"""The ESP: a FAT file system with the UEFI loaders, made with mtools.

It is both the El Torito image for UEFI and a partition of the disk, stored once, and the ISO 9660 tree lists its files,
too: template/shared_files.py. So each cluster is a block of ISO 9660, and each file has its clusters in one run.

Not handled: FAT32, and file systems that were written to later, whose files may be in pieces.

Sources: UEFI 2.10, sections 3.5.1.1 (removable media) and 13.3 (file system format); Microsoft's FAT
specification, sections 3 (boot sector) and 3.5 (FAT12 or FAT16).
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from template.build_tools import BuildError, run

SECTOR = 512  # bytes
CLUSTER = 2048  # bytes: a block of ISO 9660
LABEL = "BOOTS-FROM"
SERIAL = "b0075f20"  # fixed: a random one would make every build differ

_SLACK = 16  # clusters beyond the files: directories
_ALIGNMENT = 32 * 1024  # bytes: sgdisk remarks on a partition that ends elsewhere
ROOT = 512 * 32  # bytes: the root directory
# Both are even numbers of sectors, so that the clusters begin at a multiple of CLUSTER: a FAT's length is rounded up.
RESERVED = CLUSTER
_FAT_STEP = 2 * SECTOR

# By the number of clusters a driver takes the file system for FAT12 or FAT16. The specification says to stay 16 away
# from the limit, since some drivers count wrong by a few.
_FAT16 = 4085  # clusters
_NEAR = 16  # clusters; rounding up to _ALIGNMENT adds less than as many

# What mformat fills in as its version thinks fit: offset in the boot sector, content. Debian 12 and 13 differ.
_BOOT_SECTOR = (
    (3, b"MSWIN4.1"),  # the formatter's name: this is the specification's advice for the sake of old drivers
    (36, b"\x80"),  # BIOS's drive: a hard disk, as the media descriptor says
    (446, bytes(64)),  # the rest of a partition table, which only a disk has
)


@dataclass(frozen=True)
class Part:
    """Clusters of a file or of a directory, in one run: its path, the first byte in the ESP, and how many bytes."""

    path: str
    start: int
    size: int


def make(files: dict[str, Path], image: Path, env: dict[str, str]) -> None:
    """Write the ESP.

    Args:
        files: path in the ESP, with slashes, to the file that goes there, in the order of writing.
        image: the file to write.
        env: the environment for the tools, with SOURCE_DATE_EPOCH.

    Raises:
        BuildError: a tool failed.
    """
    clusters = sum(-(-file.stat().st_size // CLUSTER) for file in files.values()) + _SLACK
    if _FAT16 - 2 * _NEAR <= clusters < _FAT16 + _NEAR:
        clusters = _FAT16 + _NEAR
    # Two bytes an entry, whichever FAT it is: in FAT12 a part of them is left over.
    fat = _round_up(2 * (clusters + 2), _FAT_STEP)
    sectors = _round_up(RESERVED + 2 * fat + ROOT + clusters * CLUSTER, _ALIGNMENT) // SECTOR

    image.unlink(missing_ok=True)
    # -C -T: create the image, so many sectors; -h -s: a geometry, which only has to be there.
    geometry = ["-T", str(sectors), "-h", "64", "-s", "32"]
    # -c -R -L -r: sectors in a cluster, in front of the FATs, in each of them, in the root directory.
    sizes = ["-c", str(CLUSTER // SECTOR), "-R", str(RESERVED // SECTOR), "-L", str(fat // SECTOR)]
    sizes += ["-r", str(ROOT // SECTOR)]
    # -N: the serial. -v: the label, which MokManager and file managers show.
    run(["mformat", "-i", str(image), "-C", *geometry, *sizes, "-N", SERIAL, "-v", LABEL, "::"], env)
    with image.open("r+b") as opened:
        for offset, content in _BOOT_SECTOR:
            opened.seek(offset)
            opened.write(content)
    made: set[str] = set()
    for path, file in files.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                run(["mmd", "-i", str(image), f"::{folder}"], env)
                made.add(folder)
        # One by one, so that the order on disk is ours; no -m, which would copy the file's own time.
        run(["mcopy", "-i", str(image), str(file), f"::{path}"], env)


def data(boot_sector: bytes) -> int:
    """Return where the clusters begin: bytes from the ESP's start."""
    reserved, fats, root_entries = struct.unpack_from("<HBH", boot_sector, 14)
    (fat_sectors,) = struct.unpack_from("<H", boot_sector, 22)
    return int((reserved + fats * fat_sectors) * SECTOR + root_entries * 32)


def parts(image: Path) -> list[Part]:
    """Return where the files and directories are in an ESP, a directory's path with a slash at its end.

    A directory that has grown has several parts. The root directory and an empty file have none.

    Raises:
        BuildError: a tool can't read it.
    """
    boot_sector = image.read_bytes()[:SECTOR]
    cluster, first = boot_sector[13] * SECTOR, data(boot_sector)
    found = []
    for line in run(["mdir", "-/", "-b", "-i", str(image), "::"]).splitlines():
        path = line.removeprefix("::/")
        for begin, end in re.findall(r"<(\d+)(?:-(\d+))?>", run(["mshowfat", "-i", str(image), f"::{path}"])):
            count = int(end or begin) - int(begin) + 1
            found.append(Part(path, first + (int(begin) - 2) * cluster, count * cluster))
    return found


def places(image: Path) -> dict[str, int]:
    """Return where each file begins: its path, and bytes from the ESP's start.

    Raises:
        BuildError: a tool can't read it, or a file is in several pieces.
    """
    starts: dict[str, int] = {}
    for part in parts(image):
        if part.path.endswith("/"):
            continue
        if part.path in starts:
            raise BuildError(f"the ESP's {part.path} is in several pieces: ISO 9660 can't point to it")
        starts[part.path] = part.start
    return starts


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
