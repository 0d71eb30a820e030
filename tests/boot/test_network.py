"""The card that reaches the server is found within a time limit, whatever the other cards are connected to."""

import re
from collections.abc import Callable

import pytest

from lab.firmware import BIOS, UEFI
from lab.lan import Lan
from lab.link import NEVER
from lab.machine import ipxe, nonce_script
from tests.boot.conftest import BootFrom

URL = "http://bty-server/boot?mac=${mac}"


def serve_report(lan: Lan) -> str:
    """Serve a script at /boot that prints a nonce and iPXE settings of the machine; return the nonce."""
    nonce = lan.write_script("mac=${mac} netX=${netX/mac} ip=${ip} ip6=${ip6} cwuri=${cwuri} end")
    lan.http()
    return nonce


def boot_and_read_report(boot_from: BootFrom, url: str, nonce: str, seconds: float) -> dict[str, str]:
    """Boot, wait for the report of the server's script, and return the settings in it.

    Asserts that the script ran within `seconds` of the iPXE banner, not counting time without a core of the host.
    """
    booted = boot_from(url)
    elapsed = booted.wait_for(nonce, seconds + 20).after(booted.banner)
    print(f"{elapsed:.1f} s from the banner to the server's script")
    booted.wait_for(" end", 5)
    assert elapsed <= seconds
    line = booted.console.partition(nonce)[2].partition(" end")[0].replace("\r", "").replace("\n", "")
    return dict(word.partition("=")[::2] for word in line.split())


# Each of these functions adds a LAN segment, with the card that is connected to it.
Segment = Callable[[Lan], object]


def silent(lan: Lan) -> None:
    lan.segment(dhcp=False)


def unplugged(lan: Lan) -> None:
    lan.segment(link_after=NEVER)


def no_route_to_server(lan: Lan) -> None:
    lan.segment(router="10.0.0.254", options=("--address=/bty-server/10.99.0.1",))


def good(lan: Lan) -> None:
    lan.segment()


def slow(seconds: float) -> Segment:
    """Return a good segment whose link needs that long to come up, each time the card is opened."""
    return lambda lan: lan.segment(link_after=seconds)


def spanning_tree(lan: Lan) -> None:
    lan.segment(spanning_tree=True)


def spanning_tree_but_no_route_to_server(lan: Lan) -> None:
    lan.segment(spanning_tree=True, router="10.0.0.254", options=("--address=/bty-server/10.99.0.1",))


# The segments of the cards, in their order, and the limit in seconds from the banner to the server's script.
LANS = {
    "one card": ([good], 3.6),
    "two silent cards first": ([silent, silent, good], 14),
    "two unplugged cards first": ([unplugged, unplugged, good], 12),
    "a card with DHCP but no server first": ([no_route_to_server, good], 8),
    "three cards, the first is good": ([good, silent, silent], 3.6),
    "three cards, the second is good": ([silent, good, silent], 9),
    "three cards, the last is good, the first has DHCP": ([no_route_to_server, silent, good], 14),
    # iPXE has a heap of 512 KB on BIOS for all cards.
    "eight cards, seven of them silent": ([*[silent] * 7, good], 60),
    "twenty cards": ([*[unplugged] * 19, good], 60),
}


