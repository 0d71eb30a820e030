"""The boot matrix: every kind of machine with every medium, with a reason for each combination that does not boot.

docgen/matrix_table.py boots all cells, tests/boot/test_matrix.py some of them; docgen/compatibility.py adds others.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import boots_from
from boots_from.image import fill, read_template
from lab import debian, machine, media, mok_manager
from lab.firmware import (
    ARM64,
    ARM64_SECURE,
    BIOS,
    BIOS_PC,
    UEFI,
    UEFI_PC,
    UEFI_SECURE,
    Firmware,
    loongarch64,
    riscv64,
    write_variables,
)
from lab.machine import HOST, USER_NETWORK, BootError, Machine
from lab.media import Medium
from lab.recording_server import RecordingServer, serve
from template.paths import PACKAGES

# Attaches the image to a machine: takes the image, a work directory and the server, and returns QEMU arguments.
Attach = Callable[[Path, Path, RecordingServer], list[str]]


@dataclass(frozen=True)
class Cell:
    """A machine with a medium, and its row and column in the table; `why_not` is the reason if it can't boot."""

    column: str
    row: str
    firmware: Firmware
    attach: Attach
    network: tuple[str, ...] = USER_NETWORK
    why_not: str = ""


# Seconds from power-on to the request of each cell; None for cells that can't boot.
Results = dict[Cell, float | None]


def plain(medium: Medium) -> Attach:
    """Attach the image as this medium."""
    return lambda image, work, server: medium.arguments(image)


def fat(disk: Path, *files: Path) -> None:
    """Make a disk image with a FAT file system, and copy files and whole directories into it."""
    geometry = ["-T", "65536", "-h", "64", "-s", "32"]
    subprocess.run(["mformat", "-C", "-i", disk, *geometry, "::"], check=True, capture_output=True)
    subprocess.run(["mcopy", "-s", "-i", disk, *files, "::"], check=True, capture_output=True)


def fat32(disk: Path, *files: Path) -> None:
    """Make a disk image like a new USB stick: 1 GiB with one FAT32 partition, with these files and directories."""
    with disk.open("wb") as opened:
        opened.truncate(2**30)
    first = 2048  # sectors
    subprocess.run(["sfdisk", "-q", disk], input=f"{first},,c\n".encode(), check=True, capture_output=True)
    size = (2**30 - first * 512) // 1024  # mkfs.vfat counts in KiB
    command = ["mkfs.vfat", "-F", "32", "--offset", str(first), str(disk), str(size)]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["mcopy", "-s", "-i", f"{disk}@@{first * 512}", *files, "::"], check=True, capture_output=True)


def _copied_files(image: Path, work: Path, server: RecordingServer) -> list[str]:
    """Make a FAT32 stick with the files of the ISO, as Rufus in ISO mode does, or a user with a file manager."""
    stick, tree = work / "stick.img", work / "tree"
    xorriso = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", str(image), "-extract", "/", str(tree)]
    subprocess.run(xorriso, check=True, capture_output=True)
    fat32(stick, tree / "EFI", tree / "boot", tree / "packages.txt")
    return media.XHCI_STICK.arguments(stick)


def _sd_card(image: Path, work: Path, server: RecordingServer) -> list[str]:
    """Pad the image to a power of two, which QEMU requires for the size of an SD card."""
    card = work / "card.img"
    content = image.read_bytes()
    card.write_bytes(content.ljust(1 << (len(content) - 1).bit_length(), b"\0"))
    return media.SD_CARD.arguments(card)


def _http_disk(image: Path, work: Path, server: RecordingServer) -> list[str]:
    """Let an iPXE of Debian attach the image as a SAN disk over HTTP; like with Ventoy, there is no physical drive."""
    server.files["/boots-from.iso"] = image.read_bytes()
    script = f"#!ipxe\ndhcp\nsanboot http://{HOST}:{server.port}/boots-from.iso\n"
    # Not an image for a URL, which on UEFI would mark itself as running: see boot.ipxe.
    ipxe = work / "ipxe.iso"
    ipxe.write_bytes(fill(read_template(), script.encode()))
    return media.SCSI_CD.arguments(ipxe)


def _http_boot(image: Path, work: Path, server: RecordingServer) -> list[str]:
    """Store the URL of the image in a UEFI boot variable, so that the firmware downloads the image."""
    server.files["/boots-from.iso"] = image.read_bytes()
    (variables,) = work.glob("*VARS*")
    options = ["--set-boot-uri", f"http://{HOST}:{server.port}/boots-from.iso"]
    if not variables.read_bytes().strip(b"\0"):
        # The variable store for ARM64 is empty, and virt-fw-vars needs a formatted one. So use the store for Secure
        # Boot, without its platform key, which turns Secure Boot off.
        shutil.copyfile(ARM64_SECURE.pflash[1], variables)
        options += ["--delete", "PK"]
    write_variables(variables, variables, *options)
    return []


