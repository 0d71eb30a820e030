"""The files in the image, one row each: source, destination and purpose.

Each file is stored once, on the ESP or in the ISO 9660 tree. The ISO 9660 tree also lists the files on the ESP, under
the same paths, because ISOLINUX reads the script from there, and because a stick made by copying the files of the ISO
then has everything that UEFI needs.

The template, the table and the picture of its layout, and the bill of materials are made from these rows.

On x86-64 and ARM64 the firmware starts shim, which is signed by Microsoft, so Secure Boot allows it. shim starts
grub*.efi, here iPXE, once the operator has enrolled its hash with MokManager (mm*.efi). These names are built into
shim.
"""

from dataclasses import dataclass

from boots_from import image
from template import mark

ESP = "ESP"
ISO = "ISO 9660"

# Sources of the files that template/build.py writes; all other sources are files of a package.
SLOT = "(slot)"
LIST = "(list of packages)"
ADVICE = "(advice on enrolling)"
CONFIGURATION = "(ISOLINUX configuration)"
MARKS = {buildarch: f"(mark for {buildarch})" for buildarch in mark.ARCHITECTURES}

MBR = "usr/lib/ISOLINUX/isohdpfx.bin"  # boot code for sticks and disks; written into the MBR, not into a file

# MokManager lists only file names, in the order in which they were written. So the first file exists for its name,
# which tells the operator which file to choose.
HINT = "EFI/BOOT/ENROLL grubx64.efi (ARM64 - grubaa64.efi)"
ISOLINUX = "boot/isolinux/isolinux.bin"

# Labels of the parts of the picture that contain more than one file.
FAT = "FAT16: tables and directories"
BIOS = "ISOLINUX and ipxe.lkrn: iPXE for BIOS"
URL = "slot: the script for your URL"
MARK = "mark-running-*.efi: four small programs"

_SHIM = "shim, under the name that UEFI starts from removable media on {}; signed by Microsoft for Secure Boot"


@dataclass(frozen=True)
class Row:
    """A file in the image.

    `where` is the file system that stores the file, ESP or ISO. `source` is a file of the unpacked packages, which an
    [[override]] table may replace, or one of the names in parentheses above. `drawn` is the label of its part in the
    picture. `why` is its purpose, for the table in docs/explanation/layout.md. `enroll` is empty unless Secure Boot
    requires the operator to enroll the hash of the file; it names the machines and URLs that need this.
    """

    where: str
    path: str
    source: str
    drawn: str
    why: str
    enroll: str = ""

    @property
    def packaged(self) -> bool:
        """Whether the file comes from a package or from an [[override]] table."""
        return not self.source.startswith("(")


