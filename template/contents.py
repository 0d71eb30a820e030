"""What is in the image: a row for each file, from where it is, where it goes, and why.

Each file is there once. The ISO 9660 tree lists the ESP's files by the same paths: BIOS finds the script there, and a
stick made by copying the ISO's files has all that UEFI needs.

The layout of the template, its picture and its table, and the bill of materials all come from here.

On x86-64 and ARM64 shim comes first: Microsoft has signed it, so Secure Boot runs it, and it runs grub*.efi, which
is iPXE, once the operator has enrolled its hash with MokManager, mm*.efi. shim knows no other names.
"""

from dataclasses import dataclass

from boots_from import image
from template import mark

ESP = "ESP"
ISO = "ISO 9660"

# Sources that are no file of a package: what template/build.py writes itself.
SLOT = "(the slot)"
LIST = "(the list of the firmware)"
ADVICE = "(what to enroll)"
CONFIGURATION = "(ISOLINUX's configuration)"
MARKS = {machine: f"(the mark for {machine})" for machine in mark.MACHINES}

MBR = "usr/lib/ISOLINUX/isohdpfx.bin"  # the boot code of sticks and disks, which is no file of the image

# MokManager shows nothing but the names of the files that one can choose, in the order of writing, and so the first
# is one that says which.
HINT = "EFI/BOOT/ENROLL grubx64.efi (ARM64 - grubaa64.efi)"
ISOLINUX = "boot/isolinux/isolinux.bin"

# Parts of the picture that hold more than one file.
FAT = "FAT16: tables and directories"
BIOS = "ISOLINUX and ipxe.lkrn: iPXE for BIOS"
URL = "slot: the script for your URL"
MARK = "mark-running-*.efi: four small programs"

_SHIM = "shim, under the name that UEFI for {} looks for; Secure Boot runs it because Microsoft has signed it"


@dataclass(frozen=True)
class Row:
    """A file of the image.

    `where` is the file system that holds it; ISO 9660 also lists what is on the ESP. `source` is a file of the unpacked
    packages, what an [[override]] table replaces, or one of the names in brackets above; `drawn` is its part of the
    picture; `enroll` says for which machines and URLs Secure Boot wants its hash enrolled, and is mostly empty.
    """

    where: str
    path: str
    source: str
    drawn: str
    why: str
    enroll: str = ""

    @property
    def packaged(self) -> bool:
        """Whether it comes from a package, or from an [[override]] table."""
        return not self.source.startswith("(")


# In the order of writing, which MokManager shows.
ROWS = (
    Row(ESP, HINT, ADVICE, FAT, "its name says which file to choose in MokManager"),
    Row(
        ESP, "EFI/BOOT/grubx64.efi", "usr/lib/ipxe/ipxe-amd64.efi", "grubx64.efi: iPXE for x86-64",
        "iPXE for x86-64, under the only name that shim starts", enroll="x86-64",
    ),
    Row(
        ESP, "EFI/BOOT/grubaa64.efi", "usr/lib/ipxe/ipxe-arm64.efi", "grubaa64.efi: iPXE for ARM64",
        "iPXE for ARM64", enroll="ARM64",
    ),
    # The ECDSA iPXE. The main one starts it for https with ECDSA, and for scripts with commands that it lacks itself.
    # -x86_64 and -arm64 are iPXE's ${buildarch}.
    # snponly.efi has no drivers. Debian has none for ARM64.
    Row(
        ESP, "EFI/BOOT/ecdsa-ipxe-x86_64.efi", "ecdsa/usr/lib/ipxe/snponly.efi", "ecdsa-ipxe-x86_64.efi: iPXE 2.0",
        "the ECDSA iPXE, for https with ECDSA and more commands; uses the network card through the main one",
        enroll="x86-64, ECDSA iPXE",
    ),
    Row(
        ESP, "EFI/BOOT/ecdsa-ipxe-arm64.efi", "ecdsa/usr/lib/ipxe/ipxe-arm64.efi", "ecdsa-ipxe-arm64.efi: iPXE 2.0",
        "the same for ARM64, where it has its own drivers", enroll="ARM64, ECDSA iPXE",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTX64.EFI", "usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI: shim, signed by Microsoft",
        _SHIM.format("x86-64"),
    ),
    Row(
        ESP, "EFI/BOOT/mmx64.efi", "usr/lib/shim/mmx64.efi.signed", "mmx64.efi: MokManager",
        "MokManager, with which the operator enrolls iPXE, under the only name that shim starts",
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
        "iPXE for RISC-V 64; nobody signs for its Secure Boot",
    ),
    Row(
        ESP, "EFI/BOOT/BOOTLOONGARCH64.EFI", "usr/lib/ipxe/ipxe-loong64.efi", "BOOTLOONGARCH64.EFI: iPXE",
        "iPXE for LoongArch64; nobody signs for its Secure Boot",
    ),
    # Again -x86_64 and so on are ${buildarch}. Next to the script, since firmware reads 64 KiB at once.
    Row(
        ESP, "EFI/BOOT/mark-running-x86_64.efi", MARKS["x86_64"], MARK,
        "tells a second iPXE that it runs inside another one and must start the next disk; iPXE starts it on x86-64",
        enroll="x86-64, local disk by sanboot",
    ),
    Row(
        ESP, "EFI/BOOT/mark-running-arm64.efi", MARKS["arm64"], MARK, "the same for ARM64",
        enroll="ARM64, local disk by sanboot",
    ),
    Row(ESP, "EFI/BOOT/mark-running-riscv64.efi", MARKS["riscv64"], MARK, "the same for RISC-V 64"),
    Row(ESP, "EFI/BOOT/mark-running-loong64.efi", MARKS["loong64"], MARK, "the same for LoongArch64"),
    # The last of them: a template that was cut off has lost it, which is seen.
    Row(
        ESP, image.SCRIPT, SLOT, URL,
        "**slot**: the script, the only difference between two images. iPXE on UEFI looks for it where iPXE was loaded "
        "from; on BIOS it is the initrd, which iPXE uses as its script",
    ),

    Row(ISO, ISOLINUX, "usr/lib/ISOLINUX/isolinux.bin", BIOS, "the boot loader for BIOS, on CD and stick"),
    Row(
        ISO, "boot/isolinux/ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", BIOS,
        "the other half of ISOLINUX, without which it stops",
    ),
    Row(ISO, "boot/isolinux/isolinux.cfg", CONFIGURATION, BIOS, "tells ISOLINUX to load the next two"),
    Row(
        ISO, "boot/isolinux/ipxe.lkrn", "usr/lib/ipxe/ipxe.lkrn", BIOS,
        "iPXE for BIOS, in the form of a Linux kernel",
    ),
    # Here, so that it can also be read where partition 1 is mounted alone.
    Row(ISO, "firmware.txt", LIST, "firmware.txt", "packages, versions, hashes"),
)  # fmt: skip


def find(where: str, path: str) -> Row:
    """Return the row of a file; raise KeyError if the image is to hold none there."""
    for row in ROWS:
        if (row.where, row.path) == (where, path):
            return row
    raise KeyError(f"no row in template/contents.py says why {path} is on the {where}")
