"""bty-web, of PyPI's bty-lab."""

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
from tests.boot.conftest import Boot
from tests.boot.test_local_disk import installed_disk
from tests.integration import debian_linux

VERSION = "0.77.2"  # requirements/bty.txt has it
URL = "http://bty-server:8080/pxe-bootstrap.ipxe"
# docs/how-to/boot-servers.md has this line, with the port, because bty scripts name the host and port of the request.
BTY = "http://127.0.0.1:8080"
NGINX = "location = /boot { return 302 http://$host:8080/pxe-bootstrap.ipxe; }"


def machine(lan: Lan, mac: str) -> dict[str, object]:
    """Return what the server has recorded of a machine."""
    with sqlite3.connect(lan.work / "bty" / "state.db") as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM machines WHERE mac = ?", (mac,)).fetchone()
    connection.close()
    assert row, f"the server knows no {mac}"
    return dict(row)


def live_environment(lan: Lan, name: str) -> Path:
    """Return where a file of bty's live environment is."""
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
def test_new_machine_gets_the_live_environment(bty: Lan, boot: Boot, card: int) -> None:
    """It is another Linux here."""
    mac = bty.mac(card)
    shutil.copy(debian_linux.kernel(), live_environment(bty, "vmlinuz"))
    shutil.copy(debian_linux.initrd(), live_environment(bty, "initrd"))
    booted = boot(URL)
    booted.wait_for("Linux version", 60)
    booted.wait_for(f"bty.server=http://bty-server:8080 bty.mac={mac}", 30)
    known = machine(bty, mac)
    assert known["boot_mode"] == "bty-inventory"
    assert str(known["last_seen_ip"]).startswith(f"10.0.{card}.")
    assert known["saw_flasher_boot"] == 1


@pytest.mark.integration("one-card-uefi", "last")
def test_prebaked_image_boots_the_local_disk_behind_one_line_of_nginx(
    bty: Lan, boot: Boot, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    """A machine whose disks are known, as its live environment would have told them."""
    mac = bty.mac(card)
    bty.http(NGINX)
    found = bty.run("curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}", f"{BTY}/boot")
    assert found == "404", "bty answers at /boot: nginx is not needed any more"
    inventory = bty.work / "inventory.json"
    inventory.write_text(json.dumps({"disks": [{"path": "/dev/sda", "serial": "1"}]}))
    for command in (
        ("--get", f"{BTY}/pxe/{mac}"),
        ("--get", f"{BTY}/boot/bty-netboot-pc-x86_64-v{VERSION}.vmlinuz?mac={mac}", "--output", os.devnull),
        ("--json", f"@{inventory}", f"{BTY}/pxe/{mac}/inventory"),
    ):
        bty.run("curl", "--silent", "--show-error", "--fail", *command)
    booted = boot(PREBAKED_URL, *installed_disk(tmp_path, firmware))
    booted.wait_for(f"bty: {mac} boot_mode=bty-inventory, booting local disk", 60)
    booted.wait_for("the installed disk has booted", 60)
    assert bty.requests()[0][0::2] == ["/boot", "302"]
    assert machine(bty, mac)["saw_flasher_boot"] == 0
