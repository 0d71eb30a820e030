"""What servers send once a machine is installed, "boot the local disk", by what the image is booted from."""

from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab import machine
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.media import AHCI_CD, XHCI_CD, XHCI_STICK

DISK, ITSELF, NOTHING, FAILS = "the disk boots", "our own image again", "No bootable device", "fails, and tries again"
MEDIA = {"SATA CD": AHCI_CD, "USB CD": XHCI_CD, "USB stick": XHCI_STICK}
SHOWS = {
    DISK: "the installed disk has booted",
    ITSELF: "boots-from: booting from",  # the disk shows iPXE's banner, too
    NOTHING: "No bootable device",
    FAILS: machine.AGAIN,
}
# docs/servers.md has this table.
TABLE: dict[tuple[Firmware, str], tuple[str, str, str]] = {
    (BIOS, "exit"): (DISK, DISK, NOTHING),
    (BIOS, "exit 1"): (DISK, DISK, NOTHING),
    (BIOS, "sanboot --no-describe --drive 0x80"): (DISK, DISK, ITSELF),
    (BIOS, "sanboot --no-describe --drive 0x81"): (FAILS, FAILS, DISK),
    (UEFI, "exit"): (DISK, DISK, DISK),
    (UEFI, "exit 1"): (DISK, DISK, DISK),
    (UEFI, "sanboot --no-describe --drive 0x80"): (ITSELF, ITSELF, ITSELF),
    (UEFI, "sanboot --no-describe --drive 0x81"): (DISK, DISK, DISK),
}


def installed_disk(work: Path) -> list[str]:
    """Return QEMU's arguments for a SATA disk with a system on it, which says so when it boots."""
    disk = work / "installed.img"
    disk.write_bytes(image.fill(image.read_template(), b"#!ipxe\necho the installed disk has booted\nsleep 600\n"))
    drive = f"if=none,id=installed,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", "ide-hd,bus=ide.0,drive=installed,bootindex=1"]


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
    with lan.machine_with(firmware, iso, MEDIA[medium], name, *installed_disk(tmp_path)) as booted:
        booted.wait_for("starting it", 60)
        booted.wait_for(SHOWS[expected], 60, may_fail=True, since=len(booted.console))
