"""The mark at boot: the first iPXE sets it, a second iPXE inside the first reads it, and nothing leaves it set."""

import json
import shutil
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab import boot_matrix, debian
from lab.firmware import UEFI, UEFI_SECURE, Firmware, write_variables
from lab.lan import Lan
from lab.machine import Machine
from lab.media import AHCI_CD, SCSI_CD
from template import mark
from template.paths import PACKAGES
from tests.boot.test_local_disk import SANBOOT, SCRIPTS

URL = "http://bty-server/boot"

# Runs the program that changes the mark, and prints the mark after each run. Then it starts itself again by sanboot.
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


def power_on(firmware: Firmware, work: Path, name: str) -> Machine:
    """Power on a machine with SCRIPT in an image in its CD drive."""
    iso = work / "boots-from.iso"
    iso.write_bytes(image.fill(image.read_template(), SCRIPT.encode()))
    return Machine(firmware, SCSI_CD.arguments(iso), work, f"mark-{name}")


def change_variables(firmware: Firmware, work: Path, *options: str) -> None:
    """Change the UEFI variables of the machine in `work`, by options of virt-fw-vars."""
    store = firmware.pflash[1]
    write_variables(store, work / store.name, *options)


@pytest.mark.parametrize("architecture", ["UEFI", "ARM64", "RISC-V 64", "LoongArch64"])
@pytest.mark.thorough
def test_mark_counts_to_two_and_ends_with_reset(architecture: str, tmp_path: Path) -> None:
    firmware = boot_matrix.COLUMNS[architecture]()
    with power_on(firmware, tmp_path, firmware.name) as running:
        running.monitor("set-action", reboot="reset")
        for shown in ("once=01.", "twice=02.", "thrice=.", "inside=01.", "back=01."):
            running.wait_for(shown, firmware.seconds)
        running.wait_for("once=01.", firmware.seconds, since=running.console.index("back=01."))
        assert "refused" not in running.console
        assert "it failed" not in running.console  # sanboot takes exit 0 for success


@pytest.mark.parametrize("enrolled", [False, True], ids=["not enrolled", "enrolled"])
@pytest.mark.thorough
def test_secure_boot_needs_enrolled_hash_of_program(enrolled: bool, tmp_path: Path) -> None:
    hashes = {line.split()[0]: line.split()[1] for line in image.hashes_to_enroll(image.read_template())}
    files = ["EFI/BOOT/grubx64.efi", "EFI/BOOT/mark-running-x86_64.efi"][: 1 + enrolled]
    shim_guid = "605dab50-e046-4300-abb6-3dd810dd8b23"
    options = [option for file in files for option in ("--add-mok-hash", shim_guid, hashes[file])]
    change_variables(UEFI_SECURE, tmp_path, *options)
    with power_on(UEFI_SECURE, tmp_path, f"secure-{enrolled}") as running:
        running.wait_for("back=01." if enrolled else "that is all", UEFI_SECURE.seconds, may_fail=True)
        assert ("refused 7f04819a" in running.console) is not enrolled
        assert ("once=01." in running.console) is enrolled


# Variables that have the name of the mark but were made by something else, and the values that SCRIPT then prints. A
# variable with another GUID is hidden while the mark exists. A non-volatile one, which survives a reset, can only be
# deleted. Only its owner can change one with EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS.
FOREIGN_VARIABLES: dict[str, tuple[dict[str, str | int], str]] = {
    "another GUID": ({"guid": "b0075f20-6d00-4b00-8b00-b0075f20000f", "attr": 7}, "01. 02. 0a."),
    "non-volatile": ({"guid": str(mark.GUID), "attr": 7}, ". 01. 02."),
    "authenticated": ({"guid": str(mark.GUID), "attr": 0x27, "time": "ea070101" + 24 * "0"}, "0a. 0a. 0a."),
}


def set_foreign_variable(kind: str, value: str, work: Path) -> None:
    """Give the x86-64 machine in `work` one of FOREIGN_VARIABLES, with a value in hexadecimal."""
    file = work / "variables.json"
    fields = {"name": mark.NAME, "data": value, **FOREIGN_VARIABLES[kind][0]}
    file.write_text(json.dumps({"version": 2, "variables": [fields]}))
    change_variables(UEFI, work, "--set-json", str(file))


@pytest.mark.parametrize("kind", FOREIGN_VARIABLES)
@pytest.mark.thorough
def test_program_works_beside_foreign_variable(kind: str, tmp_path: Path) -> None:
    set_foreign_variable(kind, "0a", tmp_path)
    with power_on(UEFI, tmp_path, kind.replace(" ", "-")) as running:
        for when, value in zip(("once", "twice", "thrice"), FOREIGN_VARIABLES[kind][1].split(), strict=True):
            running.wait_for(f"{when}={value}", UEFI.seconds)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("another GUID", "01"), ("another GUID", "02")),
        *(("non-volatile", "01"), ("non-volatile", "0102")),
        *(("authenticated", "01"), ("authenticated", "02"), ("authenticated", "0102")),
    ],
)
@pytest.mark.thorough
def test_foreign_variable_of_same_name_does_not_prevent_boot(lan: Lan, kind: str, value: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\necho it is the server's turn\nsleep 600\n")
    lan.http()
    set_foreign_variable(kind, value, lan.work)
    with lan.machine_with(UEFI, boots_from.bake(URL), AHCI_CD, f"mark-{kind}-{value}".replace(" ", "-")) as booted:
        booted.wait_for("it is the server's turn", UEFI.seconds)


class Shell:
    """The EFI shell, which OVMF starts when the image has ended and there is no other boot device."""

    def __init__(self, booted: Machine) -> None:
        self.booted = booted
        booted.wait_for("ESC in", 60, may_fail=True)
        booted.enter_text("\x1b")
        booted.wait_for("Shell> ", 20, may_fail=True)

    def run(self, program: str) -> int:
        """Start a program of the image; return the length of the console before it, for `since` of Machine.wait_for."""
        since = len(self.booted.console)
        self.booted.enter_text(f"FS0:\\EFI\\BOOT\\{program}\r")
        return since


# The last lines of the server's script, on a machine without a disk. The menu of GRUB is "exit".
ENDS = {
    "exit": "exit",
    "exit 1": "exit 1",
    "sanboot": SANBOOT,
    "MAAS": SCRIPTS["MAAS"],
    "iPXE of server": "imgfetch --name autoexec.ipxe inner\nchain snponly.efi",
    "iPXE of server, sanboot": "imgfetch --name autoexec.ipxe sanboot\nchain snponly.efi",
    "GRUB": "chain tftp://bty-server/grubnetx64.efi",
    "ECDSA iPXE": f"params\n{SANBOOT}",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.thorough
def test_image_started_again_boots_url_again(lan: Lan, end: str) -> None:
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
def test_leftover_mark_ends_image_at_most_twice(lan: Lan) -> None:
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
