"""The ESP: a FAT file system with the UEFI loaders, made with mtools.

It is both the El Torito image for UEFI and a partition of the disk, stored once.
Sources: UEFI 2.10, sections 3.5.1.1 (removable media) and 13.3 (file system format); Microsoft's FAT
specification, section 3 (boot sector).
"""

from pathlib import Path

from template.tool import run

SECTOR = 512  # bytes
LABEL = "BOOTS-FROM"
SERIAL = "b0075f20"  # fixed: a random one would make every build differ

# Room beyond the files: directories, and the rest of each file's last cluster.
_SLACK = 32 * 1024  # bytes
_FAT_ENTRY = 2  # bytes for a cluster, in each of the two FATs of FAT16
_ALIGNMENT = 32 * 1024  # bytes: sgdisk remarks on a partition that ends elsewhere
_ROOT_ENTRIES = 32 * 512  # bytes

# What mformat fills in as its version thinks fit: offset in the boot sector, content. Debian 12 and 13 differ.
_BOOT_SECTOR = (
    (3, b"MSWIN4.1"),  # the formatter's name: this is the specification's advice for the sake of old drivers
    (36, b"\x80"),  # BIOS's drive: a hard disk, as the media descriptor says
    (446, bytes(64)),  # the rest of a partition table, which only a disk has
)


def make(files: dict[str, Path], image: Path, env: dict[str, str]) -> None:
    """Write the ESP.

    Args:
        files: path in the ESP, with slashes, to the file that goes there, in the order of writing.
        image: the file to write.
        env: the environment for the tools, with SOURCE_DATE_EPOCH.

    Raises:
        BuildError: a tool failed.
    """
    size = sum(-(-file.stat().st_size // SECTOR) * SECTOR for file in files.values())
    # One sector a cluster keeps the number of clusters well above 4,085: FAT16 by the rule of the
    # FAT specification, whichever driver counts.
    fats = 2 * _FAT_ENTRY * (size // SECTOR + _SLACK // SECTOR)
    total = size + _SLACK + fats + _ROOT_ENTRIES
    sectors = -(-total // _ALIGNMENT) * (_ALIGNMENT // SECTOR)

    image.unlink(missing_ok=True)
    # -C -T: create the image, so many sectors; -h -s: a geometry, which only has to be there.
    # -c 1: one sector a cluster. -N: the serial. -v: the label, which MokManager and file managers show.
    geometry = ["-T", str(sectors), "-h", "64", "-s", "32", "-c", "1"]
    run(["mformat", "-i", str(image), "-C", *geometry, "-N", SERIAL, "-v", LABEL, "::"], env)
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
