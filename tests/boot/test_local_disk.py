"""Scripts that boot the local disk, as servers send them to installed machines, with the image on different media."""

import shutil
import subprocess
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab import boot_matrix, debian, machine
from lab.firmware import BIOS, UEFI, UEFI_SECURE, Firmware
from lab.lan import Lan
from lab.machine import Machine
from lab.media import AHCI_CD, XHCI_CD, XHCI_STICK, Medium
from template.paths import PACKAGES

DISK, IMAGE, NOTHING, FAILURE = "disk boots", "image boots again", "no bootable device", "script fails"
MEDIA = {"SATA CD": AHCI_CD, "USB CD": XHCI_CD, "USB stick": XHCI_STICK}
# The text on the console by which each outcome is recognised.
SHOWS = {
    DISK: "the installed disk has booted",
    IMAGE: "boots-from: booting from",  # not the iPXE banner, because the installed disk may show it also
    NOTHING: "No bootable device",
    FAILURE: machine.AGAIN,
}
# docs/how-to/boot-servers.md has this table.
TABLE: dict[tuple[Firmware, str], tuple[str, str, str]] = {
    (BIOS, "exit"): (DISK, DISK, NOTHING),
    (BIOS, "exit 1"): (DISK, DISK, NOTHING),
    (BIOS, "sanboot --no-describe --drive 0x80"): (DISK, DISK, IMAGE),
    (BIOS, "sanboot --no-describe --drive 0x81"): (FAILURE, FAILURE, DISK),
    (UEFI, "exit"): (DISK, DISK, DISK),
    (UEFI, "exit 1"): (DISK, DISK, DISK),
    (UEFI, "sanboot --no-describe --drive 0x80"): (DISK, DISK, DISK),
    (UEFI, "sanboot --no-describe --drive 0x81"): (DISK, DISK, DISK),
}

SANBOOT = "sanboot --no-describe --drive 0x80"
# Scripts of servers, by what follows sanboot. None of that may run: the disk boots, and control does not come back.
SCRIPTS = {
    "MAAS": " || ".join(f"sanboot --no-describe --drive {drive:#x}" for drive in range(0x80, 0x84)),
    "goto label": f"{SANBOOT} || goto failed\n:after\necho too far\nsleep 600\n:failed\necho too far\nsleep 600",
    "reboot": f"{SANBOOT} || reboot",
    "installer on next line": f"{SANBOOT} || goto install\n:install\necho too far\nsleep 600",
    "drive 0": "sanboot --no-describe --drive 0 || echo too far",
    "menu": f"""menu
item disk
item install
choose --default disk --timeout 500 what && goto ${{what}}
:disk
{SANBOOT} || goto failed
:install
echo too far
sleep 600
:failed
echo too far
sleep 600""",
}
# Machines of the boot matrix, with the medium of the image.
OTHER_ARCHITECTURES = [
    ("ARM64", XHCI_CD),
    ("ARM64", XHCI_STICK),
    ("RISC-V 64", XHCI_STICK),
    ("LoongArch64", XHCI_STICK),
]


def installed_disk(work: Path, firmware: Firmware, device: str = "ide-hd,bus=ide.0") -> list[str]:
    """Return QEMU arguments for a disk after the image in the boot order, with a system that prints that it booted.

    On x86-64 UEFI it holds shim and GRUB, as most installed disks do: a third iPXE would hang there if it found a card
    without a link. On other machines it holds iPXE.

    Args:
        work: the directory for the disk image.
        firmware: the machine.
        device: the QEMU device; by default a SATA disk.
    """
    message = "the installed disk has booted"
    disk = work / "installed.img"
    if firmware in (UEFI, UEFI_SECURE):
        write_grub(disk, f'echo "{message}"\nsleep 600\n')
    else:
        disk.write_bytes(image.fill(image.read_template(), f"#!ipxe\necho {message}\nsleep 600\n".encode()))
    drive = f"if=none,id=installed,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", f"{device},drive=installed,bootindex=2"]


