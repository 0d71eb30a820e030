"""The hybrid ISO: ISO 9660 with two El Torito entries, an MBR and a GPT, made with xorriso.

Sources: ECMA-119 (ISO 9660), El Torito 1.0, UEFI 2.10 sections 5 (GPT) and 13.3, xorriso's manual
page xorrisofs(1), and the layout of archiso's images, which boot on the most machines.
"""

from collections.abc import Iterable
from pathlib import Path

from template.build_tools import run

VOLUME = "BOOTS_FROM"  # ISO 9660 allows no hyphen
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # UEFI 2.10, table 5-7
DISK_GUID = "b0075f20-6d00-4b00-8b00-b0075f200001"


def make(
    tree: Path, esp: Path, mbr: Path, image: Path, date: str, env: dict[str, str], last: Iterable[str] = ()
) -> None:
    """Write the hybrid ISO.

    Args:
        tree: the directory whose files are the ISO 9660 tree; holds boot/isolinux/isolinux.bin.
        esp: the FAT image for UEFI.
        mbr: the 432 bytes of boot code for BIOS (isohdpfx.bin).
        image: the file to write.
        date: every time stamp in the image, as YYYYMMDDhhmmss, UTC.
        env: the environment for the tool.
        last: files of the tree whose content is to be behind that of all others.

    Raises:
        BuildError: the tool failed.
    """
    image.unlink(missing_ok=True)
    options: list[str] = []

    def option(*words: str) -> None:
        options.extend(words)

    # No start-up file of the host's: the same image on every host.
    option("xorriso", "-no_rc", "-as", "mkisofs", "-quiet")
    # Who made it: fixed texts, or xorriso writes its own version there.
    option("-volid", VOLUME, "-appid", "BOOTS-FROM", "-publisher", "BOOTS-FROM", "-preparer", "BOOTS-FROM")
    # Rock Ridge with owner 0 and plain modes: Linux and the tools that copy files see the names as they are.
    option("-r")
    # Joliet: Windows, and Rufus in ISO mode, see the same names.
    option("-J")
    # Every time stamp alike, so that builds at different times are equal.
    option(f"--modification-date={date}00", "--set_all_file_dates", f"{date}00")
    # No 300 KiB of padding: it is for reading CD-R in 1990s drives, and it would end up as a stray partition.
    option("-no-pad")

    for path in last:
        option("--sort-weight", "-1", f"/{path}")

    # BIOS from CD: ISOLINUX. 4 sectors loaded at 0x7C00, as El Torito 1.0 and every BIOS expects.
    option("-b", "boot/isolinux/isolinux.bin", "-c", "boot/isolinux/boot.cat")
    option("-no-emul-boot", "-boot-load-size", "4")
    # ISOLINUX finds the rest of itself by this table.
    option("-boot-info-table")
    # BIOS from stick or disk: an MBR that loads the same ISOLINUX.
    option("-isohybrid-mbr", str(mbr))
    # Some BIOSes boot no disk without an active partition (HP and Lenovo desktops in archiso's reports).
    option("--mbr-force-bootable")
    # The first partition starts at sector 64 and has a second set of volume descriptors, so that the
    # stick can be mounted by partition and partition editors see no table inside partition 1's own start.
    option("-partition_offset", "16")

    # UEFI from stick or disk: the ESP, once, behind the ISO 9660 tree, as partition 2.
    # By its GUID it is 0xEF in the MBR too, which is where some UEFIs look first.
    option("-append_partition", "2", ESP_TYPE, str(esp))
    # UEFI from CD and BMC: a second El Torito entry that points at that same partition.
    option("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
    # A GPT beside the MBR, for UEFIs that look only there; not a valid one with a protective MBR, which
    # some BIOSes refuse to boot (archiso's reports). Behind -e, so that it names the ESP: before it,
    # it would name isolinux.bin as a partition inside partition 1, which sgdisk calls an overlap.
    option("-isohybrid-gpt-basdat", "--gpt_disk_guid", DISK_GUID)

    option("-o", str(image), str(tree))
    run(options, env)
