"""PXE programs booted from a tftp URL find the files beside them, as after a real PXE boot."""

import shutil
from pathlib import Path

import pytest

from lab import debian
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from template.paths import PACKAGES
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk

# The server and file that DHCP names for machines that boot by PXE. The URL takes precedence over both.
PXE_OPTION = "--dhcp-boot=other/file,other-server,10.0.0.99"


@pytest.mark.parametrize("host", ["10.0.0.1", "bty-server"])
@pytest.mark.thorough("bios-bty-server", "uefi-x86_64-bty-server")
def test_pxe_program_finds_its_menu_file(lan: Lan, boot_from: BootFrom, firmware: Firmware, host: str) -> None:
    lan.segment(options=(PXE_OPTION,) if host == "10.0.0.1" else ())
    programs, lib = (
        debian.unpack(debian.PXE) / "usr/lib",
        debian.unpack(PACKAGES) / "usr/lib",
    )
    folder = lan.www / "deep" / "down"
    (folder / "pxelinux.cfg").mkdir(parents=True)
    if firmware is BIOS:
        shutil.copy(programs / "PXELINUX/pxelinux.0", folder)
        shutil.copy(lib / "syslinux/modules/bios/ldlinux.c32", folder)
        (folder / "pxelinux.cfg" / "default").write_text("SAY this is its own menu file\nPROMPT 1\nTIMEOUT 0\n")
        name = "pxelinux.0"
    else:
        name = "grubnetx64.efi"
        shutil.copy(programs / f"grub/x86_64-efi-signed/{name}.signed", folder / name)
        (lan.www / "grub").mkdir()
        (lan.www / "grub" / "grub.cfg").write_text('echo "this is its own menu file"\nsleep 600\n')
    boot_from(f"tftp://{host}/deep/down/{name}").wait_for("this is its own menu file", 60)


@pytest.mark.parametrize("firmware", [UEFI], ids=lambda firmware: firmware.name, indirect=True)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.thorough("signed")
def test_shim_starts_grub_beside_it(lan: Lan, boot_from: BootFrom, signed: bool) -> None:
    """shim refuses a signed GRUB, because iPXE gives the size of shim's buffer as the length of the file.

    The signature is then not at the end of the file.
    """
    lan.segment(options=(PXE_OPTION,))
    folder = lan.www / "deep" / "down"
    (lan.www / "grub").mkdir()
    (lan.www / "grub" / "grub.cfg").write_text('menuentry "its own menu" {\n echo menu\n}\n')
    folder.mkdir(parents=True)
    shutil.copy(debian.unpack(PACKAGES) / "usr/lib/shim/shimx64.efi.signed", folder / "shimx64.efi")
    grub = "x86_64-efi-signed/grubnetx64.efi.signed" if signed else "x86_64-efi/monolithic/grubnetx64.efi"
    shutil.copy(debian.unpack(debian.PXE) / "usr/lib/grub" / grub, folder / "grubx64.efi")
    booted = boot_from("tftp://10.0.0.1/deep/down/shimx64.efi")
    if signed:
        assert "Malformed binary after Attribute Certificate Table" in booted.wait_for_diagnosis(60)
    else:
        booted.wait_for("its own menu", 60)
    assert f"sent {folder}/grubx64.efi to 10.0.0." in (lan.work / "dnsmasq0.log").read_text()


@pytest.mark.parametrize("firmware", [UEFI], ids=lambda firmware: firmware.name, indirect=True)
@pytest.mark.parametrize("ends", ["exit", "exit 1"])
@pytest.mark.thorough
def test_grub_exit_boots_next_device(lan: Lan, boot_from: BootFrom, ends: str, tmp_path: Path) -> None:
    """MAAS, Foreman and others send such a menu to installed machines."""
    lan.segment()
    grub = debian.unpack(debian.PXE) / "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
    shutil.copy(grub, lan.www / "grubnetx64.efi")
    (lan.www / "grub").mkdir()
    (lan.www / "grub" / "grub.cfg").write_text(f"{ends}\n")
    booted = boot_from("tftp://bty-server/grubnetx64.efi", *installed_disk(tmp_path, UEFI))
    booted.wait_for("the installed disk has booted", 60, may_fail=True)


@pytest.mark.parametrize("firmware", [UEFI], ids=lambda firmware: firmware.name, indirect=True)
@pytest.mark.parametrize("ends", ["exit", "exit 1", "exit 2"])
@pytest.mark.thorough("exit-", "exit 2")
def test_ipxe_of_server_exits_like_script(lan: Lan, boot_from: BootFrom, ends: str, tmp_path: Path) -> None:
    lan.segment()
    shutil.copy(debian.unpack(PACKAGES) / "usr/lib/ipxe/snponly.efi", lan.www)
    (lan.www / "inner").write_text(f"#!ipxe\necho of the server\n{ends}\n")
    (lan.www / "boot").write_text("#!ipxe\nimgfetch --name autoexec.ipxe inner\nchain snponly.efi\n")
    booted = boot_from("tftp://bty-server/boot", *installed_disk(tmp_path, UEFI))
    booted.wait_for("of the server", 60)
    follows = "the server's script FAILED" if ends == "exit 2" else "the installed disk has booted"
    booted.wait_for(follows, 60, may_fail=True)
