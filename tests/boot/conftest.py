"""Fixtures of the boot tests: a LAN, the servers' programs, and machines that boot on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import boots_from
from tests.boot import machine, server
from tests.boot.lan import Lan
from tests.boot.machine import BIOS, UEFI, Firmware, Machine

Boot = Callable[..., Machine]


@pytest.fixture
def boot_server() -> Iterator[server.BootServer]:
    """Return a running boot server of the test's own, for QEMU's user network."""
    with server.boot_server() as running:
        yield running


@pytest.fixture(scope="session")
def machines() -> Path:
    """Return where the machines that Debian 12 lacks lie."""
    return machine.unpack(machine.MACHINES)


@pytest.fixture(scope="session")
def servers() -> Path:
    """Return where the servers' programs lie."""
    return machine.unpack(machine.SERVERS)


@pytest.fixture(params=[UEFI, BIOS], ids=lambda firmware: firmware.name)
def firmware(request: pytest.FixtureRequest) -> Firmware:
    """Return each of the two kinds of PC."""
    firmware: Firmware = request.param
    return firmware


@pytest.fixture
def lan(tmp_path: Path, servers: Path) -> Iterator[Lan]:
    """Return a LAN of the test's own, still empty."""
    with Lan(tmp_path, servers) as empty:
        yield empty


@pytest.fixture
def boot(lan: Lan, firmware: Firmware, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Return a function that boots a machine on the LAN from the image for a URL, up to iPXE's banner."""
    with ExitStack() as running:

        def start(url: str, *more: str) -> Machine:
            image = tmp_path / "boots-from.iso"
            image.write_bytes(boots_from.bake(url))
            booted = Machine(
                firmware,
                [*machine.AHCI_CD.arguments(image), *more],
                tmp_path,
                request.node.name.replace("/", "-"),
                lan.cards,
                enter=lan.enter,
                links_down=lan.links_down,
            )
            running.enter_context(booted)
            booted.banner = booted.wait_for("Open Source Network Boot Firmware", firmware.seconds)
            return booted

        yield start
