"""The card that reaches the server is found, soon, whatever hangs on the others."""

import re
import secrets
from collections.abc import Callable

import pytest

from lab.firmware import BIOS, UEFI
from lab.lan import Lan
from lab.link import NEVER
from lab.machine import ipxe
from tests.boot.conftest import Boot

URL = "http://bty-server/boot?mac=${mac}"


def serve(lan: Lan) -> str:
    """Serve a script that shows a nonce and what it sees of the machine; return the nonce."""
    nonce = secrets.token_hex(8)
    shown = "mac=${mac} netX=${netX/mac} ip=${ip} ip6=${ip6} cwuri=${cwuri}"
    (lan.www / "boot").write_text(f"#!ipxe\necho {nonce} {shown} end\nsleep 600\n")
    lan.http()
    return nonce


def seen(boot: Boot, url: str, nonce: str, seconds: float) -> dict[str, str]:
    """Boot, wait for the server's script, and return what it saw; assert that it came in time after the banner.

    The limit is the script's, in seconds that the machine has had.
    """
    booted = boot(url)
    came = booted.wait_for(nonce, seconds + 20).after(booted.banner)
    print(f"{came:.1f} s from the banner to the server's script")
    booted.wait_for(" end", 5)
    assert came <= seconds
    line = booted.console.partition(nonce)[2].partition(" end")[0].replace("\r", "").replace("\n", "")
    return dict(word.partition("=")[::2] for word in line.split())


Segment = Callable[[Lan], object]


def silent(lan: Lan) -> None:
    lan.segment(dhcp=False)


def unplugged(lan: Lan) -> None:
    lan.segment(link_after=NEVER)


def no_way_to_the_server(lan: Lan) -> None:
    lan.segment(router="10.0.0.254", options=("--address=/bty-server/10.99.0.1",))


def good(lan: Lan) -> None:
    lan.segment()


def slow(seconds: float) -> Segment:
    """A good LAN behind a link that takes so long, each time the card is opened."""
    return lambda lan: lan.segment(link_after=seconds)


def spanning_tree(lan: Lan) -> None:
    lan.segment(spanning_tree=True)


def spanning_tree_but_no_way_to_the_server(lan: Lan) -> None:
    lan.segment(spanning_tree=True, router="10.0.0.254", options=("--address=/bty-server/10.99.0.1",))


# What the machine's cards are plugged into; the seconds from the banner to the server's script.
LANS = {
    "one card": ([good], 3.6),
    "two silent cards first": ([silent, silent, good], 14),
    "two unplugged cards first": ([unplugged, unplugged, good], 12),
    "a card with DHCP but no server first": ([no_way_to_the_server, good], 8),
    "three cards, the first is good": ([good, silent, silent], 3.6),
    "three cards, the second is good": ([silent, good, silent], 9),
    "three cards, the last is good, the first has DHCP": ([no_way_to_the_server, silent, good], 14),
    # BIOS has 512 KB of heap for all.
    "eight cards, seven of them silent": ([*[silent] * 7, good], 60),
    "twenty cards": ([*[unplugged] * 19, good], 60),
}


@pytest.mark.parametrize("name", LANS)
@pytest.mark.thorough(
    "uefi-x86_64-two unplugged",
    "uefi-x86_64-three cards, the first",
    "bios-three cards, the second",
    "uefi-x86_64-three cards, the last",
    "bios-eight",
    "uefi-x86_64-eight",
    "bios-twenty",
    "uefi-x86_64-twenty",
    "uefi-x86_64-a card with",
    "uefi-x86_64-two silent",
    "uefi-x86_64-three cards, the second",
)
def test_finds_the_card(lan: Lan, boot: Boot, name: str) -> None:
    segments, seconds = LANS[name]
    for segment in segments:
        segment(lan)
    nonce = serve(lan)
    number = segments.index(good)
    saw = seen(boot, URL, nonce, seconds)
    # What servers look machines up by names the card that fetched.
    address = saw.pop("ip")
    mac = lan.mac(number)
    assert saw.pop("cwuri") == f"http://bty-server/boot?mac={mac}"
    assert saw == {"mac": mac, "netX": mac, "ip6": saw["ip6"]}
    for path, agent, status, client in lan.requests():  # one for each boot
        assert (path, status, client) == (f"/boot?mac={mac}", "200", address)
        assert agent == ipxe()[0]


LARGE = 10  # cards with a queue of 1,024 packets, as many as iPXE can open

