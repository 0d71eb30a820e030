"""FAI, of Debian's: what fai-chboot writes for pxelinux, over tftp."""

import shutil
from pathlib import Path

import pytest

from lab import debian
from lab.firmware import BIOS, Firmware
from lab.lan import Lan
from tests.boot.conftest import Boot
from tests.boot.test_local_disk import installed_disk
from tests.boot.test_retry import type_strays
from tests.integration import debian_linux


@pytest.fixture
def fai(lan: Lan) -> list[str]:
    """Lay out FAI's TFTP directory; return the words that run fai-chboot.

    fai-make-nfsroot does it so, but for its pxelinux.0, which is lpxelinux.0.
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
    """Return what starts FAI's boot program."""
    return f"tftp://bty-server/fai/{'pxelinux.0' if firmware is BIOS else 'syslinux.efi'}"


@pytest.mark.integration
def test_machine_is_installed(fai: list[str], lan: Lan, boot: Boot, card: int, firmware: Firmware) -> None:
    shutil.copy(debian_linux.kernel(), lan.www / "fai" / "vmlinuz-6.12")
    shutil.copy(debian_linux.initrd(), lan.www / "fai" / "initrd.img-6.12")
    mac = lan.mac(card)
    lan.run(*fai, "-I", "-P", "-k", "console=ttyS0", "-u", f"nfs://10.0.{card}.1/srv/fai/config", mac)
    booted = boot(url(firmware))
    booted.wait_for("Linux version", 120)
    booted.wait_for("FAI_ACTION=install", 30)
    booted.wait_for(f"BOOTIF=01-{mac.replace(':', '-')}", 30)


@pytest.mark.integration("uefi-x86_64-last", "bios")
def test_installed_machine_boots_its_disk(
    fai: list[str], lan: Lan, boot: Boot, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    """fai-chboot -o writes localboot -1. On UEFI syslinux.efi then ends with an error; stray bytes open no shell."""
    lan.run(*fai, "-o", lan.mac(card))
    booted = boot(url(firmware), *installed_disk(tmp_path, firmware))
    if firmware is not BIOS:
        booted.wait_for("press s for the iPXE shell", 60, may_fail=True)
        type_strays(booted)
    booted.wait_for("the installed disk has booted", 60, may_fail=True)
    assert "iPXE>" not in booted.console


@pytest.mark.integration
@pytest.mark.parametrize("card", [0], indirect=True)
@pytest.mark.parametrize("firmware", [BIOS], ids=lambda firmware: firmware.name, indirect=True)
def test_its_own_pxelinux_stands_still(fai: list[str], lan: Lan, boot: Boot, card: int) -> None:
    """So docs/how-to/boot-servers.md says to put another in its place."""
    lan.run(*fai, "-o", lan.mac(card))
    booted = boot("tftp://bty-server/fai/lpxelinux.0")
    booted.wait_for("PXELINUX 6.04 lwIP", 60)
    assert booted.is_idle_for(60)
