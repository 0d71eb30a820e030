"""The mark, booted: an iPXE that runs sets it, a second one inside it reads it, and a reset ends it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from boots_from import image
from lab import debs
from lab.firmware import ARM64, UEFI, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.machine import Machine
from lab.media import SCSI_CD
from template import mark

SCRIPT = f"""\
#!ipxe
set program file:/EFI/BOOT/mark-running-${{buildarch}}.efi
iseq ${{efi/{mark.NAME}}} 01 && goto inside ||
ifopen net0
imgexec --autofree ${{program}} || echo refused ${{errno:hexraw}}
echo once=${{efi/{mark.NAME}}}.
imgexec --autofree ${{program}} ||
echo twice=${{efi/{mark.NAME}}}.
imgexec --autofree ${{program}} || goto end
echo thrice=${{efi/{mark.NAME}}}.
sanboot --no-describe --drive 0x80 || echo it failed
echo back=${{efi/{mark.NAME}}}.
reboot
:inside
echo inside=${{efi/{mark.NAME}}}.
exit 0
:end
echo that is all
sleep 600
"""
MACHINES: dict[str, Callable[[], Firmware]] = {
    "x86-64": lambda: UEFI,
    "ARM64": lambda: ARM64,
    "RISC-V 64": lambda: riscv64(debs.unpack(debs.MACHINES)),
    "LoongArch64": lambda: loongarch64(debs.unpack(debs.MACHINES)),
}
PROGRAM = Path(sys.executable).with_name("virt-fw-vars")


def power_on(firmware: Firmware, work: Path, name: str) -> Machine:
    iso = work / "boots-from.iso"
    iso.write_bytes(image.fill(image.read_template(), SCRIPT.encode()))
    return Machine(firmware, SCSI_CD.arguments(iso), work, f"mark-{name}")


def variables(firmware: Firmware, work: Path, *words: str) -> None:
    """Give a machine other UEFI variables."""
    store = firmware.pflash[1]
    subprocess.run([PROGRAM, "-i", store, *words, "-o", work / store.name], check=True, capture_output=True)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.thorough(but=("x86-64",))
def test_is_set_then_deleted_and_ends_with_a_reset(machine: str, tmp_path: Path) -> None:
    firmware = MACHINES[machine]()
    with power_on(firmware, tmp_path, firmware.name) as running:
        running.monitor("set-action", reboot="reset")
        for says in ("once=01.", "twice=.", "thrice=01.", "inside=01.", "back=01."):
            running.wait_for(says, firmware.seconds)
        running.wait_for("once=01.", firmware.seconds, since=running.console.index("back=01."))
        assert "refused" not in running.console
        assert "it failed" not in running.console  # sanboot calls an exit 0 a success


@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.thorough
def test_secure_boot_wants_its_hash(enrolled: bool, tmp_path: Path) -> None:
    hashes = {line.split()[0]: line.split()[1] for line in image.enrolled_hashes(image.read_template())}
    files = ["EFI/BOOT/grubx64.efi", "EFI/BOOT/mark-running-x86_64.efi"][: 1 + enrolled]
    shim = "605dab50-e046-4300-abb6-3dd810dd8b23"
    variables(UEFI_SECURE, tmp_path, *(word for file in files for word in ("--add-mok-hash", shim, hashes[file])))
    with power_on(UEFI_SECURE, tmp_path, f"secure-{enrolled}") as running:
        running.wait_for("back=01." if enrolled else "that is all", UEFI_SECURE.seconds, may_fail=True)
        assert ("refused 7f04819a" in running.console) is not enrolled
        assert ("once=01." in running.console) is enrolled


OTHERS = {
    # A variable of another GUID: hidden while ours is there.
    "another GUID": (
        {"guid": "b0075f20-6d00-4b00-8b00-b0075f20000f", "attr": 7, "data": "0a"},
        ("once=01.", "twice=0a.", "thrice=01."),
    ),
    # It would outlast a reset.
    "not volatile": ({"guid": str(mark.GUID), "attr": 7, "data": "0a0b"}, ("once=.", "twice=01.", "thrice=.")),
    # It can only be deleted with a signature (EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS).
    "can't be deleted": (
        {"guid": str(mark.GUID), "attr": 0x27, "data": "0a", "time": "ea070101" + 24 * "0"},
        ("once=0a.", "twice=0a.", "thrice=0a."),
    ),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.thorough
def test_other_variables_of_its_name(other: str, tmp_path: Path) -> None:
    fields, expected = OTHERS[other]
    file = tmp_path / "variables.json"
    file.write_text(json.dumps({"version": 2, "variables": [{"name": mark.NAME, **fields}]}))
    variables(UEFI, tmp_path, "--set-json", str(file))
    with power_on(UEFI, tmp_path, other.replace(" ", "-")) as running:
        for says in expected:
            running.wait_for(says, UEFI.seconds)
