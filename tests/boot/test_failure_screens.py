"""Whoever stands before a machine that doesn't boot reads why, on one screen, soon; nothing hangs."""

import re
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.link import NEVER
from lab.machine import AGAIN, HEIGHT, Machine, usb_keyboard
from lab.media import XHCI_STICK
from tests.boot.conftest import Boot

URL = "http://bty-server/boot"
ENDED = "boots-from: the server's script has ended; trying the next boot device"
CANNOT = "boots-from: could NOT boot this machine from\n"
NO_ANSWER = "no usable answer: silence, 503 or endless redirects"
CARD = "net0 52:54:00:00:00:01 virtio-net: "
LINK = r"https://ipxe\.org/[0-9a-f]{8}\n"
ADDRESS = "..... 10.0.0.135 gateway 10.0.0.1 DNS 10.0.0.1\n"


def diagnosis(booted: Machine, seconds: float) -> str:
    """Wait for the diagnosis; return what stands on the screen from the last try on, which is whole."""
    screen = booted.wait_for_diagnosis(seconds + 30)
    came = booted.diagnosed.after(booted.banner)
    print(f"{came:.1f} s from the banner to the diagnosis\n{screen}")
    assert came <= seconds
    assert len(booted.screen()) <= HEIGHT
    assert f"Try 1. {AGAIN}\n" in screen
    _, begins, rest = screen.rpartition("boots-from: booting from\n")
    assert begins, "the try doesn't fit the screen"
    return rest


@pytest.mark.thorough("uefi")
def test_no_card(lan: Lan, boot: Boot) -> None:
    assert "NO NETWORK CARD FOUND" in diagnosis(boot(URL), 3)


@pytest.mark.thorough("uefi")
def test_no_link(lan: Lan, boot: Boot) -> None:
    lan.segment(link_after=NEVER)
    booted = boot(URL)
    assert "net0 52:54:00:00:00:01 82574l: no link: check cable and switch port\n" in diagnosis(booted, 33)
    assert booted.links
    assert max(booted.links.opened["card0"]) >= 25


@pytest.mark.thorough
def test_no_dhcp(lan: Lan, boot: Boot) -> None:
    lan.segment(dhcp=False)
    assert f"{CARD}no DHCP answer: check VLAN and server\n" in diagnosis(boot(URL), 62)


@pytest.mark.thorough("uefi")
def test_dhcp_without_dns(lan: Lan, boot: Boot) -> None:
    lan.segment(dns=False)
    said = diagnosis(boot(URL), 12)
    assert "http://bty-server/boot... Error 0x3e11" in said
    assert re.search(f"{CARD}no DNS server, {LINK}..... 10.0.0.135 gateway 10.0.0.1 DNS none\n", said)


@pytest.mark.thorough
def test_three_cards_each_with_its_own_trouble_on_one_screen(lan: Lan, boot: Boot) -> None:
    lan.segment()
    lan.segment(dhcp=False)
    lan.segment(link_after=NEVER)
    screen = boot(URL).wait_for_diagnosis(90)
    assert re.search(f"{CANNOT}{URL}\n{CARD}port is closed, {LINK}{ADDRESS}", screen)
    for words in (
        "net1 52:54:00:00:00:02 virtio-net: no DHCP answer: check VLAN and server\n",
        "net2 52:54:00:00:00:03 82574l: no link: check cable and switch port\n",
        "http://bty-server/boot... Connection reset",
        f"Try 1. {AGAIN}\n",
    ):
        assert words in screen


@pytest.mark.parametrize(
    ("url", "words", "short", "seconds"),
    [
        ("http://nosuchname/boot", "Error 0x3e11", "name not in DNS", 12),
        ("http://10.0.0.1:81/boot", "Connection reset", "port is closed", 12),
        ("http://10.0.0.77/boot", "Connection timed out", NO_ANSWER, 40),
        # iPXE joins a line that ends with a backslash and the next one.
        ("http://10.0.0.1/missing\\", "Not found", "not found (404)", 12),
        ("tftp://10.0.0.1/missing", "Not found", "not found", 12),
    ],
    ids=["unknown host", "refused", "silent host", "404", "tftp"],
)
@pytest.mark.thorough(
    "uefi-x86_64-tftp", "bios-silent host", "uefi-x86_64-404", "uefi-x86_64-refused", "uefi-x86_64-unknown host"
)
def test_server_not_there(lan: Lan, boot: Boot, url: str, words: str, short: str, seconds: float) -> None:
    lan.segment()
    lan.http()
    said = diagnosis(boot(url), seconds)
    assert said.startswith(url + "\n")
    assert re.search(re.escape(f"{CANNOT}{url}\n{CARD}{short}, ") + LINK + ADDRESS, said)
    assert words in said.partition(CANNOT)[0]