# The cards around the one with a slow link.
AROUND: dict[str, tuple[list[Segment], list[Segment]]] = {
    "one card": ([], []),
    "after an unplugged card": ([unplugged], []),
    "after a card without a way to the server": ([no_way_to_the_server], []),
    "after a silent card": ([silent], []),
    "after three unplugged cards": ([unplugged] * 3, []),
    "before two unplugged cards": ([], [unplugged] * 2),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("seconds", [3, 6, 12, 20], ids=lambda seconds: f"{seconds} s")
@pytest.mark.thorough(but=("bios-6 s-after an unplugged",))
def test_slow_link_boots_in_the_first_try(lan: Lan, boot: Boot, around: str, seconds: int) -> None:
    before, after = AROUND[around]
    for segment in (*before, slow(seconds), *after):
        segment(lan)
    number = len(before)
    nonce = serve(lan)
    # Where unplugged cards come after it, they have their 25 s first.
    saw = seen(boot, "http://bty-server/boot?mac=${netX/mac}", nonce, max(seconds + 25, 37 if after else 0))
    assert saw["cwuri"].endswith(f"mac={lan.mac(number)}")
    assert saw["mac"] == saw["netX"] == lan.mac(number)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
@pytest.mark.parametrize("seconds", [6, 20], ids=lambda seconds: f"{seconds} s")
@pytest.mark.thorough
def test_slow_link_after_a_card_that_cannot_be_opened_boots_in_the_first_try(
    lan: Lan, boot: Boot, seconds: int
) -> None:
    """The cards behind it, which are opened first, have taken the memory of iPXE, which is 512 KB on BIOS."""

    def large() -> None:
        lan.segment(card="virtio-net-pci,rx_queue_size=1024", router=None)

    large()
    number = lan.segment(link_after=seconds)
    for _ in range(LARGE):
        large()
    nonce = serve(lan)
    booted = boot(f"http://10.0.{number}.1/boot")
    came = booted.wait_for(nonce, 90).after(booted.banner)
    print(f"{came:.1f} s from the banner to the server's script")
    assert "Could not open net0: " in booted.console
    assert f"Could not open net{number}: " not in booted.console
    assert booted.console.count("boots-from: booting from") == 1


@pytest.mark.thorough
def test_no_link_is_said_of_cards_that_were_open_for_25_s(lan: Lan, boot: Boot) -> None:
    unplugged(lan)
    no_way_to_the_server(lan)
    unplugged(lan)
    unplugged(lan)
    booted = boot(URL)
    screen = booted.wait_for_diagnosis(90)
    assert screen.count("no link: look at cable and switch port") == 3
    assert booted.links
    for card, seconds in booted.links.opened.items():
        assert max(seconds) >= 25, f"{card} was open for {seconds} s"


@pytest.mark.thorough
def test_two_ports_with_spanning_tree_the_first_without_a_way_to_the_server(lan: Lan, boot: Boot) -> None:
    spanning_tree_but_no_way_to_the_server(lan)
    spanning_tree(lan)
    seen(boot, URL, serve(lan), 70)


SLOW_LANS = {
    "DHCP answers after 12 s": ({"answers_after": 12}, 66),
    "spanning tree holds the port for 30 s": ({"spanning_tree": True}, 60),
    "IPv6 only, SLAAC": ({"ipv4": False, "ipv6": "slaac"}, 10),
    "IPv6 only, DHCPv6": ({"ipv4": False, "ipv6": "dhcpv6"}, 10),
    # Every name has an IPv6 address, too, at which nobody answers.
    "IPv6 is broken": ({"ipv6": "slaac", "options": ("--address=/bty-server/fd00:0:0:0::dead",)}, 4),
    "IPv6's DNS is dead": ({"ipv6": "slaac", "options": ("--dhcp-option=option6:dns-server,[fd00:0:0:0::dead]",)}, 4),
}


@pytest.mark.parametrize("name", SLOW_LANS)
@pytest.mark.thorough(
    "bios-spanning tree",
    "uefi-x86_64-spanning tree",
    "bios-DHCP answers after 12 s",
    "uefi-x86_64-DHCP answers after 12 s",
    "bios-IPv6 only, SLAAC",
    "uefi-x86_64-IPv6's DNS",
    "uefi-x86_64-IPv6 only, DHCPv6",
)
def test_boots_on(lan: Lan, boot: Boot, name: str) -> None:
    segment, seconds = SLOW_LANS[name]
    lan.segment(**segment)  # type: ignore[arg-type]
    nonce = serve(lan)
    seen(boot, URL, nonce, seconds)


@pytest.mark.parametrize("firmware", [UEFI, BIOS], ids=lambda firmware: firmware.name, indirect=True)
@pytest.mark.thorough("bios")
def test_boots_from_an_ipv6_literal(lan: Lan, boot: Boot) -> None:
    lan.segment(ipv6="slaac")
    nonce = serve(lan)
    seen(boot, "http://[fd00::1]/boot", nonce, 4)


@pytest.mark.thorough("uefi")
def test_slow_server_behind_the_second_card(lan: Lan, boot: Boot) -> None:
    """It takes longer than the quick round waits; the round after it does not run through DHCP again."""
    lan.segment(dhcp=False)
    lan.segment()
    nonce = secrets.token_hex(8)
    lan.faulty(f"#!ipxe\necho {nonce}\nsleep 600\n", "slow 4")
    booted = boot("http://10.0.1.1:8080/boot")
    assert booted.wait_for(nonce, 40).after(booted.banner) <= 20


@pytest.mark.parametrize("command", ["dhcp", "dhcp netX"])
@pytest.mark.thorough
def test_report_names_the_card_that_the_script_of_the_server_has_changed_to(lan: Lan, boot: Boot, command: str) -> None:
    """Plain dhcp takes the first card that gets an address; boot-servers.md says to leave it out, or write netX."""
    no_way_to_the_server(lan)
    good(lan)
    (lan.www / "boot").write_text(f"#!ipxe\n{command}\nchain missing\n")
    lan.http()
    number = 1 if "netX" in command else 0
    screen = boot(URL).wait_for_diagnosis(60)
    assert re.search(rf"\nby net{number} {lan.mac(number)} 10\.0\.{number}\.\d+\n", screen)
