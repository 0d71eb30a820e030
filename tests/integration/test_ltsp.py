"""LTSP, from Debian: its menu over tftp, and the entries that the menu boots."""

import os
from pathlib import Path

import pytest

from lab import debian
from lab.firmware import Firmware
from lab.lan import Lan
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk
from tests.integration import debian_linux

CONFIG = """
[server]
DEFAULT_IMAGE=r_x86_64
KERNEL_PARAMETERS="console=ttyS0"
"""


def set_up_tftp(
    lan: Lan, card: int, kernel: bytes = debian_linux.PLACEHOLDER, initrd: bytes = debian_linux.PLACEHOLDER
) -> None:
    """Let LTSP fill its TFTP directory, for a chroot with this kernel and initrd."""
    root = debian.unpack(debian.LTSP)
    chroot = lan.work / "ltsp" / "x86_64"
    for folder in ("proc", "boot"):
        (chroot / folder).mkdir(parents=True)
    (chroot / "boot" / "vmlinuz").write_bytes(kernel)
    (chroot / "boot" / "initrd.img").write_bytes(initrd)
    (lan.work / "etc" / "ltsp").mkdir()
    (lan.work / "etc" / "ltsp" / "ltsp.conf").write_text(CONFIG)
    lan.run("ip", "route", "add", "192.168.67.0/24", "dev", f"tap{card}")  # LTSP chooses its interface by this route
    # This PATH includes busybox, which LTSP uses for programs that the host lacks.
    command = ["env", f"PATH={os.environ['PATH']}:{root / 'usr/bin'}", "sh", str(root / "usr/share/ltsp/ltsp")]
    for applet in (("kernel", "x86_64"), ("initrd",), ("ipxe", "--binaries=0")):
        lan.run(*command, f"--base-dir={lan.work / 'ltsp'}", f"--tftp-dir={lan.www}", *applet)


@pytest.mark.integration
def test_menu_boots_default_image(lan: Lan, boot_from: BootFrom, card: int) -> None:
    set_up_tftp(lan, card, debian_linux.kernel().read_bytes(), debian_linux.initrd().read_bytes())
    booted = boot_from(f"tftp://10.0.{card}.1/ltsp/ltsp.ipxe")
    booted.wait_for("Boot an image from the network in LTSP mode", 60)
    booted.wait_for("Linux version", 120)
    # LTSP takes the address of the server from next-server, and the MAC address from the card.
    booted.wait_for(f"root=/dev/nfs nfsroot=10.0.{card}.1:", 30)
    booted.wait_for(f"BOOTIF=01-{lan.mac(card).replace(':', '-')} console=ttyS0", 30)
    assert f"sent {lan.www}/ltsp/x86_64/vmlinuz to 10.0.{card}." in (lan.work / f"dnsmasq{card}.log").read_text()


@pytest.mark.integration("uefi", "bios-one-card-d", "bios-last")
@pytest.mark.parametrize("key", ["x", "d"])
def test_menu_boots_local_disk(
    lan: Lan, boot_from: BootFrom, card: int, firmware: Firmware, key: str, tmp_path: Path
) -> None:
    """Key x is "Exit iPXE", key d is "Boot from the first local disk"."""
    set_up_tftp(lan, card)
    booted = boot_from(f"tftp://10.0.{card}.1/ltsp/ltsp.ipxe", *installed_disk(tmp_path, firmware))
    booted.wait_for("Exit iPXE and continue BIOS boot", 60)
    since = len(booted.console)
    booted.enter_text(key)
    booted.wait_for("the installed disk has booted", 60, since=since)
