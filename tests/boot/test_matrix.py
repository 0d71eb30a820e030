"""Every machine boots from every medium: its server sees the request, then it runs the server's script."""

from pathlib import Path

import pytest

import boots_from
from lab import boot_matrix, machine
from lab.firmware import UEFI_OLD_CPU
from lab.media import AHCI_CD
from lab.recording_server import RecordingServer
from tests.boot.conftest import Variables

# What make test boots; make test-all boots all.
_PC = ("CD, AHCI (SATA)", "CD, USB 2 (EHCI)", "stick, USB 3 (xHCI)", "disk, NVMe")
QUICK = {
    "RISC-V 64": ("CD, virtio-SCSI",),
    "LoongArch64": ("CD, virtio-SCSI",),
    "ARM64": ("CD, virtio-SCSI", "stick, USB 3 (xHCI)"),
    "UEFI": (*_PC, "FAT32 stick with the files of the ISO"),
    "BIOS": (*_PC, "CD, IDE", "ISO in memory, memdisk"),
}


def boots(column: str, row: str) -> bool:
    return column in boot_matrix.ROWS[row].machines and column not in boot_matrix.ROWS[row].why_not


def cells() -> list[object]:
    """Return the cells that boot: the slow ones first, so that none is left to run alone at the end."""
    return [
        pytest.param(column, row, marks=() if row in QUICK.get(column, ()) else pytest.mark.thorough)
        for column in reversed(boot_matrix.COLUMNS)
        for row in boot_matrix.ROWS
        if boots(column, row)
    ]


@pytest.mark.parametrize(("column", "row"), cells())
def test_boots(column: str, row: str, recording_server: RecordingServer, enrolled: Variables, tmp_path: Path) -> None:
    cell = boot_matrix.cell_at(column, row)
    variables = enrolled(cell.firmware) if cell.firmware.secure_boot else None
    print(f"{boot_matrix.boot_cell(cell, recording_server, tmp_path, variables):.1f} s to the request")


def test_boots_on_a_cpu_without_random_numbers(recording_server: RecordingServer, tmp_path: Path) -> None:
    """As PCs were before 2013: iPXE takes 4 s longer."""
    iso = tmp_path / "boots-from.iso"
    iso.write_bytes(boots_from.bake(f"http://{machine.HOST}:{recording_server.port}/boot"))
    media = AHCI_CD.arguments(iso)
    seconds = boot_matrix.boot(UEFI_OLD_CPU, media, recording_server, "/boot", tmp_path, "old-cpu")
    print(f"{seconds:.1f} s to the request")


def test_every_quick_cell_is_one_that_boots() -> None:
    for column, rows in QUICK.items():
        for row in rows:
            assert boots(column, row)
