"""A machine that can't boot retries by itself and boots once the fault is fixed; a key opens the iPXE shell."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

import boots_from
from lab.firmware import BIOS
from lab.lan import Lan
from lab.link import NEVER
from lab.machine import AGAIN, BANNER, Machine, usb_keyboard
from lab.media import AHCI_CD
from tests.boot.conftest import BootFrom

URL = "http://bty-server/boot"

# Each of these functions sets up a LAN with a fault and returns a function that fixes the fault.
Fix = Callable[[Lan, Machine], object]


def no_server(lan: Lan) -> Fix:
    lan.segment()
    return lambda lan, booted: lan.http()


def no_link(lan: Lan) -> Fix:
    lan.segment(link_after=NEVER)
    lan.http()
    return lambda lan, booted: booted.monitor("set_link", name="card0", up=True)


def no_dhcp(lan: Lan) -> Fix:
    lan.segment(dhcp=False)
    lan.http()
    return lambda lan, booted: lan.dhcp(0)


def no_name(lan: Lan) -> Fix:
    hosts = lan.work / "hosts"
    hosts.mkdir()
    lan.segment(options=(f"--hostsdir={hosts}",))
    lan.http()
    return lambda lan, booted: (hosts / "new").write_text("10.0.0.1 new-server\n")


def bad_script(lan: Lan) -> Fix:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nchain missing\n")
    lan.http()
    return lambda lan, booted: None


# The faults, and the limit in seconds from the banner to the first diagnosis.
FAULTS = {
    "no server": (no_server, 12),
    "no link": (no_link, 33),
    "no DHCP": (no_dhcp, 62),
    "no name": (no_name, 12),
    "bad script": (bad_script, 12),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.thorough
def test_boots_without_key_press_once_fault_is_fixed(lan: Lan, boot_from: BootFrom, fault: str) -> None:
    set_up, seconds = FAULTS[fault]
    fix = set_up(lan)
    booted = boot_from("http://new-server/boot" if fault == "no name" else URL)
    for number in (1, 2):  # the second try must fail like the first
        since = len(booted.console)
        assert f"Try {number}. {AGAIN}" in booted.wait_for_diagnosis(seconds + 60, since)
    nonce = lan.write_script("${ip}")
    fix(lan, booted)
    retried = booted.wait_for(nonce, seconds + 40, may_fail=True)
    print(f"{retried - booted.diagnosed:.1f} s from the second diagnosis to the server's script")
    assert retried - booted.diagnosed > 28


@pytest.mark.thorough
@pytest.mark.timeout(480)
def test_server_started_three_minutes_later_boots_machine(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    booted = boot_from(URL)
    time.sleep(180)
    nonce = lan.write_script("${ip}")
    lan.http()
    began = time.monotonic()
    booted.wait_for(nonce, 60, may_fail=True)
    print(f"{time.monotonic() - began:.1f} s after its server, at try {booted.console.count(AGAIN) + 1}")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.thorough(
    "bios", "uefi-x86_64-no link", "uefi-x86_64-no DHCP", "uefi-x86_64-no name", "uefi-x86_64-bad script"
)
def test_key_opens_shell_and_exit_retries(lan: Lan, boot_from: BootFrom, fault: str) -> None:
    """A key of a USB keyboard, then one on the serial console. The exit command retries at once, without a reset."""
    set_up, seconds = FAULTS[fault]
    fix = set_up(lan)
    booted = boot_from("http://new-server/boot" if fault == "no name" else URL, *usb_keyboard("qemu-xhci"))
    booted.wait_for_diagnosis(seconds + 30)
    booted.open_shell(lambda: booted.press("s"))
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")
    since = len(booted.console)
    booted.press(*"exit", "ret", shows="boots-from: booting from")
    booted.wait_for_diagnosis(seconds + 30, since)
    booted.open_shell(lambda: booted.enter_text("s"))
    nonce = lan.write_script("${ip}")
    fix(lan, booted)
    booted.enter_text("exit\r")
    booted.wait_for(nonce, seconds, may_fail=True)
    assert booted.console.count(BANNER) == 1


@pytest.mark.thorough
def test_five_machines_boot_when_server_returns_after_power_cut(lan: Lan) -> None:
    """All are on one switch; the server, for DHCP, DNS and HTTP, comes up after them."""
    for _ in range(5):
        lan.segment(dhcp=False, ipv4=False)
    lan.run("ip", "link", "add", "switch", "type", "bridge")
    for number in range(5):
        lan.run("ip", "link", "set", f"tap{number}", "master", "switch")
    lan.run("ip", "address", "add", "10.0.0.1/24", "dev", "switch")
    image = lan.work / "boots-from.iso"
    image.write_bytes(boots_from.bake(URL))
    with ExitStack() as running:
        machines = []
        for number in range(5):
            card = lan.cards[4 * number : 4 * number + 4]
            media = AHCI_CD.arguments(image)
            booted = Machine(BIOS, media, lan.work, f"power-cut-{number}", card, enter=lan.enter)
            machines.append(running.enter_context(booted))
        for booted in machines:
            booted.wait_for_diagnosis(150)
        nonce = lan.write_script("${ip}")
        lan.run("ip", "link", "set", "switch", "up")
        lan.dhcp(0, "switch")
        lan.http()
        for booted in machines:
            booted.wait_for(nonce, 150, may_fail=True)
    assert len({request[3] for request in lan.requests()}) == 5
    assert len(lan.requests()) == 5


# Bytes that nobody typed: a serial-over-LAN client connects, a terminal is resized or queried, or there is line noise.
STRAY_INPUT = (
    "\r",
    "\n",
    "\r\n",
    "\x1b",
    "\x1b[A",
    "\x1b[8;25;80t",
    "\x1b[?1;2c",
    "\x00",
    "\x00\x00\x00",
    "\x7f",
    " ",
    "x",
    "S",
)


def send_stray_input(booted: Machine) -> None:
    for text in STRAY_INPUT:
        booted.enter_text(text)
        time.sleep(0.05)


@pytest.mark.thorough("uefi")
def test_stray_input_at_prompt_opens_no_shell(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    booted = boot_from(URL)
    booted.wait_for_diagnosis(30)
    since = len(booted.console)
    send_stray_input(booted)
    booted.wait_for("boots-from: booting from", 40, may_fail=True, since=since)
    booted.wait_for(f"Try 2. {AGAIN}", 30, may_fail=True, since=since)
    assert "iPXE>" not in booted.console
    booted.open_shell(lambda: booted.enter_text("s"))


@pytest.mark.thorough
def test_stray_input_while_waiting_opens_no_shell(lan: Lan, boot_from: BootFrom) -> None:
    """The machine waits for a link, for DHCP and for spanning tree, and then at the prompt."""
    lan.segment(dhcp=False)
    lan.segment(link_after=NEVER)
    booted = boot_from(URL)
    for number in (1, 2):
        while f"Try {number}. Retrying in" not in booted.console:
            assert booted.now().after(booted.banner) < 200
            send_stray_input(booted)
        since = len(booted.console)
        booted.wait_for("boots-from: booting from", 40, may_fail=True, since=since)
    assert "iPXE>" not in booted.console
    assert booted.console.count(BANNER) == 1