@pytest.mark.parametrize(
    ("kind", "words", "short", "seconds"),
    [
        ("status", "HTTP 5xx Server Error", "HTTP error 5xx", 12),
        ("empty", "Exec format error", "not bootable", 12),
        ("dies", "Input/output error", "transfer cut off", 12),
        ("mute", "Connection timed out", NO_ANSWER, 40),
        ("stalls", "Connection timed out", NO_ANSWER, 40),
    ],
)
@pytest.mark.thorough(
    "bios-mute",
    "bios-stalls",
    "uefi-x86_64-stalls",
    "uefi-x86_64-status",
    "uefi-x86_64-dies",
    "uefi-x86_64-mute",
    "uefi-x86_64-empty",
)
def test_server_is_faulty(lan: Lan, boot: Boot, kind: str, words: str, short: str, seconds: float) -> None:
    lan.segment()
    lan.faulty("#!ipxe\n" + "# a comment\n" * 5000, kind)
    said = diagnosis(boot("http://10.0.0.1:8080/boot"), seconds)
    assert words in said.partition(CANNOT)[0]
    assert re.search(f"{CARD}{short}, {LINK}", said)


@pytest.mark.thorough
def test_mute_server_and_an_unplugged_card(lan: Lan, boot: Boot) -> None:
    lan.segment()
    lan.segment(link_after=NEVER)
    lan.faulty("#!ipxe\n", "mute")
    booted = boot("http://10.0.0.1:8080/boot")
    screen = booted.wait_for_diagnosis(60)
    # 4 s for a link and 8 s for the server, then 12 s; then 26 s for the link, with all cards open.
    assert booted.diagnosed.after(booted.banner) <= 60
    assert "net1 52:54:00:00:00:02 82574l: no link" in screen


def test_web_page_instead_of_a_script(lan: Lan, boot: Boot, firmware: Firmware) -> None:
    """BIOS runs anything as a boot program, and hangs: the last line on the screen says so."""
    lan.segment()
    (lan.www / "boot").write_text("<!DOCTYPE html><html><body>Welcome</body></html>\n")
    lan.http()
    booted = boot(URL)
    if firmware is BIOS:
        booted.wait_for("boot : 49 bytes [PXE-NBP]", 20)
        booted.wait_for("starting it. A hang here means it is not bootable (a web page?)", 5)
    else:
        said = diagnosis(booted, 12)
        assert "Could not select: Exec format error" in said
        assert f"{CARD}not bootable, https://ipxe.org/" in said


def other_disk(work: Path) -> list[str]:
    """Return QEMU's arguments for a second bootable disk, which says so when it boots."""
    disk = work / "second.img"
    disk.write_bytes(image.fill(image.read_template(), b"#!ipxe\necho the second disk has booted\nsleep 600\n"))
    drive = f"if=none,id=second,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=second,bootindex=1"]


