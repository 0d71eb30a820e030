"""Fixtures of the boot tests."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot import machine, server


@pytest.fixture
def boot_server() -> Iterator[server.BootServer]:
    """Return a running boot server of the test's own."""
    with server.boot_server() as running:
        yield running


@pytest.fixture(scope="session")
def machines() -> Path:
    """Return where the machines that Debian 12 lacks lie; the first of several workers unpacks them."""
    lock = machine.CHECKOUT / "build" / "machines.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return machine.unpack_machines()
