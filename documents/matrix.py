"""The boot matrix: every kind of machine and every medium, and why where it doesn't boot.

python -m documents.matrix, which make matrix runs, boots all and writes docs/matrix.md. How cells are booted, timed and
put into a table is documents.firmware's, too.
"""

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import boots_from
from lab import debs, machine, media, mok
from lab.firmware import ARM64, ARM64_SECURE, BIOS, BIOS_PC, UEFI, UEFI_PC, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.machine import HOST, USER_NETWORK, BootError, Machine
from lab.media import Medium
from lab.server import BootServer, boot_server
from template.checkout import CHECKOUT, FIRMWARE

PAGE = CHECKOUT / "docs" / "matrix.md"

# What makes a medium of the image: from the image, a directory to work in and the server to QEMU's arguments.
Attach = Callable[[Path, Path, BootServer], list[str]]


@dataclass(frozen=True)
class Cell:
    """A boot, and where it stands on the page; `why_not` says why it rightly doesn't boot."""

    column: str
    row: str
    firmware: Firmware
    attach: Attach
    network: tuple[str, ...] = USER_NETWORK
    why_not: str = ""


# The seconds from power on to each cell's request; None where it rightly does not boot.
Results = dict[Cell, float | None]


def plain(medium: Medium) -> Attach:
    """Attach the image itself."""
    return lambda image, work, server: medium.arguments(image)


def fat(disk: Path, *files: Path) -> None:
    """Make a FAT disk of files, and of directories with all that is in them."""
    geometry = ["-T", "65536", "-h", "64", "-s", "32"]
    subprocess.run(["mformat", "-C", "-i", disk, *geometry, "::"], check=True, capture_output=True)
    subprocess.run(["mcopy", "-s", "-i", disk, *files, "::"], check=True, capture_output=True)


def fat32(disk: Path, *files: Path) -> None:
    """Do the same as sticks are sold: 1 GiB, with one partition, which is FAT32."""
    with disk.open("wb") as opened:
        opened.truncate(2**30)
    first = 2048  # sectors
    subprocess.run(["sfdisk", "-q", disk], input=f"{first},,c\n".encode(), check=True, capture_output=True)
    size = (2**30 - first * 512) // 1024  # mkfs.vfat counts in KiB
    command = ["mkfs.vfat", "-F", "32", "--offset", str(first), str(disk), str(size)]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["mcopy", "-s", "-i", f"{disk}@@{first * 512}", *files, "::"], check=True, capture_output=True)


def _copied_files(image: Path, work: Path, server: BootServer) -> list[str]:
    """Make a FAT32 stick with the ISO's files: what Rufus makes in ISO mode, or a person with a file manager."""
    stick, tree = work / "stick.img", work / "tree"
    xorriso = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", str(image), "-extract", "/", str(tree)]
    subprocess.run(xorriso, check=True, capture_output=True)
    fat32(stick, tree / "EFI", tree / "boot", tree / "firmware.txt")
    return media.XHCI_STICK.arguments(stick)


def _sd_card(image: Path, work: Path, server: BootServer) -> list[str]:
    """Fill the card up: its size is a power of two."""
    card = work / "card.img"
    content = image.read_bytes()
    card.write_bytes(content.ljust(1 << (len(content) - 1).bit_length(), b"\0"))
    return media.SD_CARD.arguments(card)


def _http_disk(image: Path, work: Path, server: BootServer) -> list[str]:
    """Another iPXE takes the image as a disk over HTTP, block by block; like Ventoy, it is no real drive."""
    server.files["/inner.iso"] = image.read_bytes()
    server.files["/outer"] = f"#!ipxe\nsanboot http://{HOST}:{server.port}/inner.iso\n".encode()
    outer = work / "outer.iso"
    outer.write_bytes(boots_from.bake(f"http://{HOST}:{server.port}/outer"))
    return media.SCSI_CD.arguments(outer)


def _http_boot(image: Path, work: Path, server: BootServer) -> list[str]:
    """Give the machine a boot variable with the image's URL: its firmware fetches that itself."""
    server.files["/boots-from.iso"] = image.read_bytes()
    (variables,) = work.glob("*VARS*")
    words = ["--set-boot-uri", f"http://{HOST}:{server.port}/boots-from.iso"]
    if not variables.read_bytes().strip(b"\0"):
        # For ARM64 it is zeros, which the firmware formats at its first boot. This one is formatted; without a
        # platform key Secure Boot is off.
        shutil.copyfile(ARM64_SECURE.pflash[1], variables)
        words += ["--delete", "PK"]
    program = Path(sys.executable).with_name("virt-fw-vars")
    subprocess.run([program, "--inplace", variables, *words], check=True, capture_output=True)
    return []


def _memdisk(image: Path, work: Path, server: BootServer) -> list[str]:
    """SYSLINUX's memdisk holds the image in memory as a CD, as boot menus on sticks do."""
    memdisk = next(debs.unpack(FIRMWARE).rglob("memdisk"))
    return ["-kernel", str(memdisk), "-initrd", str(image), "-append", "iso raw"]


