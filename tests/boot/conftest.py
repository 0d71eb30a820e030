"""Fixtures of the boot tests: a LAN, the servers' programs, and machines that boot on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import debian, mok_manager
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.machine import BANNER, Machine

Boot = Callable[..., Machine]
Variables = Callable[[Firmware], Path]


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Variables:
    """Return a function that gives the UEFI variables of a machine on which iPXE's hash is enrolled."""
    stores: dict[str, Path] = {}

    def variables(firmware: Firmware) -> Path:
        if firmware.name not in stores:
            stores[firmware.name] = mok_manager.boot_and_enroll(firmware, tmp_path_factory.mktemp(firmware.name))
        return stores[firmware.name]

    return variables


@pytest.fixture(scope="session")
def servers() -> Path:
    """Return where the servers' programs lie."""
    return debian.unpack(debian.SERVER_PROGRAMS)


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
def boot(lan: Lan, firmware: Firmware, request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Return a function that boots a machine on the LAN from the image for a URL, up to iPXE's banner."""
    with ExitStack() as running:

        def start(url: str, *more: str) -> Machine:
            booted = running.enter_context(lan.machine(firmware, url, request.node.name.replace("/", "-"), *more))
            booted.banner = booted.wait_for(BANNER, firmware.seconds)
            return booted

        yield start
