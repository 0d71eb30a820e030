"""A machine that can't boot shows the reason on one screen within a time limit, and never hangs."""

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
from tests.boot.conftest import BootFrom

URL = "http://bty-server/boot"
ENDED = "boots-from: the server's script has ended; trying the next boot device"
CANNOT = "boots-from: could NOT boot this machine from\n"
NO_ANSWER = "no usable answer: silence, 503 or endless redirects"
CARD = "net0 52:54:00:00:00:01 virtio-net: "
LINK = r"https://ipxe\.org/[0-9a-f]{8}\n"
ADDRESS = "..... 10.0.0.135 gateway 10.0.0.1 DNS 10.0.0.1\n"


def diagnosis(booted: Machine, seconds: float) -> str:
    """Wait for the first diagnosis; return the screen from the start of the try.

    Asserts that it came within `seconds` of the banner, and that the whole try fits the screen.
    """
    screen = booted.wait_for_diagnosis(seconds + 30)
    elapsed = booted.diagnosed.after(booted.banner)
    print(f"{elapsed:.1f} s from the banner to the diagnosis\n{screen}")
    assert elapsed <= seconds
    assert len(booted.screen()) <= HEIGHT
    assert f"Try 1. {AGAIN}\n" in screen
    _, begins, rest = screen.rpartition("boots-from: booting from\n")
    assert begins, "the try doesn't fit the screen"
    return rest


@pytest.mark.thorough("uefi")
def test_missing_card_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    assert "NO NETWORK CARD FOUND" in diagnosis(boot_from(URL), 3)


@pytest.mark.thorough("uefi")
def test_unplugged_card_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(link_after=NEVER)
    booted = boot_from(URL)
    assert "net0 52:54:00:00:00:01 82574l: no link: check cable and switch port\n" in diagnosis(booted, 33)
    assert booted.links
    assert max(booted.links.opened["card0"]) >= 25


@pytest.mark.thorough
def test_missing_dhcp_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(dhcp=False)
    assert f"{CARD}no DHCP answer: check VLAN and server\n" in diagnosis(boot_from(URL), 62)


@pytest.mark.thorough("uefi")
def test_dhcp_without_dns_is_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(dns=False)
    screen = diagnosis(boot_from(URL), 12)
    assert "http://bty-server/boot... Error 0x3e11" in screen
    assert re.search(f"{CARD}no DNS server, {LINK}..... 10.0.0.135 gateway 10.0.0.1 DNS none\n", screen)