# How each kind of machine is made.
COLUMNS: dict[str, Callable[[], Firmware]] = {
    "BIOS": lambda: BIOS,
    "UEFI": lambda: UEFI,
    "UEFI, Secure Boot": lambda: UEFI_SECURE,
    "ARM64": lambda: ARM64,
    "ARM64, Secure Boot": lambda: ARM64_SECURE,
    "RISC-V 64": lambda: riscv64(debs.unpack(debs.MACHINES)),
    "LoongArch64": lambda: loongarch64(debs.unpack(debs.MACHINES)),
}
# Parallel IDE is on QEMU's older PC.
_PC = {"BIOS": BIOS_PC, "UEFI": UEFI_PC}

ROWS = {
    "CD, IDE": plain(media.IDE_CD),
    "CD, AHCI (SATA)": plain(media.AHCI_CD),
    "CD, virtio-SCSI": plain(media.SCSI_CD),
    "CD, LSI 53C895A SCSI": plain(media.LSI_CD),
    "CD, PVSCSI": plain(media.PVSCSI_CD),
    "CD, USB 1 (UHCI)": plain(media.UHCI_CD),
    "CD, USB 2 (EHCI)": plain(media.EHCI_CD),
    "CD, USB 3 (xHCI)": plain(media.XHCI_CD),
    "stick, USB 1 (UHCI)": plain(media.UHCI_STICK),
    "stick, USB 2 (EHCI)": plain(media.EHCI_STICK),
    "stick, USB 3 (xHCI)": plain(media.XHCI_STICK),
    "stick, USB 2, UAS": plain(media.UAS_STICK),
    "FAT32 stick with the ISO's files": _copied_files,
    "disk, IDE": plain(media.IDE_DISK),
    "disk, SATA": plain(media.SATA_DISK),
    "disk, NVMe": plain(media.NVME_DISK),
    "disk, virtio": plain(media.VIRTIO_DISK),
    "disk, virtio-SCSI": plain(media.SCSI_DISK),
    "disk, 4,096-byte sectors": plain(media.SECTORS_4K_DISK),
    "SD card": _sd_card,
    "ISO over HTTP, iPXE's sanboot": _http_disk,
    "ISO in memory, memdisk": _memdisk,
    "no medium, UEFI HTTP Boot": _http_boot,
}


_NO_DRIVER = "the machine's firmware has no driver for it"
_512 = "the FAT file system and the boot code count in sectors of 512 bytes; with others no hybrid image boots"
# Where it does not boot, and why.
WHY_NOT = {
    **{
        (column, row): _NO_DRIVER
        for column in COLUMNS
        for row in ("CD, LSI 53C895A SCSI", "CD, PVSCSI", "stick, USB 2, UAS", "SD card")
        if column != "BIOS"
    },
    **{
        (column, row): _NO_DRIVER
        for column in ("ARM64", "ARM64, Secure Boot", "LoongArch64")
        for row in ("CD, AHCI (SATA)", "disk, SATA")
    },
    **{(column, "disk, 4,096-byte sectors"): _512 for column in COLUMNS},
    ("BIOS", "FAT32 stick with the ISO's files"): "copied files bring no boot code: write the image itself",
    **{
        (column, "no medium, UEFI HTTP Boot"): "the machine's firmware, as Debian builds it, has no HTTP Boot"
        for column in ("RISC-V 64", "LoongArch64")
    },
}


def exists(column: str, row: str) -> bool:
    """Return whether there are such machines."""
    if "IDE" in row:
        return column in _PC
    if "HTTP Boot" in row:
        return column != "BIOS"
    return column == "BIOS" or row != "ISO in memory, memdisk"


def cell_at(column: str, row: str) -> Cell:
    """Return a cell of the matrix."""
    firmware = _PC[column] if "IDE" in row else COLUMNS[column]()
    return Cell(column, row, firmware, ROWS[row], why_not=WHY_NOT.get((column, row), ""))


def boot(
    firmware: Firmware,
    media: list[str],
    server: BootServer,
    path: str,
    work: Path,
    name: str,
    network: Iterable[str] = USER_NETWORK,
) -> float:
    """Boot, and return the seconds from power on to the request.

    Args:
        firmware: the machine.
        media: QEMU's arguments for its drives, with the image for `path` on the server.
        server: what it boots from.
        path: what it has to ask for.
        work: a directory for its UEFI variables.
        name: names the console's log file.
        network: QEMU's arguments for its network cards.

    Raises:
        BootError: it doesn't boot.
    """
    nonce = f"nonce {secrets.token_hex(8)}"
    # The pause keeps what follows off the console until the nonce was read.
    server.files[path.partition("?")[0]] = f"#!ipxe\necho {nonce}\nsleep 600\n".encode()
    with Machine(firmware, media, work, name, network) as running:
        running.wait_for(nonce, firmware.seconds)
        (request,) = [request for request in server.requests if request.path == path]
        assert request.user_agent == machine.ipxe()[0]
        return request.at - running.started