@pytest.mark.parametrize("name", LANS)
@pytest.mark.thorough(
    "bios-two unplugged",
    "bios-a card with",
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
def test_card_that_reaches_server_is_found(lan: Lan, boot_from: BootFrom, name: str) -> None:
    segments, seconds = LANS[name]
    for segment in segments:
        segment(lan)
    nonce = serve_report(lan)
    number = segments.index(good)
    report = boot_and_read_report(boot_from, URL, nonce, seconds)
    # Servers look machines up by these settings, so all of them must name the card that fetched the script.
    address = report.pop("ip")
    mac = lan.mac(number)
    assert report.pop("cwuri") == f"http://bty-server/boot?mac={mac}"
    assert report == {"mac": mac, "netX": mac, "ip6": report["ip6"]}
    for path, agent, status, client in lan.requests():  # one request for each boot of the machine
        assert (path, status, client) == (f"/boot?mac={mac}", "200", address)
        assert agent == ipxe()[0]


LARGE = 10  # the number of cards with a queue of 1,024 packets that iPXE can open on BIOS

# The segments of the cards before and after the one with a slow link.
NEIGHBOURS: dict[str, tuple[list[Segment], list[Segment]]] = {
    "one card": ([], []),
    "after an unplugged card": ([unplugged], []),
    "after a card without a route to the server": ([no_route_to_server], []),
    "after a silent card": ([silent], []),
    "after three unplugged cards": ([unplugged] * 3, []),
    "before two unplugged cards": ([], [unplugged] * 2),
}


@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("seconds", [3, 6, 12, 20], ids=lambda seconds: f"{seconds} s")
@pytest.mark.thorough(but=("bios-6 s-after an unplugged",))
def test_slow_link_boots_in_first_try(lan: Lan, boot_from: BootFrom, neighbours: str, seconds: int) -> None:
    before, after = NEIGHBOURS[neighbours]
    for segment in (*before, slow(seconds), *after):
        segment(lan)
    number = len(before)
    nonce = serve_report(lan)
    url = "http://bty-server/boot?mac=${netX/mac}"
    # Unplugged cards after the slow one get their 25 s first.
    report = boot_and_read_report(boot_from, url, nonce, max(seconds + 25, 37 if after else 0))
    assert report["cwuri"].endswith(f"mac={lan.mac(number)}")
    assert report["mac"] == report["netX"] == lan.mac(number)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
@pytest.mark.parametrize("seconds", [6, 20], ids=lambda seconds: f"{seconds} s")
@pytest.mark.thorough
def test_slow_link_after_unopenable_card_boots_in_first_try(lan: Lan, boot_from: BootFrom, seconds: int) -> None:
    """The first card can't be opened: the cards after it, which are opened first, have used up the heap of iPXE."""

    def add_large_card() -> None:
        lan.segment(card="virtio-net-pci,rx_queue_size=1024", router=None)

    add_large_card()
    number = lan.segment(link_after=seconds)
    for _ in range(LARGE):
        add_large_card()
    nonce = serve_report(lan)
    booted = boot_from(f"http://10.0.{number}.1/boot")
    elapsed = booted.wait_for(nonce, 90).after(booted.banner)
    print(f"{elapsed:.1f} s from the banner to the server's script")
    assert "Could not open net0: " in booted.console
    assert f"Could not open net{number}: " not in booted.console
    assert booted.console.count("boots-from: booting from") == 1


@pytest.mark.thorough
def test_no_link_is_reported_after_25_s_open(lan: Lan, boot_from: BootFrom) -> None:
    unplugged(lan)
    no_route_to_server(lan)
    unplugged(lan)
    unplugged(lan)
    booted = boot_from(URL)
    screen = booted.wait_for_diagnosis(90)
    assert screen.count("no link: check cable and switch port") == 3
    assert booted.links
    for card, seconds in booted.links.opened.items():
        assert max(seconds) >= 25, f"{card} was open for {seconds} s"


@pytest.mark.thorough
def test_second_of_two_spanning_tree_ports_boots(lan: Lan, boot_from: BootFrom) -> None:
    spanning_tree_but_no_route_to_server(lan)
    spanning_tree(lan)
    boot_and_read_report(boot_from, URL, serve_report(lan), 70)


UNUSUAL_LANS = {
    "DHCP answers after 12 s": ({"answers_after": 12}, 66),
    "spanning tree holds the port for 30 s": ({"spanning_tree": True}, 60),
    "IPv6 only, SLAAC": ({"ipv4": False, "ipv6": "slaac"}, 10),
    "IPv6 only, DHCPv6": ({"ipv4": False, "ipv6": "dhcpv6"}, 10),
    # Each name also has an IPv6 address at which nothing answers.
    "IPv6 is broken": ({"ipv6": "slaac", "options": ("--address=/bty-server/fd00:0:0:0::dead",)}, 4),
    "IPv6 DNS is dead": (
        {"ipv6": "slaac", "options": ("--dhcp-option=option6:dns-server,[fd00:0:0:0::dead]",)},
        4,
    ),
}


@pytest.mark.parametrize("name", UNUSUAL_LANS)
@pytest.mark.thorough(
    "bios-spanning tree",
    "uefi-x86_64-spanning tree",
    "bios-DHCP answers after 12 s",
    "uefi-x86_64-DHCP answers after 12 s",
    "bios-IPv6 only, SLAAC",
    "uefi-x86_64-IPv6 DNS",
    "uefi-x86_64-IPv6 only, DHCPv6",
)
def test_unusual_lan_boots(lan: Lan, boot_from: BootFrom, name: str) -> None:
    segment, seconds = UNUSUAL_LANS[name]
    lan.segment(**segment)  # type: ignore[arg-type]
    nonce = serve_report(lan)
    boot_and_read_report(boot_from, URL, nonce, seconds)


@pytest.mark.parametrize("firmware", [UEFI, BIOS], ids=lambda firmware: firmware.name, indirect=True)
@pytest.mark.thorough("bios")
def test_ipv6_literal_boots(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(ipv6="slaac")
    nonce = serve_report(lan)
    boot_and_read_report(boot_from, "http://[fd00::1]/boot", nonce, 4)


@pytest.mark.thorough("uefi")
def test_slow_server_behind_second_card_boots(lan: Lan, boot_from: BootFrom) -> None:
    """The server is slower than the quick round allows; the slow round asks it again without repeating DHCP."""
    lan.segment(dhcp=False)
    lan.segment()
    nonce, script = nonce_script()
    lan.faulty(script, "slow 4")
    booted = boot_from("http://10.0.1.1:8080/boot")
    assert booted.wait_for(nonce, 40).after(booted.banner) <= 20


@pytest.mark.parametrize("command", ["dhcp", "dhcp netX"])
@pytest.mark.thorough
def test_failure_report_names_card_that_dhcp_chose(lan: Lan, boot_from: BootFrom, command: str) -> None:
    """Plain dhcp takes the first card that gets an address.

    docs/how-to/boot-servers.md therefore tells users to leave it out of their scripts, or to write "dhcp netX".
    """
    no_route_to_server(lan)
    good(lan)
    (lan.www / "boot").write_text(f"#!ipxe\n{command}\nchain missing\n")
    lan.http()
    number = 1 if "netX" in command else 0
    screen = boot_from(URL).wait_for_diagnosis(60)
    assert re.search(rf"\nvia net{number} {lan.mac(number)} 10\.0\.{number}\.\d+\n", screen)
