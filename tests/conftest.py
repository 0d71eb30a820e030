"""Fixtures of several kinds of tests."""

from collections.abc import Iterator

import pytest

from tests.boot import server


@pytest.fixture
def boot_server() -> Iterator[server.BootServer]:
    """Return a running boot server of the test's own, for QEMU's user network."""
    with server.boot_server() as running:
        yield running
