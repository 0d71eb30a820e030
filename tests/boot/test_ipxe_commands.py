"""Server scripts with commands that the main iPXE lacks, such as those of FOG and netboot.xyz."""

import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from docgen import ipxe_commands
from lab import debian
from lab.boot_matrix import COLUMNS
from lab.firmware import ARM64, BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.machine import ipxe
from lab.media import SCSI_CD
from template.paths import PACKAGES
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk

# As FOG sends them: the machine posts its MAC addresses and architecture, and gets a menu.
FOG_DEFAULT = """\
#!ipxe
cpuid --ext 29 && set arch x86_64 || set arch i386
params
param mac0 ${net0/mac}
param arch ${arch}
param platform ${platform}
isset ${net1/mac} && param mac1 ${net1/mac} ||
chain boot.php##params
"""
FOG_MENU = """\
#!ipxe
set fog-ip 10.0.0.1
goto start
:start
menu Hello ${net0/mac}
item fog.local Boot from hard disk
item fog.memtest Run Memtest86+
choose --default fog.local --timeout 1000 target && goto ${target}
:fog.local
EXIT || goto start
"""
# As menus of netboot.xyz load an installer: they check a sum midway, and a missing command ends the script.
CHECKSUM = """\
#!ipxe
imgfree
imgfetch boot-files
md5sum boot-files
echo checked ${mac}
sleep 600
"""
# docs/how-to/boot-servers.md has this recipe.
CHAIN_TO_SERVER_IPXE = """\
#!ipxe
iseq ${platform} efi || chain tftp://bty-server/ipxe.lkrn
chain tftp://bty-server/snponly.efi
"""
MISSING_COMMAND = "It uses a command that this iPXE lacks: let it start your server's own iPXE."


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
@pytest.mark.parametrize("cards", [1, 3])
@pytest.mark.parametrize("ends", ["exit", "sanboot --no-describe --drive 0x80"])
@pytest.mark.thorough("exit-3", "sanboot")
def test_fog_menu_boots_local_disk(lan: Lan, boot_from: BootFrom, cards: int, ends: str, tmp_path: Path) -> None:
    for _ in range(cards - 1):
        lan.segment(dhcp=False)
    number = lan.segment()
    (lan.www / "default.ipxe").write_text(FOG_DEFAULT)
    (lan.www / "menu").write_text(FOG_MENU.replace("EXIT", ends))
    lan.http("""
        error_page 405 =200 /menu;
        location = /boot.php { client_body_in_file_only on; proxy_pass http://127.0.0.1:80/menu; proxy_method GET; }
    """)
    booted = boot_from("http://bty-server/default.ipxe", *installed_disk(tmp_path, UEFI))
    booted.wait_for("Boot from hard disk", 60)
    booted.wait_for("the installed disk has booted", 60, may_fail=True)
    posted = [parse_qs(file.read_text()) for file in sorted((lan.work / "t1").rglob("*")) if file.is_file()]
    # The ECDSA iPXE sees only the card that fetched the URL.
    assert posted == [{"mac0": [lan.mac(number)], "arch": ["x86_64"], "platform": ["efi"]}]
    agents = [request[1] for request in lan.requests() if request[0] == "/default.ipxe"]
    assert agents == ipxe()


def serve_checksum(lan: Lan) -> None:
    lan.segment()
    (lan.www / "boot").write_text(CHECKSUM)
    (lan.www / "boot-files").write_bytes(bytes(1_000_000))
    lan.http()


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
@pytest.mark.thorough
def test_md5sum_command_runs_in_ecdsa_ipxe(lan: Lan, boot_from: BootFrom) -> None:
    serve_checksum(lan)
    boot_from("http://bty-server/boot").wait_for(f"checked {lan.mac(0)}", 60)
    assert [request[1] for request in lan.requests() if request[0] == "/boot"] == ipxe()


@pytest.mark.parametrize("firmware", [ARM64], ids=["uefi-arm64"], indirect=True)
@pytest.mark.thorough
def test_md5sum_command_runs_in_arm64_ecdsa_ipxe(lan: Lan, firmware: Firmware) -> None:
    serve_checksum(lan)
    with lan.machine(firmware, "http://bty-server/boot", "commands-arm64", medium=SCSI_CD) as booted:
        booted.wait_for(f"checked {lan.mac(0)}", firmware.seconds)


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
@pytest.mark.thorough
def test_command_missing_in_both_builds_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nimgverify boot signature\n")
    lan.http()
    screen = boot_from("http://bty-server/boot").wait_for_diagnosis(60)
    assert "imgverify: command not found" in screen
    assert re.search(r"net0 .*: the script uses a command that this iPXE lacks, https://ipxe\.org/2e022081\n", screen)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
def test_command_missing_on_bios_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    (lan.www / "default.ipxe").write_text(FOG_DEFAULT)
    lan.http()
    screen = boot_from("http://bty-server/default.ipxe").wait_for_diagnosis(60)
    assert "params: command not found" in screen
    assert f"\n{MISSING_COMMAND}\n" in screen


@pytest.mark.parametrize("cards", [1, 3])
@pytest.mark.thorough
def test_script_chains_to_ipxe_of_server(lan: Lan, boot_from: BootFrom, firmware: Firmware, cards: int) -> None:
    """The iPXE on the server, here the newest from Debian, gets the URL of its script by DHCP, as in FOG."""
    for _ in range(cards - 1):
        lan.segment(dhcp=False)
    lan.segment(options=("--dhcp-boot=second.ipxe",))
    folder = debian.unpack(PACKAGES) / "ecdsa/usr/lib/ipxe"
    for name in ("ipxe.lkrn", "snponly.efi"):
        shutil.copy(folder / name, lan.www)
    (lan.www / "boot").write_text(CHAIN_TO_SERVER_IPXE)
    (lan.www / "second.ipxe").write_text("#!ipxe\necho this is ${version} of the server\nsleep 600\n")
    lan.http()
    booted = boot_from("http://bty-server/boot")
    version = ipxe()[1].removeprefix("iPXE/")
    booted.wait_for(f"this is {version} of the server", 200)


@pytest.mark.parametrize("platform", ipxe_commands.BUILDS)
@pytest.mark.thorough("ARM64", "RISC-V", "LoongArch", "UEFI")
def test_page_lists_commands_of_each_build(platform: str) -> None:
    page = ipxe_commands.PAGE.read_text()
    everywhere = set(re.findall(r"`(\w+)`", page.partition("In every build:")[2].partition("In some builds:")[0]))
    head, _, *rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    names = (platform, f"{platform}, ECDSA") if platform in ipxe_commands.ECDSA else (platform,)
    found = ipxe_commands.list_commands(COLUMNS[platform](), len(names) > 1)
    for name, builds_commands in zip(names, found, strict=True):
        column = head.index(name)
        assert builds_commands == everywhere | {row[0] for row in rows if row[column] == "yes"}
