"""Whoever stands before a machine that doesn't boot reads why, on one screen, soon; nothing loops or hangs."""

import secrets
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from tests.boot.conftest import Boot
from tests.boot.lan import Lan
from tests.boot.machine import BIOS, HEIGHT, UEFI, XHCI_STICK, Firmware, Machine, usb_keyboard

URL = "http://bty-server/boot"
ENDED = "boots-from: the server's script has ended: on to the next boot device"
CANNOT = "boots-from: could NOT boot this machine from\n"
SHELL = """iPXE's shell: "exit" tries again, "reboot" restarts, "help" lists its commands."""
CARD = "net0 52:54:00:00:00:01 virtio-net: "
ADDRESS = "\n..... 10.0.0.135 gateway 10.0.0.1 DNS 10.0.0.1\n"


def diagnosis(booted: Machine, seconds: float) -> str:
    """Wait for the shell; return what stands on the screen from the last try on, which is whole."""
    screen = booted.shows_shell(seconds + 30)
    came = booted.shell_at - booted.banner
    print(f"{came:.1f} s from the banner to the shell\n{screen}")
    assert came <= seconds
    assert len(booted.screen()) <= HEIGHT
    assert SHELL in screen
    _, begins, rest = screen.rpartition("boots-from: booting from\n")
    assert begins, "the try doesn't fit the screen"
    return rest


def test_no_card(lan: Lan, boot: Boot) -> None:
    assert "NO NETWORK CARD FOUND" in diagnosis(boot(URL), 3)


def test_no_link(lan: Lan, boot: Boot) -> None:
    lan.segment(card="e1000e", plugged=False)
    said = diagnosis(boot(URL), 18)
    assert "net0 52:54:00:00:00:01 82574l: no link: look at cable and switch port\n" in said


def test_no_dhcp(lan: Lan, boot: Boot) -> None:
    lan.segment(dhcp=False)
    assert f"{CARD}no answer to DHCP: look at VLAN and server\n" in diagnosis(boot(URL), 55)


def test_dhcp_without_dns(lan: Lan, boot: Boot) -> None:
    lan.segment(dns=False)
    said = diagnosis(boot(URL), 12)
    assert "http://bty-server/boot... Error 0x3e11" in said
    assert f"{CARD}has an address, but the URL failed\n..... 10.0.0.135 gateway 10.0.0.1 DNS none\n" in said


def test_three_cards_each_with_its_own_trouble_on_one_screen(lan: Lan, boot: Boot) -> None:
    lan.segment()
    lan.segment(dhcp=False)
    lan.segment(card="e1000e", plugged=False)
    screen = boot(URL).shows_shell(90)
    for words in (
        CANNOT + URL + "\n",
        f"{CARD}has an address, but the URL failed{ADDRESS}",
        "net1 52:54:00:00:00:02 virtio-net: no answer to DHCP: look at VLAN and server\n",
        "net2 52:54:00:00:00:03 82574l: no link: look at cable and switch port\n",
        "http://bty-server/boot... Connection reset",
        SHELL,
    ):
        assert words in screen


@pytest.mark.parametrize(
    ("url", "words", "seconds"),
    [
        ("http://nosuchname/boot", "Error 0x3e11", 12),
        ("http://10.0.0.1:81/boot", "Connection reset", 12),
        ("http://10.0.0.77/boot", "Connection timed out", 40),
        ("http://10.0.0.1/missing", "Not found", 12),
    ],
    ids=["unknown host", "refused", "silent host", "404"],
)
def test_server_not_there(lan: Lan, boot: Boot, url: str, words: str, seconds: float) -> None:
    lan.segment()
    lan.http()
    said = diagnosis(boot(url), seconds)
    assert f"{CANNOT}{url}\n{CARD}has an address, but the URL failed{ADDRESS}" in said
    assert words in said.partition(CANNOT)[0]
    assert words in said.partition(CANNOT)[2] or words == "Not found"


@pytest.mark.parametrize(
    ("kind", "words", "seconds"),
    [
        ("status", "HTTP 5xx Server Error", 12),
        ("empty", "Exec format error", 12),
        ("dies", "Input/output error", 12),
        ("mute", "Connection timed out", 40),
        ("stalls", "Connection timed out", 40),
    ],
)
def test_server_is_faulty(lan: Lan, boot: Boot, kind: str, words: str, seconds: float) -> None:
    lan.segment()
    lan.faulty("#!ipxe\n" + "# a comment\n" * 5000, kind)
    said = diagnosis(boot("http://10.0.0.1:8080/boot"), seconds)
    assert words in said.partition(CANNOT)[0]


def test_mute_server_and_an_unplugged_card(lan: Lan, boot: Boot) -> None:
    lan.segment()
    lan.segment(card="e1000e", plugged=False)
    lan.faulty("#!ipxe\n", "mute")
    booted = boot("http://10.0.0.1:8080/boot")
    screen = booted.shows_shell(60)
    assert booted.shell_at - booted.banner <= 40
    assert "net1 52:54:00:00:00:02 82574l: no link" in screen


