"""Newer firmware, every network card, slow media: python -m documents.firmware, which make firmware runs.

Boots them all, and writes docs/firmware.md. Arguments, if any, name the rows that are wanted, and nothing is written.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import boots_from
from documents import matrix
from lab import debs, media, mok
from lab.firmware import ARM64, ARM64_SECURE, BIOS, BIOS_PC, UEFI, UEFI_PC, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.machine import HOST, USER_NETWORK, BootError
from lab.server import boot_server
from template.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "firmware.md"
SLOW = 100 * 1024  # bytes a second


@dataclass(frozen=True)
class Cell:
    """A boot, and where it stands on the page; `why_not` says why it rightly doesn't boot."""

    row: str
    column: str
    firmware: Firmware
    medium: list[str]
    network: tuple[str, ...] = USER_NETWORK
    why_not: str = ""


_MEDIA = {"USB CD": media.XHCI_CD, "USB stick": media.XHCI_STICK, "NVMe disk": media.NVME_DISK}
# U-Boot for x86-64 is built without xHCI.
_USB_2 = {**_MEDIA, "USB CD": media.EHCI_CD, "USB stick": media.EHCI_STICK}
_E1000 = ("-netdev", "user,id=lan0", "-device", "e1000,netdev=lan0,romfile=")  # which every U-Boot drives
_U_BOOT_TARGETS = "USB is not among its boot_targets, as Debian builds it"
_U_BOOT_CD = "it counts the ESP of a CD in the CD's sectors of 2,048 bytes, and the FAT file system in its own of 512"


def _newest(iso: Path) -> Iterator[Cell]:
    """Give the cells of firmware that Debian's releases do not have yet."""
    root = debs.unpack(debs.NEWEST)
    share = root / "usr/share"
    boot = root / "usr/lib/u-boot"
    machines = debs.unpack(debs.MACHINES)

    def edk2(base: Firmware, code: str, store: str) -> Firmware:
        return replace(base, pflash=(share / code, share / store))

    def u_boot(base: Firmware, *words: str) -> Firmware:
        return replace(base, name=f"u-boot-{base.name}", command=(*base.command, *words), pflash=(), seconds=300)

    risc_v = riscv64(machines)
    rows = {
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
        "U-Boot, ARM64": u_boot(ARM64, "-bios", str(boot / "qemu_arm64/u-boot.bin")),
        "U-Boot, RISC-V 64": u_boot(risc_v, "-kernel", str(boot / "qemu-riscv64_smode/u-boot.bin")),
        "U-Boot, x86-64": u_boot(BIOS_PC, "-bios", str(boot / "qemu-x86_64/u-boot.rom")),
    }
    for row, firmware in rows.items():
        is_u_boot = row.startswith("U-Boot")
        for column, medium in (_USB_2 if row == "U-Boot, x86-64" else _MEDIA).items():
            why_not = _U_BOOT_CD if is_u_boot and "CD" in column else ""
            if (row, column) == ("U-Boot, RISC-V 64", "USB stick"):
                why_not = _U_BOOT_TARGETS
            yield Cell(row, column, firmware, medium.arguments(iso), _E1000 if is_u_boot else USER_NETWORK, why_not)


# QEMU's models of network cards that are no cards of a machine: a switch, and InfiniBand's other half.
_NO_CARDS = ("rocker", "pvrdma", "virtio-net-device")
_HANGS = "this build of iPXE hangs while it starts the card; iPXE 2.0 drives it"


def _cards(iso: Path) -> Iterator[Cell]:
    """Give the cells of every model of network card that QEMU has."""
    for model in _models():
        for column, firmware in (("BIOS", BIOS_PC), ("UEFI", UEFI_PC)):
            card = f"{model},netdev=lan0"
            if model == "usb-net":
                devices = ["-device", "qemu-xhci", "-device", card]
            else:
                devices = ["-device", card if model == "ne2k_isa" else f"{card},romfile="]
            network = ("-netdev", "user,id=lan0", *devices)
            why_not = WHY_NO_CARD.get((model, column), "")
            yield Cell(model, column, firmware, media.IDE_CD.arguments(iso), network, why_not)