def _memdisk(image: Path, work: Path, server: RecordingServer) -> list[str]:
    """Load the image with memdisk from SYSLINUX, which presents it as a CD in memory, as boot menus on sticks do."""
    memdisk = next(debian.unpack(PACKAGES).rglob("memdisk"))
    return ["-kernel", str(memdisk), "-initrd", str(image), "-append", "iso raw"]


# The kinds of machines.
COLUMNS: dict[str, Callable[[], Firmware]] = {
    "BIOS": lambda: BIOS,
    "UEFI": lambda: UEFI,
    "UEFI, Secure Boot": lambda: UEFI_SECURE,
    "ARM64": lambda: ARM64,
    "ARM64, Secure Boot": lambda: ARM64_SECURE,
    "RISC-V 64": lambda: riscv64(debian.unpack(debian.MACHINES)),
    "LoongArch64": lambda: loongarch64(debian.unpack(debian.MACHINES)),
}


def _columns(*, but: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column for column in COLUMNS if column not in but)


_ALL = tuple(COLUMNS)
_UEFI = _columns(but=("BIOS",))
# Of these machines only the old PC of QEMU has parallel IDE.
_OLD_PC: dict[str, Callable[[], Firmware]] = {"BIOS": lambda: BIOS_PC, "UEFI": lambda: UEFI_PC}


@dataclass(frozen=True)
class Row:
    """A medium: `machines` are the columns that have it; `why_not` gives the reason for each column that can't boot."""

    attach: Attach
    machines: Mapping[str, Callable[[], Firmware]] = field(default_factory=lambda: COLUMNS)
    why_not: Mapping[str, str] = field(default_factory=dict)


def _row(medium: Medium, why_not: str = "", columns: tuple[str, ...] = ()) -> Row:
    return Row(plain(medium), why_not=dict.fromkeys(columns, why_not))


_NO_DRIVER = "the firmware of this machine lacks a driver for it"
_NO_AHCI = ("ARM64", "ARM64, Secure Boot", "LoongArch64")
_512 = "the FAT file system and the boot code count in sectors of 512 bytes; with others no hybrid image boots"
_NO_BOOT_CODE = "copied files include no boot code: write the image itself"
_NO_HTTP_BOOT = "the firmware of this machine, as Debian builds it, lacks HTTP Boot"

ROWS = {
    "CD, IDE": Row(plain(media.IDE_CD), _OLD_PC),
    "CD, AHCI (SATA)": _row(media.AHCI_CD, _NO_DRIVER, _NO_AHCI),
    "CD, virtio-SCSI": _row(media.SCSI_CD),
    "CD, LSI 53C895A SCSI": _row(media.LSI_CD, _NO_DRIVER, _UEFI),
    "CD, PVSCSI": _row(media.PVSCSI_CD, _NO_DRIVER, _UEFI),
    "CD, USB 1 (UHCI)": _row(media.UHCI_CD),
    "CD, USB 2 (EHCI)": _row(media.EHCI_CD),
    "CD, USB 3 (xHCI)": _row(media.XHCI_CD),
    "stick, USB 1 (UHCI)": _row(media.UHCI_STICK),
    "stick, USB 2 (EHCI)": _row(media.EHCI_STICK),
    "stick, USB 3 (xHCI)": _row(media.XHCI_STICK),
    "stick, USB 2, UAS": _row(media.UAS_STICK, _NO_DRIVER, _UEFI),
    "FAT32 stick with the files of the ISO": Row(_copied_files, why_not={"BIOS": _NO_BOOT_CODE}),
    "disk, IDE": Row(plain(media.IDE_DISK), _OLD_PC),
    "disk, SATA": _row(media.SATA_DISK, _NO_DRIVER, _NO_AHCI),
    "disk, NVMe": _row(media.NVME_DISK),
    "disk, virtio": _row(media.VIRTIO_DISK),
    "disk, virtio-SCSI": _row(media.SCSI_DISK),
    "disk, 4,096-byte sectors": _row(media.SECTORS_4K_DISK, _512, _ALL),
    "SD card": Row(_sd_card, why_not=dict.fromkeys(_UEFI, _NO_DRIVER)),
    "ISO over HTTP, by sanboot of iPXE": Row(_http_disk),
    "ISO in memory, memdisk": Row(_memdisk, {"BIOS": COLUMNS["BIOS"]}),
    "no medium, UEFI HTTP Boot": Row(
        _http_boot,
        {column: COLUMNS[column] for column in _UEFI},
        dict.fromkeys(("RISC-V 64", "LoongArch64"), _NO_HTTP_BOOT),
    ),
}


def names() -> Iterator[tuple[str, str]]:
    """Yield the column and the row of each cell of the matrix, row by row."""
    for name, row in ROWS.items():
        yield from ((column, name) for column in COLUMNS if column in row.machines)