def boot_cell(cell: Cell, server: BootServer, work: Path, variables: Path | None) -> float:
    """Boot a cell; return the seconds from power on to the request.

    Args:
        cell: what to boot.
        server: what it boots from.
        work: an empty directory.
        variables: the UEFI variables that it has from before, if any.

    Raises:
        BootError: it doesn't boot.
    """
    # Whatever boots, but for media at 100 KB/s, takes 17 s at most: docs/matrix.md and docs/firmware.md.
    firmware = replace(cell.firmware, seconds=30) if cell.why_not else cell.firmware
    for store in [variables] if variables else firmware.pflash[1:]:
        shutil.copy(store, work)
    path = f"/boot?firmware={firmware.name}&again=1"
    image = work / "boots-from.iso"
    image.write_bytes(boots_from.bake(f"http://{HOST}:{server.port}{path}"))
    log = re.sub(r"\W+", "-", f"{cell.column}-{cell.row}")
    return boot(firmware, cell.attach(image, work, server), server, path, work, log, cell.network)


def _result(cell: Cell, variables: Path | None) -> float | None:
    """Boot a cell: return the seconds to the request, or None where it rightly does not boot."""
    with tempfile.TemporaryDirectory(prefix="boots-") as name, boot_server() as server:
        try:
            seconds = boot_cell(cell, server, Path(name), variables)
        except BootError:
            if not cell.why_not:
                raise
            seconds = None
    assert seconds is None or not cell.why_not, f"{cell.column}, {cell.row} boots, and why_not says that it doesn't"
    print(f"{cell.column:<20} {cell.row:<40} {'-' if seconds is None else f'{seconds:.1f} s'}", flush=True)
    return seconds


def boot_all(cells: Iterable[Cell]) -> Results | None:
    """Boot cells, two at a time; where Secure Boot is on, iPXE's hash is enrolled before.

    Returns:
        What came of each; None, and standard error says why, if a cell is not what it should be.
    """
    results: Results = {}
    with tempfile.TemporaryDirectory(prefix="boots-") as name, ThreadPoolExecutor(2) as pool:
        cells = list(cells)
        secure = list(dict.fromkeys(cell.firmware for cell in cells if "secure" in cell.firmware.name))
        works = [Path(tempfile.mkdtemp(dir=name)) for _ in secure]
        variables = dict(zip(secure, pool.map(mok.enrolled_variables, secure, works), strict=True))
        futures = {cell: pool.submit(_result, cell, variables.get(cell.firmware)) for cell in cells}
        for cell, future in futures.items():
            try:
                results[cell] = future.result()
            except AssertionError as error:
                print(error, file=sys.stderr)
    return results if len(results) == len(futures) else None


def table(results: Results, reasons: dict[str, int], corner: str = "|") -> str:
    """Return a table in Markdown.

    Args:
        results: what stands in it, row by row; a place without a cell is empty.
        reasons: the numbers of the reasons why cells don't boot; new ones join them.
        corner: how the line of headings begins, above the rows' names.
    """
    columns = dict.fromkeys((cell.column for cell in results), "")
    rows = {cell.row: dict(columns) for cell in results}
    for cell, seconds in results.items():
        rows[cell.row][cell.column] = (
            f"no ({reasons.setdefault(cell.why_not, len(reasons) + 1)})" if seconds is None else f"{seconds:.1f}"
        )
    lines = [f"{corner} | {' | '.join(columns)} |", f"| --- | {' | '.join('---:' for _ in columns)} |"]
    lines += [f"| {row} | {' | '.join(words.values())} |" for row, words in rows.items()]
    return "\n".join(lines)


def notes(reasons: dict[str, int]) -> str:
    """Return the numbered reasons, a line each."""
    return "\n".join(f"{number}. {reason[0].upper()}{reason[1:]}." for reason, number in reasons.items())


def _page(results: Results) -> str:
    """Return docs/matrix.md."""
    reasons: dict[str, int] = {}
    return _PAGE.format(
        booted=sum(seconds is not None for seconds in results.values()),
        all=len(results),
        table=table(results, reasons, "| medium"),
        notes=notes(reasons),
        machines=", ".join(_versions()),
    )


def _versions() -> list[str]:
    names = ["qemu-system-x86", "qemu-system-arm", "seabios", "ovmf", "qemu-efi-aarch64"]
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names]
    installed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    unpacked = debs.versions(debs.unpack(debs.MACHINES))
    return installed + [line for line in unpacked if line.startswith(("qemu-", "opensbi"))]


_PAGE = """\
# Boot matrix

<!-- written by make matrix -->

One image, {all} machines and media: {booted} boot. Each number is the seconds from power on to the
machine's first request at the server, under software emulation, two machines at a time. An empty cell: no such
machines.

{table}

{notes}

Secure Boot: iPXE's hash was enrolled before; no question was asked. "ISO over HTTP" is another iPXE that
takes the image as a disk, block by block, after it has booted itself; its time counts from power on.

Machines: {machines}.
"""


def main() -> int:
    """Boot all and write the page; return 1, and leave the page, if a cell is not what it should be."""
    results = boot_all(cell_at(column, row) for row in ROWS for column in COLUMNS if exists(column, row))
    if results is None:
        return 1
    PAGE.write_text(_page(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
