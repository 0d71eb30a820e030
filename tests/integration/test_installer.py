"""Debian's installer, as its package for boot servers has it, over every transport that carries files."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lab.firmware import BIOS, Firmware
from lab.lan import Lan
from template.paths import BUILD
from tests.boot.conftest import Boot
from tests.integration import debian_linux

SCRIPT = "#!ipxe\nkernel linux console=ttyS0\ninitrd initrd.gz\nboot\n"  # docs/how-to/boot-servers.md has it


def serve(folder: Path) -> None:
    """Put the installer's files into a folder."""
    (folder / "debian.ipxe").write_text(SCRIPT)
    for file in (debian_linux.kernel(), debian_linux.initrd()):
        shutil.copy(file, folder)


def starts(boot: Boot, url: str) -> None:
    """Boot the installer, until its initrd runs. Its menu is not waited for: now and then it crashes, on any server.

    And now and then, on a busy host, iPXE gets a file over NFS at its next try only: error 420e2001.
    """
    booted = boot(url)
    again = url.startswith("nfs:")
    booted.wait_for("Linux version", 180, may_fail=again)
    booted.wait_for("Run /init as init process", 120, may_fail=again)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["http", "tftp"])
def test_installer_starts(lan: Lan, boot: Boot, card: int, scheme: str) -> None:
    serve(lan.www)
    if scheme == "http":
        lan.http()
    starts(boot, f"{scheme}://bty-server/debian.ipxe")


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="the NFS server opens the files themselves as root alone")
def test_installer_starts_over_nfs(lan: Lan, boot: Boot, card: int) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="nfs-") as folder:  # /tmp may be in memory
        serve(Path(folder))
        lan.nfs(Path(folder))
        starts(boot, "nfs://bty-server/export/debian.ipxe")


@pytest.mark.integration
def test_its_own_boot_program_shows_its_menu(lan: Lan, boot: Boot, card: int, firmware: Firmware) -> None:
    """The tree as it lies in the package, by its own pxelinux or GRUB."""
    shutil.copytree(debian_linux.installer(), lan.www, symlinks=True, dirs_exist_ok=True)
    name = "pxelinux.0" if firmware is BIOS else "debian-installer/amd64/grubx64.efi"
    booted = boot(f"tftp://bty-server/{name}")
    booted.wait_for("Install", 60)
    log = (lan.work / f"dnsmasq{card}.log").read_text()
    last = "boot-screens/vesamenu.c32" if firmware is BIOS else "grub/grub.cfg"
    assert f"sent {Path(lan.www, 'debian-installer/amd64', last)} to 10.0.{card}." in log