def cell_at(column: str, name: str) -> Cell:
    """Return a cell of the matrix; downloads the packages of its machine if necessary."""
    row = ROWS[name]
    return Cell(column, name, row.machines[column](), row.attach, why_not=row.why_not.get(column, ""))


def boot(
    firmware: Firmware,
    media: list[str],
    server: RecordingServer,
    path: str,
    work: Path,
    name: str,
    network: Iterable[str] = USER_NETWORK,
) -> float:
    """Boot a machine; return the seconds from power-on to its request.

    Args:
        firmware: the kind of machine.
        media: QEMU arguments for the drives, one of them with an image for `path` on the server.
        server: the server that the image boots from.
        path: the path that the machine has to request, with its query.
        work: a directory for the UEFI variables.
        name: the name of the console log.
        network: QEMU arguments for the network cards.

    Raises:
        BootError: the machine does not boot.
    """
    nonce, script = machine.nonce_script()
    server.files[path.partition("?")[0]] = script.encode()
    with Machine(firmware, media, work, name, network) as running:
        running.wait_for(nonce, firmware.seconds)
        (request,) = [request for request in server.requests if request.path == path]
        assert request.user_agent == machine.ipxe()[0]
        return request.at - running.started


def bytes_read(firmware: Firmware, medium: Medium, bake: Callable[[str], bytes], work: Path) -> int:
    """Return how many bytes a machine reads from the medium until the script of the server runs.

    Args:
        firmware: the kind of machine.
        medium: the medium with the image.
        bake: a function from a URL to an image.
        work: a directory for the image and the UEFI variables.

    Raises:
        BootError: the machine does not boot.
    """
    nonce, script = machine.nonce_script()
    with serve() as server:
        server.files["/boot"] = script.encode()
        iso = work / "read.iso"
        iso.write_bytes(bake(f"http://{HOST}:{server.port}/boot"))
        with Machine(firmware, medium.arguments(iso), work, f"{firmware.name}-bytes-read") as running:
            running.wait_for(nonce, firmware.seconds)
            return running.bytes_read()


def boot_cell(cell: Cell, server: RecordingServer, work: Path, variables: Path | None) -> float:
    """Boot a cell; return the seconds from power-on to the request.

    Args:
        cell: the machine and its medium.
        server: the server that the image boots from.
        work: an empty directory.
        variables: a file with UEFI variables of an earlier boot, or None.

    Raises:
        BootError: the machine does not boot.
    """
    # Machines that boot take 17 s at most, except from media at 100 KB/s: matrix.md and compatibility.md in
    # docs/reference/.
    firmware = replace(cell.firmware, seconds=30) if cell.why_not else cell.firmware
    for store in [variables] if variables else firmware.pflash[1:]:
        shutil.copy(store, work)
    path = f"/boot?firmware={firmware.name}&again=1"
    image = work / "boots-from.iso"
    image.write_bytes(boots_from.bake(f"http://{HOST}:{server.port}{path}"))
    log = re.sub(r"\W+", "-", f"{cell.column}-{cell.row}")
    return boot(firmware, cell.attach(image, work, server), server, path, work, log, cell.network)


def _result(cell: Cell, variables: Path | None) -> float | None:
    """Boot a cell; return the seconds to the request, or None if it is a cell that can't boot."""
    with tempfile.TemporaryDirectory(prefix="boots-") as name, serve() as server:
        try:
            seconds = boot_cell(cell, server, Path(name), variables)
        except BootError:
            if not cell.why_not:
                raise
            seconds = None
    assert seconds is None or not cell.why_not, f"{cell.column}, {cell.row} boots: remove its why_not"
    print(f"{cell.column:<20} {cell.row:<40} {'-' if seconds is None else f'{seconds:.1f} s'}", flush=True)
    return seconds


def boot_all(cells: Iterable[Cell]) -> Results | None:
    """Boot cells, two at a time. On machines with Secure Boot, enroll the hash of iPXE first.

    Returns:
        The seconds of each cell; or None, with the reasons on standard error, if a cell has an unexpected result.
    """
    results: Results = {}
    with tempfile.TemporaryDirectory(prefix="boots-") as name, ThreadPoolExecutor(2) as pool:
        cells = list(cells)
        secure = list(dict.fromkeys(cell.firmware for cell in cells if cell.firmware.secure_boot))
        works = [Path(tempfile.mkdtemp(dir=name)) for _ in secure]
        variables = dict(zip(secure, pool.map(mok_manager.boot_and_enroll, secure, works), strict=True))
        futures = {cell: pool.submit(_result, cell, variables.get(cell.firmware)) for cell in cells}
        for cell, future in futures.items():
            try:
                results[cell] = future.result()
            except AssertionError as error:
                print(error, file=sys.stderr)
    return results if len(results) == len(futures) else None
