"""The mark, booted: an iPXE that runs sets it, a second one inside it reads it, and nothing leaves it behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab import debian
from lab.firmware import ARM64, UEFI, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.lan import Lan
from lab.machine import Machine
from lab.media import AHCI_CD, SCSI_CD
from template import mark
from template.paths import PACKAGES
from tests.boot.test_local_disk import LINES, SANBOOT

URL = "http://bty-server/boot"

SCRIPT = f"""\
#!ipxe
set program file:/EFI/BOOT/mark-running-${{buildarch}}.efi
iseq ${{efi/{mark.NAME}}} 01 && goto inside ||
ifopen net0
imgexec --autofree ${{program}} || echo refused ${{errno:hexraw}}
echo once=${{efi/{mark.NAME}}}.
imgexec --autofree ${{program}} ||
echo twice=${{efi/{mark.NAME}}}.
imgexec --autofree ${{program}} ||
echo thrice=${{efi/{mark.NAME}}}.
imgexec --autofree ${{program}} || goto end
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
    "RISC-V 64": lambda: riscv64(debian.unpack(debian.MACHINES)),
    "LoongArch64": lambda: loongarch64(debian.unpack(debian.MACHINES)),
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
@pytest.mark.thorough
def test_counts_to_two_is_deleted_and_ends_with_a_reset(machine: str, tmp_path: Path) -> None:
    firmware = MACHINES[machine]()
    with power_on(firmware, tmp_path, firmware.name) as running:
        running.monitor("set-action", reboot="reset")
        for says in ("once=01.", "twice=02.", "thrice=.", "inside=01.", "back=01."):
            running.wait_for(says, firmware.seconds)
        running.wait_for("once=01.", firmware.seconds, since=running.console.index("back=01."))
        assert "refused" not in running.console
        assert "it failed" not in running.console  # sanboot calls an exit 0 a success


@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.thorough
def test_secure_boot_wants_its_hash(enrolled: bool, tmp_path: Path) -> None:
    hashes = {line.split()[0]: line.split()[1] for line in image.hashes_to_enroll(image.read_template())}
    files = ["EFI/BOOT/grubx64.efi", "EFI/BOOT/mark-running-x86_64.efi"][: 1 + enrolled]
    shim = "605dab50-e046-4300-abb6-3dd810dd8b23"
    variables(UEFI_SECURE, tmp_path, *(word for file in files for word in ("--add-mok-hash", shim, hashes[file])))
    with power_on(UEFI_SECURE, tmp_path, f"secure-{enrolled}") as running:
        running.wait_for("back=01." if enrolled else "that is all", UEFI_SECURE.seconds, may_fail=True)
        assert ("refused 7f04819a" in running.console) is not enrolled
        assert ("once=01." in running.console) is enrolled


# A variable of another GUID is hidden while the mark is there. One that outlasts a reset can only be deleted.
# Only its owner can change one with EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS.
OTHERS: dict[str, tuple[dict[str, str | int], str]] = {
    "another GUID": ({"guid": "b0075f20-6d00-4b00-8b00-b0075f20000f", "attr": 7}, "01. 02. 0a."),
    "not volatile": ({"guid": str(mark.GUID), "attr": 7}, ". 01. 02."),
    "signed": ({"guid": str(mark.GUID), "attr": 0x27, "time": "ea070101" + 24 * "0"}, "0a. 0a. 0a."),
}


def set_other(other: str, value: str, work: Path) -> None:
    """Give the machine a variable of the mark's name that something else has made."""
    file = work / "variables.json"
    fields = {"name": mark.NAME, "data": value, **OTHERS[other][0]}
    file.write_text(json.dumps({"version": 2, "variables": [fields]}))
    variables(UEFI, work, "--set-json", str(file))


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.thorough
def test_other_variables_of_its_name(other: str, tmp_path: Path) -> None:
    set_other(other, "0a", tmp_path)
    with power_on(UEFI, tmp_path, other.replace(" ", "-")) as running:
        for when, value in zip(("once", "twice", "thrice"), OTHERS[other][1].split(), strict=True):
            running.wait_for(f"{when}={value}", UEFI.seconds)


