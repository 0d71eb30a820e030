"""bty-web, from bty-lab on PyPI."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from lab import pypi
from lab.firmware import Firmware
from lab.lan import Lan
from release.artifacts import PREBAKED_URL
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk
from tests.integration import debian_linux

VERSION = "0.77.2"  # as in requirements/bty.txt
URL = "http://bty-server:8080/pxe-bootstrap.ipxe"
BTY = "http://127.0.0.1:8080"
# docs/how-to/boot-servers.md has this line. It names the port because bty repeats the host and port of a request.
NGINX = "location = /boot { return 302 http://$host:8080/pxe-bootstrap.ipxe; }"


def machine(lan: Lan, mac: str) -> dict[str, object]:
    """Return the row of a machine in the database of bty."""
    with sqlite3.connect(lan.work / "bty" / "state.db") as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM machines WHERE mac = ?", (mac,)).fetchone()
    connection.close()
    assert row, f"the server has no machine {mac}"
    return dict(row)


def live_environment(lan: Lan, name: str) -> Path:
    """Return the path of a file of the bty live environment."""
    return lan.work / "bty" / "boot" / f"bty-netboot-pc-x86_64-v{VERSION}.{name}"


@pytest.fixture
def bty(lan: Lan, card: int) -> Lan:
    """Return the LAN with bty-web on port 8080."""
    state = lan.work / "bty"
    (state / "boot").mkdir(parents=True)
    for name in ("vmlinuz", "initrd"):
        live_environment(lan, name).write_bytes(debian_linux.PLACEHOLDER)
    environment = f"BTY_PATHS_STATE_DIR={state}"
    lan.start("env", environment, pypi.environment("bty") / "bin" / "bty-web", name="bty").wait_for("running on", 30)
    return lan


@pytest.mark.integration
def test_new_machine_boots_live_environment(bty: Lan, boot_from: BootFrom, card: int) -> None:
    """The Debian installer stands in for the live environment."""
    mac = bty.mac(card)
    shutil.copy(debian_linux.kernel(), live_environment(bty, "vmlinuz"))
    shutil.copy(debian_linux.initrd(), live_environment(bty, "initrd"))
    booted = boot_from(URL)
    booted.wait_for("Linux version", 60)
    booted.wait_for(f"bty.server=http://bty-server:8080 bty.mac={mac}", 30)
    row = machine(bty, mac)
    assert row["boot_mode"] == "bty-inventory"
    assert str(row["last_seen_ip"]).startswith(f"10.0.{card}.")
    assert row["saw_flasher_boot"] == 1


@pytest.mark.integration("one-card-uefi", "last")
def test_prebaked_image_boots_local_disk_behind_nginx(
    bty: Lan, boot_from: BootFrom, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    """The test reports the disks of the machine to bty, as the live environment does."""
    mac = bty.mac(card)
    bty.http(NGINX)
    status = bty.run("curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}", f"{BTY}/boot")
    assert status == "404", "bty now serves /boot, so nginx is no longer needed: remove it from the docs and this test"
    inventory = bty.work / "inventory.json"
    inventory.write_text(json.dumps({"disks": [{"path": "/dev/sda", "serial": "1"}]}))
    for command in (
        ("--get", f"{BTY}/pxe/{mac}"),
        ("--get", f"{BTY}/boot/bty-netboot-pc-x86_64-v{VERSION}.vmlinuz?mac={mac}", "--output", os.devnull),
        ("--json", f"@{inventory}", f"{BTY}/pxe/{mac}/inventory"),
    ):
        bty.run("curl", "--silent", "--show-error", "--fail", *command)
    booted = boot_from(PREBAKED_URL, *installed_disk(tmp_path, firmware))
    booted.wait_for(f"bty: {mac} boot_mode=bty-inventory, booting local disk", 60)
    booted.wait_for("the installed disk has booted", 60)
    assert bty.requests()[0][0::2] == ["/boot", "302"]
    assert machine(bty, mac)["saw_flasher_boot"] == 0