def write_grub(disk: Path, menu: str) -> None:
    """Write a disk image with shim, signed by Microsoft, and GRUB, signed by Debian, with the text of a GRUB menu."""
    file = disk.with_name("grub.cfg")
    file.write_text(menu)
    with disk.open("wb") as written:
        written.truncate(40 << 20)
    esp = ("-i", f"{disk}@@1M")
    grub = debian.unpack(debian.PXE) / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
    for command in (
        ("sgdisk", "--new=1:2048:+38M", "--typecode=1:ef00", disk),
        ("mformat", *esp, "-F", "-T", str(38 << 11), "::"),
        ("mmd", *esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"),
        (
            "mcopy",
            *esp,
            debian.unpack(PACKAGES) / "usr/lib/shim/shimx64.efi.signed",
            "::/EFI/BOOT/BOOTX64.EFI",
        ),
        ("mcopy", *esp, grub, "::/EFI/BOOT/grubx64.efi"),
        ("mcopy", *esp, file, "::/EFI/debian/grub.cfg"),
    ):
        subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("ends", dict.fromkeys(end for _, end in TABLE))
@pytest.mark.parametrize("firmware", [UEFI, BIOS], ids=lambda firmware: firmware.name)
@pytest.mark.thorough
def test_script_end_boots_documented_disk(lan: Lan, firmware: Firmware, ends: str, medium: str, tmp_path: Path) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\n{ends}\n")
    lan.http()
    expected = TABLE[firmware, ends][list(MEDIA).index(medium)]
    iso = boots_from.bake("http://bty-server/boot")
    name = f"local-disk-{firmware.name}-{ends}-{medium}".replace(" ", "-")
    with lan.machine_with(firmware, iso, MEDIA[medium], name, *installed_disk(tmp_path, firmware)) as booted:
        booted.wait_for("starting it", 60)
        booted.wait_for(SHOWS[expected], 60, may_fail=True, since=len(booted.console))


def boot_installed_disk(
    lan: Lan, script: str, work: Path, firmware: Firmware, medium: Medium, name: str, *more: str
) -> Machine:
    """Boot a machine whose server sends `script`, until the installed disk has booted; return the ended machine."""
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\n{script}\n")
    lan.http()
    disk = installed_disk(work, firmware, "virtio-blk-pci")
    iso = boots_from.bake("http://bty-server/boot")
    with lan.machine_with(firmware, iso, medium, name.replace(" ", "-"), *disk, *more) as booted:
        booted.wait_for("starting it", firmware.seconds)
        booted.wait_for(SHOWS[DISK], firmware.seconds)
    assert "too far" not in booted.console
    assert [request[0] for request in lan.requests()].count("/boot") == 1
    return booted


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.thorough(but=("menu",))
def test_sanboot_boots_disk_whatever_follows(lan: Lan, script: str, tmp_path: Path) -> None:
    boot_installed_disk(lan, SCRIPTS[script], tmp_path, UEFI, AHCI_CD, f"sanboot-{script}")


@pytest.mark.parametrize(
    ("architecture", "medium"), OTHER_ARCHITECTURES, ids=lambda value: getattr(value, "name", value)
)
@pytest.mark.thorough
def test_sanboot_boots_disk_on_other_architectures(lan: Lan, architecture: str, medium: Medium, tmp_path: Path) -> None:
    firmware = boot_matrix.COLUMNS[architecture]()
    boot_installed_disk(lan, SANBOOT, tmp_path, firmware, medium, f"sanboot-{architecture}-{medium.name}")


@pytest.mark.thorough
def test_sanboot_in_ipxe_of_server_boots_disk(lan: Lan, tmp_path: Path) -> None:
    shutil.copy(debian.unpack(PACKAGES) / "usr/lib/ipxe/snponly.efi", lan.www)
    (lan.www / "inner").write_text(f"#!ipxe\n{SANBOOT} || echo too far\necho too far\n")
    script = "imgfetch --name autoexec.ipxe inner\nchain snponly.efi"
    boot_installed_disk(lan, script, tmp_path, UEFI, AHCI_CD, "sanboot-chained")


@pytest.mark.thorough
def test_sanboot_skips_two_copies_of_image(lan: Lan, tmp_path: Path) -> None:
    (tmp_path / "second.iso").write_bytes(boots_from.bake("http://bty-server/boot"))
    drive = f"if=none,id=second,format=raw,file={tmp_path / 'second.iso'},media=cdrom,readonly=on"
    second = ("-drive", drive, "-device", "ide-cd,bus=sata.1,drive=second,bootindex=1")
    booted = boot_installed_disk(lan, SANBOOT, tmp_path, UEFI, AHCI_CD, "sanboot-two-copies", *second)
    assert "SAN device 0x82" in booted.console
