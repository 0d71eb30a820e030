"""Boot newer firmware, every network card, slow media: python -m docgen.compatibility, which make compatibility runs.

Without arguments it boots everything and writes docs/reference/compatibility.md. If arguments name rows, it boots only
these and writes no file.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from docgen.matrix_table import notes, table
from lab import boot_matrix, debian, media
from lab.boot_matrix import Attach, Cell, Results
from lab.firmware import ARM64, ARM64_SECURE, BIOS, BIOS_PC, UEFI, UEFI_PC, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.media import Medium
from lab.recording_server import RecordingServer
from template.paths import CHECKOUT

PAGE = CHECKOUT / "docs/reference/compatibility.md"
SLOW = 100 * 1024  # bytes per second

_MEDIA = {"USB CD": media.XHCI_CD, "USB stick": media.XHCI_STICK, "NVMe disk": media.NVME_DISK}
_E1000 = ("-netdev", "user,id=lan0", "-device", "e1000,netdev=lan0,romfile=")  # every U-Boot has a driver for it
_U_BOOT_TARGETS = "USB is not among its boot_targets, as Debian builds it"
_U_BOOT_CD = (
    "it counts the ESP of a CD in sectors of 2,048 bytes, as on the CD, and the FAT file system in sectors of 512"
)


def _latest() -> Iterator[Cell]:
    """Yield the cells with firmware newer than in any Debian release."""
    root = debian.unpack(debian.LATEST_FIRMWARE)
    share = root / "usr/share"
    boot = root / "usr/lib/u-boot"
    machines = debian.unpack(debian.MACHINES)

    def edk2(base: Firmware, code: str, store: str) -> Firmware:
        return replace(base, pflash=(share / code, share / store))

    def u_boot(base: Firmware, *arguments: str) -> Firmware:
        return replace(base, name=f"u-boot-{base.name}", command=(*base.command, *arguments), pflash=(), seconds=300)

    risc_v = riscv64(machines)
    edk2_rows = {
        "SeaBIOS": replace(BIOS, command=(*BIOS.command, "-bios", str(share / "seabios/bios-256k.bin"))),
        "EDK2, x86-64": edk2(UEFI, "OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"),
        "EDK2, x86-64, Secure Boot": edk2(UEFI_SECURE, "OVMF/OVMF_CODE_4M.secboot.fd", "OVMF/OVMF_VARS_4M.ms.fd"),
        "EDK2, x86-64, Secure Boot, strict NX": edk2(
            UEFI_SECURE, "OVMF/OVMF_CODE_4M.secboot.strictnx.fd", "OVMF/OVMF_VARS_4M.ms.fd"
        ),
        "EDK2, ARM64": edk2(ARM64, "AAVMF/AAVMF_CODE.no-secboot.fd", "AAVMF/AAVMF_VARS.fd"),
        "EDK2, ARM64, Secure Boot": edk2(ARM64_SECURE, "AAVMF/AAVMF_CODE.secboot.fd", "AAVMF/AAVMF_VARS.ms.fd"),
        "EDK2, ARM64, Secure Boot, strict NX": edk2(
            ARM64_SECURE, "AAVMF/AAVMF_CODE.secboot.strictnx.fd", "AAVMF/AAVMF_VARS.ms.fd"
        ),
        "EDK2, RISC-V 64": edk2(risc_v, "qemu-efi-riscv64/RISCV_VIRT_CODE.fd", "qemu-efi-riscv64/RISCV_VIRT_VARS.fd"),
        "EDK2, LoongArch64": edk2(
            loongarch64(machines), "qemu-efi-loongarch64/QEMU_EFI.fd", "qemu-efi-loongarch64/QEMU_VARS.fd"
        ),
    }
    cd = {"USB CD": _U_BOOT_CD}
    u_boot_rows: dict[str, tuple[Firmware, dict[str, Medium], dict[str, str]]] = {
        "U-Boot, ARM64": (u_boot(ARM64, "-bios", str(boot / "qemu_arm64/u-boot.bin")), _MEDIA, cd),
        "U-Boot, RISC-V 64": (
            u_boot(risc_v, "-kernel", str(boot / "qemu-riscv64_smode/u-boot.bin")),
            _MEDIA,
            {**cd, "USB stick": _U_BOOT_TARGETS},
        ),
        # This U-Boot is built without xHCI.
        "U-Boot, x86-64": (
            u_boot(BIOS_PC, "-bios", str(boot / "qemu-x86_64/u-boot.rom")),
            {**_MEDIA, "USB CD": media.EHCI_CD, "USB stick": media.EHCI_STICK},
            cd,
        ),
    }
    for row, firmware in edk2_rows.items():
        for column, medium in _MEDIA.items():
            yield Cell(column, row, firmware, boot_matrix.plain(medium))
    for row, (firmware, mediums, why_not) in u_boot_rows.items():
        for column, medium in mediums.items():
            reason = why_not.get(column, "")
            yield Cell(column, row, firmware, boot_matrix.plain(medium), _E1000, reason)


# Network devices of QEMU that are not cards of a PC: a switch, an RDMA function of vmxnet3, and virtio without PCI.
_NO_CARDS = ("rocker", "pvrdma", "virtio-net-device")
_HANGS = "this build of iPXE hangs while it starts the card; iPXE 2.0 drives it"
_NO_DRIVER = "this build of iPXE lacks a driver for it, and so does the firmware"
_WHY_NO_CARD = {
    ("tulip", "UEFI"): _HANGS,
    **{(model, column): _NO_DRIVER for model in ("ne2k_isa", "usb-net") for column in ("BIOS", "UEFI")},
}


def _cards() -> Iterator[Cell]:
    """Yield the cells with each model of network card in QEMU."""
    for model in _models():
        for column, firmware in (("BIOS", BIOS_PC), ("UEFI", UEFI_PC)):
            card = f"{model},netdev=lan0"
            if model == "usb-net":
                devices = ["-device", "qemu-xhci", "-device", card]
            else:
                devices = ["-device", card if model == "ne2k_isa" else f"{card},romfile="]
            network = ("-netdev", "user,id=lan0", *devices)
            why_not = _WHY_NO_CARD.get((model, column), "")
            yield Cell(column, model, firmware, boot_matrix.plain(media.IDE_CD), network, why_not)


def _models() -> list[str]:
    command = ["qemu-system-x86_64", "-device", "help"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (cards,) = re.findall(r"Network devices:\n((?:.+\n)+)", printed)
    return [model for model in re.findall(r'name "([^"]+)"', cards) if model not in _NO_CARDS]


def _slow() -> Iterator[Cell]:
    """Yield the cells with media that are as slow as the link to a BMC may be."""
    for row, medium in (("virtual CD, USB 2", media.EHCI_CD), ("USB stick, USB 2", media.EHCI_STICK)):
        for column, firmware in (("BIOS", BIOS), ("UEFI", UEFI)):
            yield Cell(column, row, replace(firmware, seconds=300), _throttled(medium))


def _throttled(medium: Medium) -> Attach:
    """Attach the image as a medium that is limited to SLOW bytes per second."""

    def attach(image: Path, work: Path, server: RecordingServer) -> list[str]:
        option, drive, *devices = medium.arguments(image)
        return [option, f"{drive},throttling.bps-total={SLOW}", *devices]

    return attach


_NO_LOADER = {
    "GRUB": (
        "GRUB starts shim as a file of the whole drive, where the firmware sees no file system, and so shim does not "
        "find iPXE: let the firmware boot the image"
    ),
    "rEFInd": "rEFInd lists only MokManager of the image: let the firmware boot the image",
}


def _loaders() -> Iterator[Cell]:
    """Yield the cells in which a boot loader on the disk of the machine starts the image."""
    root = debian.unpack(debian.LOADERS)
    grub = {
        "BOOT/BOOTX64.EFI": (root / "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi").read_bytes(),
        "debian/grub.cfg": (
            b"search --no-floppy --set=image --label BOOTS-FROM\nchainloader ($image)/EFI/BOOT/BOOTX64.EFI\nboot\n"
        ),
    }
    refind = {
        "BOOT/BOOTX64.EFI": (root / "usr/share/refind/refind/refind_x64.efi").read_bytes(),
        "BOOT/refind.conf": b"textonly\ntimeout 1\nscanfor external,optical\n",
    }
    for row, files in (("GRUB", grub), ("rEFInd", refind)):
        for column, medium in (("CD", media.AHCI_CD), ("USB stick", media.XHCI_STICK)):
            yield Cell(column, row, UEFI, _after_disk(medium, files), why_not=_NO_LOADER[row])


def _after_disk(medium: Medium, files: dict[str, bytes]) -> Attach:
    """Attach the image behind a disk in the boot order; `files` are the files on the disk, by path below EFI."""

    def attach(image: Path, work: Path, server: RecordingServer) -> list[str]:
        disk = work / "disk.img"
        for path, content in files.items():
            file = work / "EFI" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        boot_matrix.fat(disk, work / "EFI")
        loader = [argument.replace("=boot", "=loader") for argument in media.VIRTIO_DISK.arguments(disk)]
        return [*loader, *(argument.replace("bootindex=0", "bootindex=1") for argument in medium.arguments(image))]

    return attach


TABLES: dict[str, Callable[[], Iterator[Cell]]] = {
    "latest": _latest,
    "cards": _cards,
    "slow": _slow,
    "loaders": _loaders,
}


_PAGE = """\
# Compatibility

