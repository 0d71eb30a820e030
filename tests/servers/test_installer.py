"""Debian's installer, as its package for boot servers has it, over every transport that carries files."""

import os
import shutil
from pathlib import Path

import pytest

from lab.firmware import BIOS, Firmware
from lab.lan import Lan
from tests.boot.conftest import Boot
from tests.servers import linux

SCRIPT = "#!ipxe\nkernel linux console=ttyS0\ninitrd initrd.gz\nboot\n"  # docs/servers.md has it


@pytest.mark.servers
@pytest.mark.parametrize("scheme", ["http", "tftp", "nfs"])
def test_installer_starts(lan: Lan, boot: Boot, card: int, scheme: str) -> None:
    (lan.www / "debian.ipxe").write_text(SCRIPT)
    for file in (linux.KERNEL, linux.INITRD):
        shutil.copy(file, lan.www)
    if scheme == "http":
        lan.http()
    if scheme == "nfs":
        if os.geteuid():
            pytest.skip("the NFS server opens the files themselves as root alone")
        lan.nfs(copied=False)
    path = "/export" if scheme == "nfs" else ""
    booted = boot(f"{scheme}://bty-server{path}/debian.ipxe", "-m", "1024")  # with 512 MB it warns, in English
    booted.wait_for("Linux version", 120)
    booted.wait_for("Select a language", 120)


@pytest.mark.servers("bios", "uefi-x86_64-last")
def test_its_own_boot_program_shows_its_menu(lan: Lan, boot: Boot, card: int, firmware: Firmware) -> None:
    """The tree as it lies in the package, by its own pxelinux or GRUB."""
    shutil.copytree(linux.INSTALLER, lan.www, symlinks=True, dirs_exist_ok=True)
    name = "pxelinux.0" if firmware is BIOS else "debian-installer/amd64/grubx64.efi"
    booted = boot(f"tftp://bty-server/{name}")
    booted.wait_for("Install", 60)
    log = (lan.work / f"dnsmasq{card}.log").read_text()
    last = "boot-screens/vesamenu.c32" if firmware is BIOS else "grub/grub.cfg"
    assert f"sent {Path(lan.www, 'debian-installer/amd64', last)} to 10.0.{card}." in log