_NO_DRIVER = "this build of iPXE has no driver for it, and the firmware drives none"
WHY_NO_CARD = {
    ("tulip", "UEFI"): _HANGS,
    **{(model, column): _NO_DRIVER for model in ("ne2k_isa", "usb-net") for column in ("BIOS", "UEFI")},
}


def _models() -> list[str]:
    said = subprocess.run(["qemu-system-x86_64", "-device", "help"], check=True, capture_output=True, text=True).stdout
    (cards,) = re.findall(r"Network devices:\n((?:.+\n)+)", said)
    return [model for model in re.findall(r'name "([^"]+)"', cards) if model not in _NO_CARDS]


def _slow(iso: Path) -> Iterator[Cell]:
    """Give the cells of media that are as slow as a BMC's link may be."""
    for row, medium in (("virtual CD, USB 2", media.EHCI_CD), ("USB stick, USB 2", media.EHCI_STICK)):
        for column, firmware in (("BIOS", BIOS), ("UEFI", UEFI)):
            arguments = medium.arguments(iso)
            arguments[1] += f",throttling.bps-total={SLOW}"
            yield Cell(row, column, replace(firmware, seconds=300), arguments)


_NO_LOADER = {
    "GRUB": (
        "GRUB starts shim as a file of the whole drive, where the firmware sees no file system, and so shim does not "
        "find iPXE: let the firmware itself boot the image"
    ),
    "rEFInd": "of the image rEFInd lists MokManager alone: let the firmware itself boot it",
}


def _loaders(iso: Path) -> Iterator[Cell]:
    """Give the cells of boot loaders on the machine's own disk that are told to start the image."""
    root = debs.unpack(debs.LOADERS)
    grub: dict[str, Path | str] = {
        "EFI/BOOT/BOOTX64.EFI": root / "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi",
        "EFI/debian/grub.cfg": (
            "search --no-floppy --set=image --label BOOTS-FROM\nchainloader ($image)/EFI/BOOT/BOOTX64.EFI\nboot\n"
        ),
    }
    refind: dict[str, Path | str] = {
        "EFI/BOOT/BOOTX64.EFI": root / "usr/share/refind/refind/refind_x64.efi",
        "EFI/BOOT/refind.conf": "textonly\ntimeout 1\nscanfor external,optical\n",
    }
    for row, files in (("GRUB", grub), ("rEFInd", refind)):
        disk = iso.with_name(f"{row}.img")
        _fat(disk, files)
        for column, medium in (("CD", media.AHCI_CD), ("USB stick", media.XHCI_STICK)):
            image = [word.replace("bootindex=0", "bootindex=1") for word in medium.arguments(iso)]
            loader = [word.replace("=boot", "=loader") for word in media.VIRTIO_DISK.arguments(disk)]
            yield Cell(row, column, UEFI, [*loader, *image], why_not=_NO_LOADER[row])


def _fat(disk: Path, files: dict[str, Path | str]) -> None:
    """Make a FAT disk with files, given by their paths there: a file to copy, or a text."""
    subprocess.run(["mformat", "-C", "-i", disk, "-T", "65536", "-h", "64", "-s", "32", "::"], check=True)
    for folder in ("EFI", "EFI/BOOT", "EFI/debian"):
        subprocess.run(["mmd", "-i", disk, f"::{folder}"], check=True)
    for path, content in files.items():
        text = content.read_bytes() if isinstance(content, Path) else content.encode()
        subprocess.run(["mcopy", "-i", disk, "-", f"::{path}"], input=text, check=True)


TABLES: dict[str, Callable[[Path], Iterable[Cell]]] = {
    "newest": _newest,
    "cards": _cards,
    "slow": _slow,
    "loaders": _loaders,
}