<!-- written by make compatibility -->

Each number is the seconds from power on to the first request at the server, as in the [boot matrix](matrix.md). "no"
has a footnote with the reason. For real machines see [Hardware reports](../hardware-reports.md).

## Firmware that is newer than that of Debian releases

{latest}

Secure Boot: the hash of iPXE was enrolled before. Strict NX: memory is never writable and executable at once. Versions:
{versions}.

## Every network card that QEMU has

{cards}

## Media at 100 KB/s

Virtual media of a BMC over a slow link. BIOS reads 0.5 MB of the image, UEFI 2.4 MB, and everything boots without a
timeout.

{slow}

## Started by a boot loader on the disk of the machine

{loaders}

{reasons}
"""


def _page(tables: dict[str, list[Cell]], results: Results) -> str:
    """Return docs/reference/compatibility.md."""
    reasons: dict[str, int] = {}
    texts = {title: table({cell: results[cell] for cell in cells}, reasons) for title, cells in tables.items()}
    versions = ", ".join(debian.versions(debian.unpack(debian.LATEST_FIRMWARE)))
    return _PAGE.format(**texts, reasons=notes(reasons), versions=versions)


def main() -> int:
    """Boot the cells and write the page; return 1, without writing it, if a cell has an unexpected result."""
    selected = sys.argv[1:]
    tables = {title: list(cells()) for title, cells in TABLES.items()}
    rows = dict.fromkeys(cell.row for cells in tables.values() for cell in cells)
    if unknown := [row for row in selected if row not in rows]:
        print(f'compatibility: error: no row "{unknown[0]}": use {"; ".join(rows)}', file=sys.stderr)
        return 2
    results = boot_matrix.boot_all(
        cell for cells in tables.values() for cell in cells if not selected or cell.row in selected
    )
    if results is None:
        return 1
    if not selected:
        PAGE.write_text(_page(tables, results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
