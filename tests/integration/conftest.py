"""Fixtures of the servers' tests: those of the boot tests, and a machine with one card and with three."""

import pytest

from lab.lan import Lan
from lab.link import NEVER
from tests.boot.conftest import boot as boot
from tests.boot.conftest import firmware as firmware
from tests.boot.conftest import lan as lan
from tests.boot.conftest import servers as servers


@pytest.fixture(params=[0, 2], ids=["one-card", "last-of-three"])
def card(request: pytest.FixtureRequest, lan: Lan) -> int:
    """Return the number of the only card whose LAN answers, with one card and with three."""
    if request.param:
        lan.segment(dhcp=False)
        lan.segment(dhcp=False, link_after=NEVER)
    return lan.segment()
