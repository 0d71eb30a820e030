"""FAI, from Debian: pxelinux configurations that fai-chboot writes, over tftp."""

import shutil
from pathlib import Path

import pytest

from lab import debian
from lab.firmware import BIOS, Firmware
from lab.lan import Lan
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk
from tests.boot.test_retry import send_stray_input
from tests.integration import debian_linux


@pytest.fixture
def fai(lan: Lan) -> list[str]:
    """Set up the TFTP directory of FAI; return the command that runs fai-chboot.

    The directory is as fai-make-nfsroot makes it, except for pxelinux.0, which would be lpxelinux.0.
    """
    root, tftp, config = debian.unpack(debian.FAI), lan.www / "fai", lan.work / "fai"
    (tftp / "pxelinux.cfg").mkdir(parents=True)
    for name in ("pxelinux.0", "lpxelinux.0"):
        shutil.copy(root / "usr/lib/PXELINUX" / name, tftp)
    shutil.copy(root / "usr/lib/syslinux/modules/bios/ldlinux.c32", tftp)
    shutil.copy(root / "usr/lib/syslinux/modules/efi64/ldlinux.e64", tftp)
    shutil.copy(root / "usr/lib/SYSLINUX.EFI/efi64/syslinux.efi", tftp)
    config.mkdir()
    (config / "nfsroot.conf").write_text(f"NFSROOT=/srv/fai/nfsroot\nTFTPROOT={tftp}\n")
    return [str(root / "usr/sbin/fai-chboot"), "-C", str(config)]


def url(firmware: Firmware) -> str:
    """Return the URL of the FAI boot program."""
    return f"tftp://bty-server/fai/{'pxelinux.0' if firmware is BIOS else 'syslinux.efi'}"


@pytest.mark.integration
def test_new_machine_starts_installation(
    fai: list[str], lan: Lan, boot_from: BootFrom, card: int, firmware: Firmware
) -> None:
    shutil.copy(debian_linux.kernel(), lan.www / "fai" / "vmlinuz-6.12")
    shutil.copy(debian_linux.initrd(), lan.www / "fai" / "initrd.img-6.12")
    mac = lan.mac(card)
    lan.run(*fai, "-I", "-P", "-k", "console=ttyS0", "-u", f"nfs://10.0.{card}.1/srv/fai/config", mac)
    booted = boot_from(url(firmware))
    booted.wait_for("Linux version", 120)
    booted.wait_for("FAI_ACTION=install", 30)
    booted.wait_for(f"BOOTIF=01-{mac.replace(':', '-')}", 30)


@pytest.mark.integration
def test_installed_machine_boots_local_disk(
    fai: list[str], lan: Lan, boot_from: BootFrom, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    """fai-chboot -o writes localboot -1, with which syslinux.efi ends in an error; stray input opens no shell there."""
    lan.run(*fai, "-o", lan.mac(card))
    booted = boot_from(url(firmware), *installed_disk(tmp_path, firmware))
    if firmware is not BIOS:
        booted.wait_for("press s for the iPXE shell", 60, may_fail=True)
        send_stray_input(booted)
    booted.wait_for("the installed disk has booted", 60, may_fail=True)
    assert "iPXE>" not in booted.console


@pytest.mark.integration
@pytest.mark.parametrize("card", [0], indirect=True)
@pytest.mark.parametrize("firmware", [BIOS], ids=lambda firmware: firmware.name, indirect=True)
def test_lpxelinux_hangs(fai: list[str], lan: Lan, boot_from: BootFrom, card: int) -> None:
    """docs/how-to/boot-servers.md therefore tells users to replace it."""
    lan.run(*fai, "-o", lan.mac(card))
    booted = boot_from("tftp://bty-server/fai/lpxelinux.0")
    booted.wait_for("PXELINUX 6.04 lwIP", 60)
    assert booted.is_idle_for(60)