# In the order of writing, in which MokManager lists them.
ROWS = (
    Row(ESP, HINT, ADVICE, FAT, "its name tells the operator which file to choose in MokManager"),
    Row(
        ESP, "EFI/BOOT/grubx64.efi", "usr/lib/ipxe/ipxe-amd64.efi", "grubx64.efi: iPXE for x86-64",
        "the main iPXE for x86-64, under the only name that shim starts", enroll="x86-64",
    ),
    Row(
        ESP, "EFI/BOOT/grubaa64.efi", "usr/lib/ipxe/ipxe-arm64.efi", "grubaa64.efi: iPXE for ARM64",
        "the main iPXE for ARM64, under the only name that shim starts", enroll="ARM64",
    ),
    # The main iPXE starts the ECDSA iPXE for https servers with an ECDSA certificate, and for scripts with commands
    # that the main iPXE lacks. x86_64 and arm64 in the names are values of ${buildarch} in iPXE.
    # snponly.efi has no network drivers of its own. Debian does not build it for ARM64.
    Row(
        ESP, "EFI/BOOT/ecdsa-ipxe-x86_64.efi", "ecdsa/usr/lib/ipxe/snponly.efi", "ecdsa-ipxe-x86_64.efi: ECDSA iPXE",
        "the ECDSA iPXE, for https with ECDSA and for more commands; uses the network drivers of the main iPXE",
        enroll="x86-64, ECDSA iPXE",
    ),
    Row(
        ESP, "EFI/BOOT/ecdsa-ipxe-arm64.efi", "ecdsa/usr/lib/ipxe/ipxe-arm64.efi", "ecdsa-ipxe-arm64.efi: ECDSA iPXE",
        "the ECDSA iPXE for ARM64, with its own network drivers", enroll="ARM64, ECDSA iPXE",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTX64.EFI", "usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI: shim, signed by Microsoft",
        _SHIM.format("x86-64"),
    ),
    Row(
        ESP, "EFI/BOOT/mmx64.efi", "usr/lib/shim/mmx64.efi.signed", "mmx64.efi: MokManager",
        "MokManager, in which the operator enrolls the hash of iPXE, under the only name that shim starts",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTAA64.EFI", "usr/lib/shim/shimaa64.efi.signed", "BOOTAA64.EFI: shim, signed by Microsoft",
        _SHIM.format("ARM64"),
    ),
    Row(
        ESP, "EFI/BOOT/mmaa64.efi", "usr/lib/shim/mmaa64.efi.signed", "mmaa64.efi: MokManager",
        "MokManager for ARM64",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTRISCV64.EFI", "usr/lib/ipxe/ipxe-riscv64.efi", "BOOTRISCV64.EFI: iPXE",
        "the main iPXE for RISC-V 64; Secure Boot is not supported, because no signed shim exists",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTLOONGARCH64.EFI", "usr/lib/ipxe/ipxe-loong64.efi", "BOOTLOONGARCH64.EFI: iPXE",
        "the main iPXE for LoongArch64; Secure Boot is not supported, because no signed shim exists",
    ),
    # These stand next to the script, because firmware reads 64 KiB at a time. The names end with a ${buildarch}.
    *(
        Row(
            ESP, f"EFI/BOOT/mark-running-{buildarch}.efi", MARKS[buildarch], MARK,
            f"counts the runs of iPXE on {architecture.name}: a second run, inside the first, starts the next disk",
            enroll=f"{architecture.name}, local disk by sanboot" if architecture.secure_boot else "",
        )
        for buildarch, architecture in mark.ARCHITECTURES.items()
    ),
    # The script is the last file on the ESP, so that a truncated template is noticed: it has no slot.
    Row(
        ESP, image.SCRIPT, SLOT, URL,
        "**slot** for the script, the only bytes that differ between two images. On UEFI iPXE looks for this file in "
        "the directory it was loaded from; on BIOS ISOLINUX passes it as the initrd, which iPXE runs as its script",
    ),

    Row(ISO, ISOLINUX, "usr/lib/ISOLINUX/isolinux.bin", BIOS, "ISOLINUX, the boot loader for BIOS from CD and stick"),
    Row(
        ISO, "boot/isolinux/ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", BIOS,
        "the second part of ISOLINUX, which it can't run without",
    ),
    Row(ISO, "boot/isolinux/isolinux.cfg", CONFIGURATION, BIOS, "makes ISOLINUX load ipxe.lkrn and the script"),
    Row(
        ISO, "boot/isolinux/ipxe.lkrn", "usr/lib/ipxe/ipxe.lkrn", BIOS,
        "the main iPXE for BIOS, in the format of a Linux kernel",
    ),
    # On ISO 9660, so that it can also be read if only partition 1 is mounted.
    Row(ISO, "packages.txt", LIST, "packages.txt", "packages, versions, hashes"),
)  # fmt: skip


def find(where: str, path: str) -> Row:
    """Return the row of a file; raise KeyError if there is none."""
    for row in ROWS:
        if (row.where, row.path) == (where, path):
            return row
    raise KeyError(f"the {where} has a file {path}, but template/contents.py has no row for it")
