"""A server's script that uses commands that the main iPXE lacks, as FOG's and netboot.xyz's do."""

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
from tests.boot.conftest import Boot
from tests.boot.test_local_disk import installed_disk

# As FOG's server sends them: the machine posts what it is, and gets a menu.
DEFAULT = """\
#!ipxe
cpuid --ext 29 && set arch x86_64 || set arch i386
params
param mac0 ${net0/mac}
param arch ${arch}
param platform ${platform}
isset ${net1/mac} && param mac1 ${net1/mac} ||
chain boot.php##params
"""
MENU = """\
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
# As netboot.xyz's menus load an installer: a checksum in the midst of it, and nothing that catches its failure.
CHECKSUM = """\
#!ipxe
imgfree
imgfetch boot-files
md5sum boot-files
echo checked ${mac}
sleep 600
"""
# docs/how-to/boot-servers.md has this recipe.
HAND_OVER = """\
#!ipxe
iseq ${platform} efi || chain tftp://bty-server/ipxe.lkrn
chain tftp://bty-server/snponly.efi
"""
LACKS = "It needs a command that this iPXE lacks: have it start the iPXE of the server."


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
@pytest.mark.parametrize("cards", [1, 3])
@pytest.mark.parametrize("ends", ["exit", "sanboot --no-describe --drive 0x80"])
@pytest.mark.thorough("exit-3", "sanboot --no-describe --drive 0x80-3")
def test_fog_posts_the_machine_and_its_menu_boots_the_disk(
    lan: Lan, boot: Boot, cards: int, ends: str, tmp_path: Path
) -> None:
    for _ in range(cards - 1):
        lan.segment(dhcp=False)
    number = lan.segment()
    (lan.www / "default.ipxe").write_text(DEFAULT)
    (lan.www / "menu").write_text(MENU.replace("EXIT", ends))
    lan.http("""
        error_page 405 =200 /menu;
        location = /boot.php { client_body_in_file_only on; proxy_pass http://127.0.0.1:80/menu; proxy_method GET; }
    """)
    booted = boot("http://bty-server/default.ipxe", *installed_disk(tmp_path, UEFI))
    booted.wait_for("Boot from hard disk", 60)
    booted.wait_for("the installed disk has booted", 60, may_fail=True)
    posted = [parse_qs(file.read_text()) for file in sorted((lan.work / "t1").rglob("*")) if file.is_file()]
    # The ECDSA iPXE has the card that got the URL as its only one.
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
def test_netboot_xyz_checks_a_sum_in_the_ecdsa_ipxe(lan: Lan, boot: Boot) -> None:
    serve_checksum(lan)
    boot("http://bty-server/boot").wait_for(f"checked {lan.mac(0)}", 60)
    assert [request[1] for request in lan.requests() if request[0] == "/boot"] == ipxe()


@pytest.mark.parametrize("firmware", [ARM64], ids=["uefi-arm64"], indirect=True)
@pytest.mark.thorough
def test_arm64_checks_a_sum_in_the_ecdsa_ipxe(lan: Lan, firmware: Firmware) -> None:
    serve_checksum(lan)
    with lan.machine(firmware, "http://bty-server/boot", "commands-arm64", medium=SCSI_CD) as booted:
        booted.wait_for(f"checked {lan.mac(0)}", firmware.seconds)


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
@pytest.mark.thorough
def test_command_that_both_builds_lack_is_named(lan: Lan, boot: Boot) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nimgverify boot signature\n")
    lan.http()
    screen = boot("http://bty-server/boot").wait_for_diagnosis(60)
    assert "imgverify: command not found" in screen
    assert re.search(r"net0 .*: the script needs a command that this iPXE lacks, https://ipxe\.org/2e022081\n", screen)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
def test_command_that_bios_lacks_is_named(lan: Lan, boot: Boot) -> None:
    lan.segment()
    (lan.www / "default.ipxe").write_text(DEFAULT)
    lan.http()
    screen = boot("http://bty-server/default.ipxe").wait_for_diagnosis(60)
    assert "params: command not found" in screen
    assert f"\n{LACKS}\n" in screen


@pytest.mark.parametrize("cards", [1, 3])
@pytest.mark.thorough
def test_script_hands_over_to_the_ipxe_of_the_server(lan: Lan, boot: Boot, firmware: Firmware, cards: int) -> None:
    """Which is Debian's newest here, and finds its script by DHCP, as the one of FOG does."""
    for _ in range(cards - 1):
        lan.segment(dhcp=False)
    lan.segment(options=("--dhcp-boot=own.ipxe",))
    folder = debian.unpack(PACKAGES) / "ecdsa/usr/lib/ipxe"
    for name in ("ipxe.lkrn", "snponly.efi"):
        shutil.copy(folder / name, lan.www)
    (lan.www / "boot").write_text(HAND_OVER)
    (lan.www / "own.ipxe").write_text("#!ipxe\necho this is ${version} of the server\nsleep 600\n")
    lan.http()
    booted = boot("http://bty-server/boot")
    version = ipxe()[1].removeprefix("iPXE/")
    booted.wait_for(f"this is {version} of the server", 200)


@pytest.mark.parametrize("platform", ipxe_commands.BUILDS)
@pytest.mark.thorough("ARM64", "RISC-V", "LoongArch", "UEFI")
def test_page_lists_the_commands_of_each_build(platform: str) -> None:
    page = ipxe_commands.PAGE.read_text()
    everywhere = set(re.findall(r"`(\w+)`", page.partition("In every build:")[2].partition("In some builds:")[0]))
    head, _, *rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    names = (platform, f"{platform}, ECDSA") if platform in ipxe_commands.ECDSA else (platform,)
    found = ipxe_commands.listed(COLUMNS[platform](), len(names) > 1)
    for name, builds_commands in zip(names, found, strict=True):
        column = head.index(name)
        assert builds_commands == everywhere | {row[0] for row in rows if row[column] == "yes"}
