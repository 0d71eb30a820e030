"""A machine that can't boot tries again by itself, and boots once what it lacks is there; a key opens the shell."""

import secrets
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
from tests.boot.conftest import Boot

URL = "http://bty-server/boot"

# What a machine's LAN is like when it boots; what mends it; the seconds to the first diagnosis.
Mend = Callable[[Lan, Machine], object]


def no_server(lan: Lan) -> Mend:
    lan.segment()
    return lambda lan, booted: lan.http()


def no_link(lan: Lan) -> Mend:
    lan.segment(link_after=NEVER)
    lan.http()
    return lambda lan, booted: booted.monitor("set_link", name="card0", up=True)


def no_dhcp(lan: Lan) -> Mend:
    lan.segment(dhcp=False)
    lan.http()
    return lambda lan, booted: lan.dhcp(0)


def no_name(lan: Lan) -> Mend:
    hosts = lan.work / "hosts"
    hosts.mkdir()
    lan.segment(options=(f"--hostsdir={hosts}",))
    lan.http()
    return lambda lan, booted: (hosts / "new").write_text("10.0.0.1 new-server\n")


def bad_script(lan: Lan) -> Mend:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\nchain missing\n")
    lan.http()
    return lambda lan, booted: None


FAULTS = {
    "no server": (no_server, 12),
    "no link": (no_link, 33),
    "no DHCP": (no_dhcp, 62),
    "no name": (no_name, 12),
    "bad script": (bad_script, 12),
}


def serve(lan: Lan) -> str:
    """Serve a script that shows a nonce; return the nonce."""
    nonce = secrets.token_hex(8)
    (lan.www / "boot").write_text(f"#!ipxe\necho {nonce} ${{ip}}\nsleep 600\n")
    return nonce


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.thorough
def test_boots_without_a_key_once_it_is_mended(lan: Lan, boot: Boot, fault: str) -> None:
    begin, seconds = FAULTS[fault]
    mend = begin(lan)
    booted = boot("http://new-server/boot" if fault == "no name" else URL)
    for number in (1, 2):  # the second try has to fail as the first did
        since = len(booted.console)
        assert f"Try {number}. {AGAIN}" in booted.wait_for_diagnosis(seconds + 60, since)
    nonce = serve(lan)
    mend(lan, booted)
    came = booted.wait_for(nonce, seconds + 40, may_fail=True)
    print(f"{came - booted.diagnosed:.1f} s from the second diagnosis to the server's script")
    assert came - booted.diagnosed > 28


@pytest.mark.thorough
@pytest.mark.timeout(480)
def test_server_starts_three_minutes_after_the_machine(lan: Lan, boot: Boot) -> None:
    lan.segment()
    booted = boot(URL)
    time.sleep(180)
    nonce = serve(lan)
    lan.http()
    began = time.monotonic()
    booted.wait_for(nonce, 60, may_fail=True)
    print(f"{time.monotonic() - began:.1f} s after its server, at try {booted.console.count(AGAIN) + 1}")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.thorough(
    "bios", "uefi-x86_64-no link", "uefi-x86_64-no DHCP", "uefi-x86_64-no name", "uefi-x86_64-bad script"
)
def test_a_key_opens_the_shell(lan: Lan, boot: Boot, fault: str) -> None:
    """One of a USB keyboard, and one on the serial console; exit tries again at once, without a reset."""
    begin, seconds = FAULTS[fault]
    mend = begin(lan)
    booted = boot("http://new-server/boot" if fault == "no name" else URL, *usb_keyboard("qemu-xhci"))
    booted.wait_for_diagnosis(seconds + 30)
    booted.open_shell(lambda: booted.press("s"))
    booted.press(*"echo", "spc", *"typed", "ret", shows="\ntyped\r")
    since = len(booted.console)
    booted.press(*"exit", "ret", shows="boots-from: booting from")
    booted.wait_for_diagnosis(seconds + 30, since)
    booted.open_shell(lambda: booted.enter_text("s"))
    nonce = serve(lan)
    mend(lan, booted)
    booted.enter_text("exit\r")
    booted.wait_for(nonce, seconds, may_fail=True)
    assert booted.console.count(BANNER) == 1


@pytest.mark.thorough
def test_power_comes_back_for_five_machines_and_later_for_their_server(lan: Lan) -> None:
    """All on one switch, with one server for DHCP, DNS and HTTP."""
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
        nonce = serve(lan)
        lan.run("ip", "link", "set", "switch", "up")
        lan.dhcp(0, "switch")
        lan.http()
        for booted in machines:
            booted.wait_for(nonce, 150, may_fail=True)
    assert len({request[3] for request in lan.requests()}) == 5
    assert len(lan.requests()) == 5


# A serial-over-LAN client that connects, a terminal that is resized or asked what it is, line noise.
STRAY = (
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


def type_strays(booted: Machine) -> None:
    for stray in STRAY:
        booted.enter_text(stray)
        time.sleep(0.05)


@pytest.mark.thorough("uefi")
def test_stray_bytes_at_the_prompt_open_no_shell(lan: Lan, boot: Boot) -> None:
    lan.segment()
    booted = boot(URL)
    booted.wait_for_diagnosis(30)
    since = len(booted.console)
    type_strays(booted)
    booted.wait_for("boots-from: booting from", 40, may_fail=True, since=since)
    booted.wait_for(f"Try 2. {AGAIN}", 30, may_fail=True, since=since)
    assert "iPXE>" not in booted.console
    booted.open_shell(lambda: booted.enter_text("s"))


@pytest.mark.thorough
def test_stray_bytes_while_the_machine_waits_open_no_shell(lan: Lan, boot: Boot) -> None:
    """For a link, for DHCP and for the switch, and then at the prompt."""
    lan.segment(dhcp=False)
    lan.segment(link_after=NEVER)
    booted = boot(URL)
    for number in (1, 2):
        while f"Try {number}. Retrying in" not in booted.console:
            assert booted.now().after(booted.banner) < 200
            type_strays(booted)
        since = len(booted.console)
        booted.wait_for("boots-from: booting from", 40, may_fail=True, since=since)
    assert "iPXE>" not in booted.console
    assert booted.console.count(BANNER) == 1