def _seconds(cell: Cell, variables: dict[str, Path], baked: str) -> float | None:
    """Boot a cell; return the seconds from power on to the request, None where it rightly does not boot."""
    with tempfile.TemporaryDirectory(prefix="firmware-") as name, boot_server() as server:
        work = Path(name)
        if cell.row in variables:
            shutil.copy(variables[cell.row], work)
        # The image is the same but for the server's port, which is the cell's own.
        iso = work / "boots-from.iso"
        iso.write_bytes(boots_from.bake(f"http://{HOST}:{server.port}/boot"))
        medium = [word.replace(baked, str(iso)) for word in cell.medium]
        log = re.sub(r"\W+", "-", f"firmware-{cell.row}-{cell.column}")
        firmware = replace(cell.firmware, seconds=30) if cell.why_not else cell.firmware
        try:
            seconds = matrix.boot(firmware, medium, server, "/boot", work, log, cell.network)
        except BootError:
            if not cell.why_not:
                raise
            seconds = None
    assert (seconds is None) == bool(cell.why_not), f"{cell.row}, {cell.column} boots, and why_not says that it doesn't"
    print(f"{cell.row:<40} {cell.column:<12} {'-' if seconds is None else f'{seconds:.1f} s'}", flush=True)
    return seconds


def _table(cells: list[Cell], results: dict[tuple[str, str], float | None], reasons: list[str]) -> str:
    """Return a table in Markdown; what does not boot is numbered by its reason, which goes to `reasons`."""
    columns = list(dict.fromkeys(cell.column for cell in cells))
    lines = [f"| | {' | '.join(columns)} |", f"| --- | {' | '.join('---:' for _ in columns)} |"]
    for row in dict.fromkeys(cell.row for cell in cells):
        words = []
        for cell in (cell for cell in cells if cell.row == row):
            seconds = results[cell.row, cell.column]
            words.append(matrix.no(cell.why_not, reasons) if seconds is None else f"{seconds:.1f}")
        lines.append(f"| {row} | {' | '.join(words)} |")
    return "\n".join(lines)


_PAGE = """\
# Firmware and network cards

<!-- written by make firmware -->

Seconds from power on to the machine's first request at the server, as in the [boot matrix](matrix.md).

## Firmware that Debian's releases do not have yet

{newest}

Secure Boot: iPXE's hash was enrolled before. Strict NX: no memory is writable and executable at once.
{versions}.

## Every network card that QEMU has

{cards}

## Media at 100 KB/s

A BMC's virtual media over a slow link. BIOS reads 0.6 MB of the image, UEFI 2.4 MB, and no time-out strikes.

{slow}

## Started by a boot loader on the machine's disk

{loaders}

{reasons}
"""


def _page(tables: dict[str, list[Cell]], results: dict[tuple[str, str], float | None]) -> str:
    """Return docs/firmware.md."""
    reasons: list[str] = []
    texts = {title: _table(table, results, reasons) for title, table in tables.items()}
    versions = ", ".join(debs.versions(debs.unpack(debs.NEWEST)))
    return _PAGE.format(**texts, reasons=matrix.notes(reasons), versions=versions)


def main() -> int:
    """Boot all and write the page; return 1, and leave the page, if a cell is not what it should be."""
    wanted = sys.argv[1:]
    results: dict[tuple[str, str], float | None] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="firmware-") as name, ThreadPoolExecutor(2) as pool:
        baked = Path(name, "boots-from.iso")
        tables = {title: list(cells(baked)) for title, cells in TABLES.items()}
        cells = [cell for table in tables.values() for cell in table if not wanted or cell.row in wanted]
        secure = {cell.row: cell.firmware for cell in cells if "Secure Boot" in cell.row}
        works = [Path(name, re.sub(r"\W+", "-", row)) for row in secure]
        for work in works:
            work.mkdir()
        variables = dict(zip(secure, pool.map(mok.enrolled_variables, secure.values(), works), strict=True))
        futures = {(cell.row, cell.column): pool.submit(_seconds, cell, variables, str(baked)) for cell in cells}
        for cell in cells:
            try:
                results[cell.row, cell.column] = futures[cell.row, cell.column].result()
            except AssertionError as error:
                print(error, file=sys.stderr)
                failed = True
    if not failed and not wanted:
        PAGE.write_text(_page(tables, results))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
