"""The Debian installer, from its package for boot servers, over every transport that carries files."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lab.firmware import BIOS, Firmware
from lab.lan import Lan
from template.paths import BUILD
from tests.boot.conftest import BootFrom
from tests.integration import debian_linux

SCRIPT = "#!ipxe\nkernel linux console=ttyS0\ninitrd initrd.gz\nboot\n"  # docs/how-to/boot-servers.md has it


def copy_installer(folder: Path) -> None:
    """Copy the kernel and initrd of the installer to a folder, with a script that boots them."""
    (folder / "debian.ipxe").write_text(SCRIPT)
    for file in (debian_linux.kernel(), debian_linux.initrd()):
        shutil.copy(file, folder)


def boot_installer(boot_from: BootFrom, url: str) -> None:
    """Boot the installer until its initrd runs. Its menu is not awaited, because it sometimes crashes, with any server.

    On a busy host, iPXE sometimes fails to read a file over NFS (error 420e2001) and succeeds in the next try.
    """
    booted = boot_from(url)
    may_retry = url.startswith("nfs:")
    booted.wait_for("Linux version", 180, may_fail=may_retry)
    booted.wait_for("Run /init as init process", 120, may_fail=may_retry)


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["http", "tftp"])
def test_installer_starts_over_http_or_tftp(lan: Lan, boot_from: BootFrom, card: int, scheme: str) -> None:
    copy_installer(lan.www)
    if scheme == "http":
        lan.http()
    boot_installer(boot_from, f"{scheme}://bty-server/debian.ipxe")


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the NFS server opens files by handle")
def test_installer_starts_over_nfs(lan: Lan, boot_from: BootFrom, card: int) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="nfs-") as folder:  # /tmp may be in memory
        copy_installer(Path(folder))
        lan.nfs(Path(folder))
        boot_installer(boot_from, "nfs://bty-server/export/debian.ipxe")


@pytest.mark.integration
def test_packaged_boot_program_shows_menu(lan: Lan, boot_from: BootFrom, card: int, firmware: Firmware) -> None:
    """The unchanged directory of the package, with its pxelinux or GRUB."""
    shutil.copytree(debian_linux.installer(), lan.www, symlinks=True, dirs_exist_ok=True)
    name = "pxelinux.0" if firmware is BIOS else "debian-installer/amd64/grubx64.efi"
    booted = boot_from(f"tftp://bty-server/{name}")
    booted.wait_for("Install", 60)
    log = (lan.work / f"dnsmasq{card}.log").read_text()
    last = "boot-screens/vesamenu.c32" if firmware is BIOS else "grub/grub.cfg"
    assert f"sent {Path(lan.www, 'debian-installer/amd64', last)} to 10.0.{card}." in log
