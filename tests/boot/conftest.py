"""Fixtures of the boot tests: a LAN, unpacked server programs, and machines that boot on the LAN."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import debian, mok_manager
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.machine import BANNER, Machine

BootFrom = Callable[..., Machine]
EnrolledVariables = Callable[[Firmware], Path]


@pytest.fixture(scope="session")
def enrolled_variables(tmp_path_factory: pytest.TempPathFactory) -> EnrolledVariables:
    """Return a function: from a firmware to a file with its UEFI variables, in which the hash of iPXE is enrolled.

    It boots each firmware and enrolls the hash once a session.
    """
    stores: dict[str, Path] = {}

    def variables(firmware: Firmware) -> Path:
        if firmware.name not in stores:
            stores[firmware.name] = mok_manager.boot_and_enroll(firmware, tmp_path_factory.mktemp(firmware.name))
        return stores[firmware.name]

    return variables


@pytest.fixture(scope="session")
def server_programs() -> Path:
    """Return the directory of the unpacked server programs (nginx, nfs-ganesha, tgt and others)."""
    return debian.unpack(debian.SERVER_PROGRAMS)


@pytest.fixture(params=[UEFI, BIOS], ids=lambda firmware: firmware.name)
def firmware(request: pytest.FixtureRequest) -> Firmware:
    """Return both kinds of PC, one after the other."""
    firmware: Firmware = request.param
    return firmware


@pytest.fixture
def lan(tmp_path: Path, server_programs: Path) -> Iterator[Lan]:
    """Return an empty LAN, one for each test."""
    with Lan(tmp_path, server_programs) as empty:
        yield empty


@pytest.fixture
def boot_from(lan: Lan, firmware: Firmware, request: pytest.FixtureRequest) -> Iterator[BootFrom]:
    """Return a function that powers on a machine on the LAN, with the image for a URL, and waits for the iPXE banner.

    Its arguments are the URL and then more QEMU arguments.
    """
    with ExitStack() as running:

        def start(url: str, *more: str) -> Machine:
            booted = running.enter_context(lan.machine(firmware, url, request.node.name.replace("/", "-"), *more))
            booted.banner = booted.wait_for(BANNER, firmware.seconds)
            return booted

        yield start