@pytest.mark.thorough
def test_three_failing_cards_fit_one_screen(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    lan.segment(dhcp=False)
    lan.segment(link_after=NEVER)
    screen = boot_from(URL).wait_for_diagnosis(90)
    assert re.search(f"{CANNOT}{URL}\n{CARD}port is closed, {LINK}{ADDRESS}", screen)
    for text in (
        "net1 52:54:00:00:00:02 virtio-net: no DHCP answer: check VLAN and server\n",
        "net2 52:54:00:00:00:03 82574l: no link: check cable and switch port\n",
        "http://bty-server/boot... Connection reset",
        f"Try 1. {AGAIN}\n",
    ):
        assert text in screen


@pytest.mark.parametrize(
    ("url", "ipxe_error", "reason", "seconds"),
    [
        ("http://nosuchname/boot", "Error 0x3e11", "name not in DNS", 12),
        ("http://10.0.0.1:81/boot", "Connection reset", "port is closed", 12),
        ("http://10.0.0.77/boot", "Connection timed out", NO_ANSWER, 40),
        # At the end of a script line iPXE takes a backslash for a continuation.
        ("http://10.0.0.1/missing\\", "Not found", "not found (404)", 12),
        ("tftp://10.0.0.1/missing", "Not found", "not found", 12),
    ],
    ids=["unknown host", "refused", "silent host", "404", "tftp"],
)
@pytest.mark.thorough("uefi", "bios-silent host")
def test_unreachable_url_is_reported(
    lan: Lan, boot_from: BootFrom, url: str, ipxe_error: str, reason: str, seconds: float
) -> None:
    lan.segment()
    lan.http()
    screen = diagnosis(boot_from(url), seconds)
    assert screen.startswith(url + "\n")
    assert re.search(re.escape(f"{CANNOT}{url}\n{CARD}{reason}, ") + LINK + ADDRESS, screen)
    assert ipxe_error in screen.partition(CANNOT)[0]


@pytest.mark.parametrize(
    ("fault", "ipxe_error", "reason", "seconds"),
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
def test_faulty_server_is_reported(
    lan: Lan, boot_from: BootFrom, fault: str, ipxe_error: str, reason: str, seconds: float
) -> None:
    lan.segment()
    lan.faulty("#!ipxe\n" + "# a comment\n" * 5000, fault)
    screen = diagnosis(boot_from("http://10.0.0.1:8080/boot"), seconds)
    assert ipxe_error in screen.partition(CANNOT)[0]
    assert re.search(f"{CARD}{reason}, {LINK}", screen)


@pytest.mark.thorough
def test_mute_server_and_unplugged_card_are_reported(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    lan.segment(link_after=NEVER)
    lan.faulty("#!ipxe\n", "mute")
    booted = boot_from("http://10.0.0.1:8080/boot")
    screen = booted.wait_for_diagnosis(60)
    # Quick round: 4 s for a link, 8 s for the server. Slow round: 12 s. Patient round: 26 s with all cards open.
    assert booted.diagnosed.after(booted.banner) <= 60
    assert "net1 52:54:00:00:00:02 82574l: no link" in screen


def test_web_page_instead_of_script_is_reported(lan: Lan, boot_from: BootFrom, firmware: Firmware) -> None:
    """iPXE on BIOS starts any file as a boot program and hangs; the last line on the screen explains it."""
    lan.segment()
    (lan.www / "boot").write_text("<!DOCTYPE html><html><body>Welcome</body></html>\n")
    lan.http()
    booted = boot_from(URL)
    if firmware is BIOS:
        booted.wait_for("boot : 49 bytes [PXE-NBP]", 20)
        booted.wait_for("starting it. A hang here means it is not bootable (a web page?)", 5)
    else:
        screen = diagnosis(booted, 12)
        assert "Could not select: Exec format error" in screen
        assert f"{CARD}not bootable, https://ipxe.org/" in screen


def ipxe_disk(work: Path) -> list[str]:
    """Return QEMU arguments for a virtio disk after the image in the boot order; its iPXE prints that it booted.

    Unlike `installed_disk` in test_local_disk.py it never has GRUB, and its message is "the second disk has booted".
    """
    disk = work / "second.img"
    disk.write_bytes(image.fill(image.read_template(), b"#!ipxe\necho the second disk has booted\nsleep 600\n"))
    drive = f"if=none,id=second,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=second,bootindex=1"]


ENDS = {"plain exit": "exit", "exit 0": "exit 0", "exit 1": "exit 1", "no exit": "echo nothing more"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.thorough(
    "uefi-x86_64-plain exit", "uefi-x86_64-exit 0", "bios-exit 0", "bios-no exit", "bios-plain", "uefi-x86_64-no exit"
)
def test_script_end_boots_next_device(lan: Lan, boot_from: BootFrom, tmp_path: Path, end: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\necho here\n{end}\n")
    lan.http()
    booted = boot_from(URL, *ipxe_disk(tmp_path))
    booted.wait_for("the server's script has ended; trying the next boot device", 20)
    booted.wait_for("the second disk has booted", 60)
    assert len(lan.requests()) == 1


@pytest.mark.thorough("uefi")
def test_failed_script_is_reported_then_fixed_script_runs(lan: Lan, boot_from: BootFrom, tmp_path: Path) -> None:
    """The machine asks again after 30 s, and discards the files that the failed script has loaded."""
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nimgfetch boot --name left-over\nchain missing\necho not reached\n")
    lan.http()
    booted = boot_from(URL, *ipxe_disk(tmp_path))
    screen = diagnosis(booted, 12)
    assert "not reached" not in screen
    assert "missing... Not found" in screen
    failed = "the server's script FAILED: see the error above. It came from"
    assert f"{failed}\n{URL}\nvia net0 {lan.mac(0)} 10.0.0.135\n" in screen
    requests = [request[0] for request in lan.requests()].count("/boot")
    (lan.www / "boot").write_text("#!ipxe\nimgstat\necho it is fixed\nsleep 600\n")
    retried = booted.wait_for("it is fixed", 50, may_fail=True)
    assert retried - booted.diagnosed > 30
    assert retried.after(booted.diagnosed) < 40
    assert [request[0] for request in lan.requests()].count("/boot") == requests + 1
    assert "left-over" not in booted.console.rpartition("starting it")[2]


@pytest.mark.thorough("uefi")
def test_menu_end_boots_next_device(lan: Lan, boot_from: BootFrom, tmp_path: Path) -> None:
    lan.segment()
    menu = "#!ipxe\nmenu Choose\nitem one First\nchoose --timeout 1000 picked && echo picked ${picked}\nexit\n"
    (lan.www / "boot").write_text(menu)
    lan.http()
    booted = boot_from(URL, *ipxe_disk(tmp_path))
    booted.wait_for("picked one", 20)
    booted.wait_for("the second disk has booted", 60)


# A script that waits for keys in a prompt and in a menu. Then it fails, so that a key opens the iPXE shell.
PROMPT_AND_MENU = """\
#!ipxe
prompt --key y Press y: && echo yes it was || echo no
menu Choose
item first First
item second Second
choose picked && echo picked ${picked}
chain missing
"""


def type_at_prompt_menu_and_shell(booted: Machine) -> None:
    """Answer PROMPT_AND_MENU, then open the iPXE shell and type a command."""
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
def test_usb_keyboard_types_at_prompt_menu_and_shell(lan: Lan, boot_from: BootFrom, controller: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(PROMPT_AND_MENU)
    lan.http()
    type_at_prompt_menu_and_shell(boot_from(URL, *usb_keyboard(controller)))


@pytest.mark.thorough("uefi")
def test_only_usb_card_is_reported_and_keyboard_types(lan: Lan, boot_from: BootFrom) -> None:
    """The firmware has no driver for this USB network card, and iPXE leaves USB to the firmware."""
    card = ("-netdev", "user,id=usb-lan", "-device", "usb-net,netdev=usb-lan,bus=usb.0")
    booted = boot_from(URL, *usb_keyboard("qemu-xhci"), *card)
    screen = diagnosis(booted, 3)
    assert "NO NETWORK CARD FOUND" in screen
    assert "iPXE may have no driver for it: it has none for USB adapters." in screen
    booted.open_shell(lambda: booted.press("s"))
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
def test_shell_reads_stick_that_machine_booted_from(tmp_path: Path, firmware: Firmware) -> None:
    """iPXE leaves the USB bus to the firmware, so the stick stays readable."""
    stick = tmp_path / "stick.img"
    stick.write_bytes(boots_from.bake(URL))
    with Machine(firmware, XHCI_STICK.arguments(stick), tmp_path, "shell-reads-stick", ()) as booted:
        booted.wait_for_diagnosis(firmware.seconds)
        booted.open_shell(lambda: booted.enter_text("s"))
        booted.enter_text("imgfetch --name read file:/EFI/BOOT/autoexec.ipxe && imgstat\r")
        booted.wait_for("read : 14336 bytes [script]", 10, may_fail=True)
