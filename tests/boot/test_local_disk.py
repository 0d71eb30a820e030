"""What servers send once a machine is installed, "boot the local disk", by what the image is booted from."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab import debian, machine
from lab.firmware import ARM64, BIOS, UEFI, UEFI_SECURE, Firmware, loongarch64, riscv64
from lab.lan import Lan
from lab.machine import Machine
from lab.media import AHCI_CD, XHCI_CD, XHCI_STICK, Medium
from template.paths import PACKAGES

DISK, ITSELF, NOTHING, FAILS = "the disk boots", "our own image again", "No bootable device", "fails, and tries again"
MEDIA = {"SATA CD": AHCI_CD, "USB CD": XHCI_CD, "USB stick": XHCI_STICK}
SHOWS = {
    DISK: "the installed disk has booted",
    ITSELF: "boots-from: booting from",  # the disk shows iPXE's banner, too
    NOTHING: "No bootable device",
    FAILS: machine.AGAIN,
}
# docs/how-to/boot-servers.md has this table.
TABLE: dict[tuple[Firmware, str], tuple[str, str, str]] = {
    (BIOS, "exit"): (DISK, DISK, NOTHING),
    (BIOS, "exit 1"): (DISK, DISK, NOTHING),
    (BIOS, "sanboot --no-describe --drive 0x80"): (DISK, DISK, ITSELF),
    (BIOS, "sanboot --no-describe --drive 0x81"): (FAILS, FAILS, DISK),
    (UEFI, "exit"): (DISK, DISK, DISK),
    (UEFI, "exit 1"): (DISK, DISK, DISK),
    (UEFI, "sanboot --no-describe --drive 0x80"): (DISK, DISK, DISK),
    (UEFI, "sanboot --no-describe --drive 0x81"): (DISK, DISK, DISK),
}

SANBOOT = "sanboot --no-describe --drive 0x80"
# What servers send, with what they would do if it failed, or if it came back: none of that may happen.
LINES = {
    "MAAS": " || ".join(f"sanboot --no-describe --drive {drive:#x}" for drive in range(0x80, 0x84)),
    "or a label": f"{SANBOOT} || goto failed\n:after\necho too far\nsleep 600\n:failed\necho too far\nsleep 600",
    "or reboot": f"{SANBOOT} || reboot",
    "or the installer, next line": f"{SANBOOT} || goto install\n:install\necho too far\nsleep 600",
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
OTHERS: dict[str, tuple[Callable[[], Firmware], Medium]] = {
    "ARM64 CD": (lambda: ARM64, XHCI_CD),
    "ARM64 stick": (lambda: ARM64, XHCI_STICK),
    "RISC-V 64": (lambda: riscv64(debian.unpack(debian.MACHINES)), XHCI_STICK),
    "LoongArch64": (lambda: loongarch64(debian.unpack(debian.MACHINES)), XHCI_STICK),
}


def installed_disk(work: Path, firmware: Firmware, device: str = "ide-hd,bus=ide.0") -> list[str]:
    """Return QEMU's arguments for a disk, on SATA, with a system on it, which says so when it boots.

    It is shim and GRUB on x86-64 UEFI, as on most disks; a third iPXE hangs there if it finds a card without a link.
    On other machines it is iPXE.
    """
    says = "the installed disk has booted"
    disk = work / "installed.img"
    if firmware in (UEFI, UEFI_SECURE):
        write_grub(disk, f'echo "{says}"\nsleep 600\n')
    else:
        disk.write_bytes(image.fill(image.read_template(), f"#!ipxe\necho {says}\nsleep 600\n".encode()))
    drive = f"if=none,id=installed,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", f"{device},drive=installed,bootindex=2"]


def write_grub(disk: Path, menu: str) -> None:
    """Write a disk with shim and GRUB, signed by Microsoft and Debian, and GRUB's menu file."""
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
def test_installed_machine_goes_on(lan: Lan, firmware: Firmware, ends: str, medium: str, tmp_path: Path) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\n{ends}\n")
    lan.http()
    expected = TABLE[firmware, ends][list(MEDIA).index(medium)]
    iso = boots_from.bake("http://bty-server/boot")
    name = f"local-disk-{firmware.name}-{ends}-{medium}".replace(" ", "-")
    with lan.machine_with(firmware, iso, MEDIA[medium], name, *installed_disk(tmp_path, firmware)) as booted:
        booted.wait_for("starting it", 60)
        booted.wait_for(SHOWS[expected], 60, may_fail=True, since=len(booted.console))


def boots_the_disk(
    lan: Lan, script: str, work: Path, firmware: Firmware, medium: Medium, name: str, *more: str
) -> Machine:
    """Boot a machine whose server sends `script`, until its disk has booted; return it as it ended."""
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


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.thorough(but=("menu",))
def test_sanboot_boots_the_disk_whatever_follows_it(lan: Lan, lines: str, tmp_path: Path) -> None:
    boots_the_disk(lan, LINES[lines], tmp_path, UEFI, AHCI_CD, f"sanboot-{lines}")


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.thorough
def test_sanboot_boots_the_disk_of_other_machines(lan: Lan, other: str, tmp_path: Path) -> None:
    firmware, medium = OTHERS[other]
    boots_the_disk(lan, SANBOOT, tmp_path, firmware(), medium, f"sanboot-{other}")


@pytest.mark.thorough
def test_sanboot_of_an_ipxe_of_the_server_boots_the_disk(lan: Lan, tmp_path: Path) -> None:
    shutil.copy(debian.unpack(PACKAGES) / "usr/lib/ipxe/snponly.efi", lan.www)
    (lan.www / "inner").write_text(f"#!ipxe\n{SANBOOT} || echo too far\necho too far\n")
    script = "imgfetch --name autoexec.ipxe inner\nchain snponly.efi"
    boots_the_disk(lan, script, tmp_path, UEFI, AHCI_CD, "sanboot-chained")


@pytest.mark.thorough
def test_sanboot_boots_the_disk_behind_two_copies_of_the_image(lan: Lan, tmp_path: Path) -> None:
    (tmp_path / "second.iso").write_bytes(boots_from.bake("http://bty-server/boot"))
    drive = f"if=none,id=second,format=raw,file={tmp_path / 'second.iso'},media=cdrom,readonly=on"
    second = ("-drive", drive, "-device", "ide-cd,bus=sata.1,drive=second,bootindex=1")
    booted = boots_the_disk(lan, SANBOOT, tmp_path, UEFI, AHCI_CD, "sanboot-two-copies", *second)
    assert "SAN device 0x82" in booted.console