def test_web_page_instead_of_a_script(lan: Lan, boot: Boot, firmware: Firmware) -> None:
    """BIOS runs anything as a boot program, and hangs: the last line on the screen says so."""
    lan.segment()
    (lan.www / "boot").write_text("<!DOCTYPE html><html><body>Welcome</body></html>\n")
    lan.http()
    booted = boot(URL)
    if firmware is BIOS:
        booted.wait_for("boot : 49 bytes [PXE-NBP]", 20)
        booted.wait_for("running it. If nothing follows, it is no boot program: a web page?", 5)
    else:
        said = diagnosis(booted, 12)
        assert "Could not select: Exec format error" in said
        assert "Exec format error: no boot program." in said


def other_disk(work: Path) -> list[str]:
    """Return QEMU's arguments for a second bootable disk, which says so when it boots."""
    disk = work / "second.img"
    disk.write_bytes(image.fill(image.read_template(), b"#!ipxe\necho the second disk has booted\nsleep 600\n"))
    drive = f"if=none,id=second,format=raw,file={disk},snapshot=on"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=second,bootindex=1"]


@pytest.mark.parametrize("end", ["exit", "exit 0", "echo nothing more"])
def test_script_that_ends_hands_over_to_the_next_boot_device(lan: Lan, boot: Boot, tmp_path: Path, end: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\necho here\n{end}\n")
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    booted.wait_for("the server's script has ended: on to the next boot device", 20)
    booted.wait_for("the second disk has booted", 60)
    assert len(lan.requests()) == 1


@pytest.mark.parametrize("end", ["exit 1", "chain missing"], ids=["exit 1", "error in line 3"])
def test_script_that_fails_is_diagnosed_and_not_run_again(lan: Lan, boot: Boot, tmp_path: Path, end: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\necho here\n{end}\necho not reached\n")
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    said = diagnosis(booted, 12)
    assert "not reached" not in said
    assert (
        f"what the server sent FAILED, for the reason above. It came from\n{URL}\nby net0 {lan.mac(0)} 10.0.0.135\n"
        in said
    )
    assert [request[0] for request in lan.requests()].count("/boot") == 1
    if end == "chain missing":
        assert "missing... Not found" in said


def test_menu_that_returns(lan: Lan, boot: Boot, tmp_path: Path) -> None:
    lan.segment()
    menu = "#!ipxe\nmenu Choose\nitem one First\nchoose --timeout 1000 picked && echo picked ${picked}\nexit\n"
    (lan.www / "boot").write_text(menu)
    lan.http()
    booted = boot(URL, *other_disk(tmp_path))
    booted.wait_for("picked one", 20)
    booted.wait_for("the second disk has booted", 60)


def test_exit_in_the_shell_tries_again_and_then_succeeds(lan: Lan, boot: Boot) -> None:
    lan.segment()
    booted = boot(URL)
    diagnosis(booted, 12)
    nonce = secrets.token_hex(8)
    (lan.www / "boot").write_text(f"#!ipxe\necho {nonce}\nsleep 600\n")
    lan.http()
    booted.enter_text("exit\r")
    booted.wait_for(nonce, 20, may_fail=True)


# What servers send waits for keys: a prompt, a menu. Then it fails, and iPXE's shell comes.
WAITS_FOR_KEYS = """\
#!ipxe
prompt --key y Press y: && echo yes it was || echo no
menu Choose
item first First
item second Second
choose picked && echo picked ${picked}
exit 1
"""


def type_at_what_waits(booted: Machine) -> None:
    """Answer WAITS_FOR_KEYS, then type into the shell."""
    booted.wait_for("Press y:", 30)
    booted.press("y", shows="yes it was")
    booted.wait_for("Second", 10)
    booted.press("down", "ret", shows="picked second")
    booted.shows_shell(10)
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")
    booted.press(*"exit", "ret", shows="boots-from: booting from")


@pytest.mark.parametrize("controller", ["qemu-xhci", "usb-ehci"])
def test_usb_keyboard_types(lan: Lan, boot: Boot, controller: str) -> None:
    lan.segment()
    (lan.www / "boot").write_text(WAITS_FOR_KEYS)
    lan.http()
    type_at_what_waits(boot(URL, *usb_keyboard(controller)))


def test_network_card_on_usb_alone_and_its_keyboard_types(lan: Lan, boot: Boot) -> None:
    """The firmware has no driver for this card, and iPXE leaves USB to the firmware."""
    card = ("-netdev", "user,id=usb-lan", "-device", "usb-net,netdev=usb-lan,bus=usb.0")
    booted = boot(URL, *usb_keyboard("qemu-xhci"), *card)
    said = diagnosis(booted, 3)
    assert "NO NETWORK CARD FOUND" in said
    assert "has no driver for it, as for those on USB." in said
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")


@pytest.mark.parametrize("firmware", [UEFI], ids=["uefi-x86_64"], indirect=True)
def test_the_shell_reads_the_stick_that_it_came_from(tmp_path: Path, firmware: Firmware) -> None:
    """The firmware has kept its USB bus."""
    stick = tmp_path / "stick.img"
    stick.write_bytes(boots_from.bake(URL))
    with Machine(firmware, XHCI_STICK.arguments(stick), tmp_path, "shell-reads-stick", ()) as booted:
        booted.wait_for("iPXE> ", firmware.seconds, may_fail=True)
        booted.enter_text("imgfetch --name read file:/EFI/BOOT/autoexec.ipxe && imgstat\r")
        booted.wait_for("read : 8192 bytes [script]", 10, may_fail=True)
