"""The hybrid ISO: ISO 9660 with two El Torito entries, an MBR and a GPT, made with xorriso.

Sources: ECMA-119 (ISO 9660); El Torito 1.0; UEFI 2.10, sections 5 (GPT) and 13.3; xorrisofs(1); and the layout of the
archiso images, of which the most reports from real machines exist.
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
        tree: the directory with the files of the ISO 9660 tree, among them boot/isolinux/isolinux.bin.
        esp: the FAT image for UEFI.
        mbr: the boot code for BIOS, 432 bytes (isohdpfx.bin).
        image: the file to write.
        date: the value of every timestamp in the image, as YYYYMMDDhhmmss, UTC.
        env: the environment of xorriso.
        last: files of the tree whose content goes behind the content of all others.

    Raises:
        BuildError: xorriso failed.
    """
    image.unlink(missing_ok=True)
    options: list[str] = []

    def option(*arguments: str) -> None:
        options.extend(arguments)

    # -no_rc: no startup files of the host, so that the image is the same on every host.
    option("xorriso", "-no_rc", "-as", "mkisofs", "-quiet")
    # Fixed texts, because by default xorriso writes its version into these fields.
    option("-volid", VOLUME, "-appid", "BOOTS-FROM", "-publisher", "BOOTS-FROM", "-preparer", "BOOTS-FROM")
    # Rock Ridge, with owner 0 and plain modes, gives Linux and copying tools the full names.
    option("-r")
    # Joliet gives Windows, and Rufus in ISO mode, the full names.
    option("-J")
    # Fixed timestamps, so that builds at different times are equal.
    option(f"--modification-date={date}00", "--set_all_file_dates", f"{date}00")
    # Without 300 KiB of padding, which helped 1990s drives to read CD-Rs and would here become a stray partition.
    option("-no-pad")

    for path in last:
        option("--sort-weight", "-1", f"/{path}")

    # BIOS from CD: ISOLINUX, of which the BIOS loads 4 sectors at 0x7C00, as El Torito 1.0 and every BIOS expect.
    option("-b", "boot/isolinux/isolinux.bin", "-c", "boot/isolinux/boot.cat")
    option("-no-emul-boot", "-boot-load-size", "4")
    # ISOLINUX uses this table to find the rest of itself.
    option("-boot-info-table")
    # BIOS from stick or disk: an MBR that loads the same ISOLINUX.
    option("-isohybrid-mbr", str(mbr))
    # Some BIOSes don't boot a disk without an active partition (archiso reports: HP and Lenovo desktops).
    option("--mbr-force-bootable")
    # Partition 1 starts at sector 64 and has a second set of volume descriptors. So it can be mounted as a partition,
    # and partition editors don't find the partition table inside partition 1.
    option("-partition_offset", "16")

    # UEFI from stick or disk: the ESP as partition 2, behind the ISO 9660 tree. This GUID also makes it type 0xEF in
    # the MBR, where some UEFI firmware looks first.
    option("-append_partition", "2", ESP_TYPE, str(esp))
    # UEFI from CD and BMC: a second El Torito entry, which points to the same partition.
    option("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
    # A GPT in addition to the MBR, for UEFI firmware that reads only the GPT. It has no protective MBR, because some
    # BIOSes refuse to boot from one (archiso reports). This option follows -e, so that the GPT lists the ESP; in front
    # of -e the GPT would list isolinux.bin, as a partition inside partition 1, which sgdisk reports as an overlap.
    option("-isohybrid-gpt-basdat", "--gpt_disk_guid", DISK_GUID)

    option("-o", str(image), str(tree))
    run(options, env)
