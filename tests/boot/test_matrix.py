"""Each cell of the boot matrix boots: the server gets the request, and the machine runs the server's script."""

import re
from pathlib import Path

import pytest

import boots_from
from lab import boot_matrix, machine
from lab.firmware import ARM64, BIOS, UEFI, UEFI_OLD_CPU, Firmware
from lab.media import AHCI_CD, XHCI_CD
from lab.recording_server import RecordingServer
from template.paths import CHECKOUT
from tests.boot.conftest import EnrolledVariables

# Cells that make test boots, by column; make test-all boots all cells.
_QUICK_PC = ("CD, AHCI (SATA)", "stick, USB 3 (xHCI)")
QUICK = {
    "RISC-V 64": ("CD, virtio-SCSI",),
    "LoongArch64": ("CD, virtio-SCSI",),
    "ARM64": ("CD, virtio-SCSI", "stick, USB 3 (xHCI)"),
    "UEFI": (*_QUICK_PC, "FAT32 stick with the files of the ISO"),
    "BIOS": (*_QUICK_PC, "CD, USB 2 (EHCI)", "CD, IDE", "disk, NVMe", "ISO in memory, memdisk"),
}


def is_bootable(column: str, row: str) -> bool:
    return column in boot_matrix.ROWS[row].machines and column not in boot_matrix.ROWS[row].why_not


def cells() -> list[object]:
    """Return the cells that boot, slow machines first, so that the run does not end with one of them."""
    return [
        pytest.param(column, row, marks=() if row in QUICK.get(column, ()) else pytest.mark.thorough)
        for column in reversed(boot_matrix.COLUMNS)
        for row in boot_matrix.ROWS
        if is_bootable(column, row)
    ]


@pytest.mark.parametrize(("column", "row"), cells())
def test_cell_boots(
    column: str, row: str, recording_server: RecordingServer, enrolled_variables: EnrolledVariables, tmp_path: Path
) -> None:
    cell = boot_matrix.cell_at(column, row)
    variables = enrolled_variables(cell.firmware) if cell.firmware.secure_boot else None
    print(f"{boot_matrix.boot_cell(cell, recording_server, tmp_path, variables):.1f} s to the request")


@pytest.mark.thorough
def test_cpu_without_rdrand_boots(recording_server: RecordingServer, tmp_path: Path) -> None:
    """PCs before 2013 lack RDRAND; iPXE takes 4 s longer there."""
    iso = tmp_path / "boots-from.iso"
    iso.write_bytes(boots_from.bake(f"http://{machine.HOST}:{recording_server.port}/boot"))
    media = AHCI_CD.arguments(iso)
    seconds = boot_matrix.boot(UEFI_OLD_CPU, media, recording_server, "/boot", tmp_path, "old-cpu")
    print(f"{seconds:.1f} s to the request")


@pytest.mark.parametrize("firmware", [BIOS, UEFI, ARM64], ids=lambda firmware: firmware.name)
@pytest.mark.thorough("uefi")
def test_documentation_has_size_that_machine_reads(firmware: Firmware, tmp_path: Path) -> None:
    """A BMC sends about this much over its link. Newer packages may have other sizes, by up to a fifth."""
    megabytes = boot_matrix.bytes_read(firmware, XHCI_CD, boots_from.bake, tmp_path) / 1e6
    number = r"([0-9.]+) MB"
    for page, sentence in (
        ("how-to/bmc.md", f"about {number} on BIOS and {number} on x86-64 and ARM64 UEFI"),
        ("reference/compatibility.md", f"BIOS reads {number} of the image, UEFI {number}, and"),
    ):
        text = " ".join((CHECKOUT / "docs" / page).read_text().split())
        ((bios, uefi),) = re.findall(sentence, text)
        assert float(bios if firmware is BIOS else uefi) == pytest.approx(megabytes, rel=0.2)


def test_quick_cells_are_bootable_cells() -> None:
    for column, rows in QUICK.items():
        for row in rows:
            assert is_bootable(column, row)
