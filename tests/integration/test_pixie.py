"""pixie, of PyPI's pixie-lab, as it is before it has any image to send."""

import json
from pathlib import Path

import pytest

from lab import pypi
from lab.firmware import Firmware
from lab.lan import Lan
from tests.boot.conftest import Boot
from tests.boot.test_local_disk import installed_disk

pytestmark = pytest.mark.integration


@pytest.fixture
def pixie(lan: Lan, card: int) -> None:
    """Start pixie on the LAN, at port 8080."""
    uvicorn = pypi.environment("pixie") / "bin" / "uvicorn"
    settings = ("env", f"PIXIE_DATA_DIR={lan.work / 'pixie'}", "PIXIE_SEED_CATALOG=0")
    address = ("--host=0.0.0.0", "--port=8080")
    lan.start(*settings, uvicorn, "pixie.web.main:app", *address, name="pixie").wait_for("running on", 30)


def known(lan: Lan) -> list[str]:
    """Return the MACs of the machines that it knows."""
    machines = json.loads(lan.run("curl", "--silent", "--fail", "http://127.0.0.1:8080/machines"))["machines"]
    return [machine["mac"] for machine in machines]


def test_machine_is_known_and_goes_on_to_its_disk(
    pixie: None, lan: Lan, boot: Boot, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    booted = boot("http://bty-server:8080/pxe/${mac}", *installed_disk(tmp_path, firmware))
    booted.wait_for(f"pixie: no bootable plan for {lan.mac(card)}", 60)
    assert known(lan) == [lan.mac(card)]
    booted.wait_for("the installed disk has booted", 60)


def test_its_bootstrap_script_asks_for_the_first_card(pixie: None, lan: Lan, boot: Boot, card: int) -> None:
    """Whichever card the machine got it by: so docs/how-to/boot-servers.md gives the other URL."""
    boot("http://bty-server:8080/pxe-bootstrap.ipxe").wait_for("pixie: no bootable plan", 60)
    assert known(lan) == [lan.mac(0)]