@pytest.mark.parametrize(
    ("other", "value"),
    [
        *(("another GUID", "01"), ("another GUID", "02")),
        *(("not volatile", "01"), ("not volatile", "0102")),
        *(("signed", "01"), ("signed", "02"), ("signed", "0102")),
    ],
)
@pytest.mark.thorough
def test_machine_with_another_variable_of_its_name_boots_from_the_url(
    lan: Lan, other: str, value: str, tmp_path: Path
) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\necho it is the server's turn\nsleep 600\n")
    lan.http()
    set_other(other, value, lan.work)
    with lan.machine_with(UEFI, boots_from.bake(URL), AHCI_CD, f"mark-{other}-{value}".replace(" ", "-")) as booted:
        booted.wait_for("it is the server's turn", UEFI.seconds)


class Shell:
    """The EFI shell, which OVMF starts if the image has ended and there is nothing else to boot."""

    def __init__(self, booted: Machine) -> None:
        self.booted = booted
        booted.wait_for("ESC in", 60, may_fail=True)
        booted.enter_text("\x1b")
        booted.wait_for("Shell> ", 20, may_fail=True)

    def run(self, program: str) -> int:
        """Run a program of the image; return how much the console had shown before."""
        since = len(self.booted.console)
        self.booted.enter_text(f"FS0:\\EFI\\BOOT\\{program}\r")
        return since


# How a server's script ends, on a machine without a disk. GRUB ends as its menu says.
ENDS = {
    "exit": "exit",
    "exit 1": "exit 1",
    "sanboot": SANBOOT,
    "MAAS": LINES["MAAS"],
    "its own iPXE": "imgfetch --name autoexec.ipxe inner\nchain snponly.efi",
    "its own iPXE, sanboot": "imgfetch --name autoexec.ipxe sanboot\nchain snponly.efi",
    "GRUB": "chain tftp://bty-server/grubnetx64.efi",
    "ECDSA iPXE": f"params\n{SANBOOT}",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.thorough
def test_firmware_that_comes_back_boots_from_the_url_again(lan: Lan, end: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\n{ENDS[end]}\n")
    (lan.www / "inner").write_text("#!ipxe\nexit 1\n")
    (lan.www / "sanboot").write_text(f"#!ipxe\n{SANBOOT}\n")
    shutil.copy(debian.unpack(PACKAGES) / "usr/lib/ipxe/snponly.efi", lan.www)
    grub = debian.unpack(debian.PXE) / "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
    shutil.copy(grub, lan.www / "grubnetx64.efi")
    (lan.www / "grub").mkdir()
    (lan.www / "grub" / "grub.cfg").write_text("exit\n")
    lan.http()
    with lan.machine_with(UEFI, boots_from.bake(URL), AHCI_CD, f"back-{end}".replace(" ", "-")) as booted:
        shell = Shell(booted)
        for _ in range(2):
            since = shell.run("BOOTX64.EFI")
            booted.wait_for("starting it", UEFI.seconds, may_fail=True, since=since)
            booted.wait_for("Shell> ", 60, may_fail=True, since=since)
    assert "the server's script has ended; trying the next boot device" in booted.console
    assert "FAILED" not in booted.console


@pytest.mark.thorough
def test_mark_that_stayed_behind_ends_the_image_twice_at_most(lan: Lan) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nexit\n")
    lan.http()
    with lan.machine_with(UEFI, boots_from.bake(URL), AHCI_CD, "mark-behind") as booted:
        shell = Shell(booted)
        shell.run("mark-running-x86_64.efi")
        for _ in range(2):
            since = shell.run("BOOTX64.EFI")
            booted.wait_for("Shell> ", 60, may_fail=True, since=since)
            assert "starting it" not in booted.console[since:]
        since = shell.run("BOOTX64.EFI")
        booted.wait_for("starting it", UEFI.seconds, may_fail=True, since=since)