ENDS = {"plain exit": "exit", "exit 0": "exit 0", "exit 1": "exit 1", "no exit": "echo nothing more"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.thorough(
    "uefi-x86_64-plain exit", "uefi-x86_64-exit 0", "bios-exit 0", "bios-no exit", "bios-plain", "uefi-x86_64-no exit"
)
def test_script_that_ends_hands_over_to_the_next_boot_device(lan: Lan, boot: Boot, tmp_path: Path, end: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\necho here\n{end}\n")
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    booted.wait_for("the server's script has ended; trying the next boot device", 20)
    booted.wait_for("the second disk has booted", 60)
    assert len(lan.requests()) == 1


@pytest.mark.thorough("uefi")
def test_script_that_fails_is_diagnosed_and_then_the_mended_one_runs(lan: Lan, boot: Boot, tmp_path: Path) -> None:
    """Not at once: it is run again after 30 s, and what it has loaded is forgotten."""
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nimgfetch boot --name left-over\nchain missing\necho not reached\n")
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    said = diagnosis(booted, 12)
    assert "not reached" not in said
    assert "missing... Not found" in said
    failed = "the server's script FAILED: see the error above. It came from"
    assert f"{failed}\n{URL}\nvia net0 {lan.mac(0)} 10.0.0.135\n" in said
    asked = [request[0] for request in lan.requests()].count("/boot")
    (lan.www / "boot").write_text("#!ipxe\nimgstat\necho it is mended\nsleep 600\n")
    came = booted.wait_for("it is mended", 50, may_fail=True)
    assert came - booted.diagnosed > 30
    assert came.after(booted.diagnosed) < 40
    assert [request[0] for request in lan.requests()].count("/boot") == asked + 1
    assert "left-over" not in booted.console.rpartition("starting it")[2]


@pytest.mark.thorough("uefi")
def test_menu_that_returns(lan: Lan, boot: Boot, tmp_path: Path) -> None:
    lan.segment()
    menu = "#!ipxe\nmenu Choose\nitem one First\nchoose --timeout 1000 picked && echo picked ${picked}\nexit\n"
    (lan.www / "boot").write_text(menu)
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    booted.wait_for("picked one", 20)
    booted.wait_for("the second disk has booted", 60)


# What servers send waits for keys: a prompt, a menu. Then it fails, and a key opens iPXE's shell.
WAITS_FOR_KEYS = """\
#!ipxe
prompt --key y Press y: && echo yes it was || echo no
menu Choose
item first First
item second Second
choose picked && echo picked ${picked}
chain missing
"""


def type_at_what_waits(booted: Machine) -> None:
    """Answer WAITS_FOR_KEYS, then open the shell and type into it."""
    booted.wait_for("Press y:", 30)
    booted.press("y", shows="yes it was")
    booted.wait_for("Second", 10)
    booted.press("down", "ret", shows="picked second")
    booted.wait_for_diagnosis(10)
    booted.open_shell(lambda: booted.press("s"))
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")
    booted.press(*"exit", "ret", shows="boots-from: booting from")


@pytest.mark.parametrize("controller", ["qemu-xhci", "usb-ehci"])
@pytest.mark.thorough("uefi-x86_64-usb-ehci", "bios-usb-ehci")
def test_usb_keyboard_types(lan: Lan, boot: Boot, controller: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(WAITS_FOR_KEYS)
    lan.http()
    type_at_what_waits(boot(URL, *usb_keyboard(controller)))


@pytest.mark.thorough("uefi")
def test_network_card_on_usb_alone_and_its_keyboard_types(lan: Lan, boot: Boot) -> None:
    """The firmware has no driver for this card, and iPXE leaves USB to the firmware."""
    card = ("-netdev", "user,id=usb-lan", "-device", "usb-net,netdev=usb-lan,bus=usb.0")
    booted = boot(URL, *usb_keyboard("qemu-xhci"), *card)
    said = diagnosis(booted, 3)
    assert "NO NETWORK CARD FOUND" in said
    assert "iPXE may have no driver for it: it has none for USB adapters." in said
    booted.open_shell(lambda: booted.press("s"))
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
def test_the_shell_reads_the_stick_that_it_came_from(tmp_path: Path, firmware: Firmware) -> None:
    """The firmware has kept its USB bus."""
    stick = tmp_path / "stick.img"
    stick.write_bytes(boots_from.bake(URL))
    with Machine(firmware, XHCI_STICK.arguments(stick), tmp_path, "shell-reads-stick", ()) as booted:
        booted.wait_for_diagnosis(firmware.seconds)
        booted.open_shell(lambda: booted.enter_text("s"))
        booted.enter_text("imgfetch --name read file:/EFI/BOOT/autoexec.ipxe && imgstat\r")
        booted.wait_for("read : 14336 bytes [script]", 10, may_fail=True)
