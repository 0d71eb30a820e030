"""Fixtures of the boot tests, and a machine with one card or with three."""

import pytest

from lab.lan import Lan
from lab.link import NEVER
from tests.boot.conftest import boot_from as boot_from
from tests.boot.conftest import firmware as firmware
from tests.boot.conftest import lan as lan
from tests.boot.conftest import server_programs as server_programs


@pytest.fixture(params=[0, 2], ids=["one-card", "last-of-three"])
def card(request: pytest.FixtureRequest, lan: Lan) -> int:
    """Add one card to the machine, or three; return the number of the only card with a working LAN, the last one."""
    if request.param:
        lan.segment(dhcp=False)
        lan.segment(dhcp=False, link_after=NEVER)
    return lan.segment()
