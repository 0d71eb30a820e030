"""OpenStack Ironic, standalone in one process, with nginx for its files: a node boots a RAM disk over iPXE."""

import json
import subprocess
import time
from typing import Any

import pytest

from lab import pypi
from lab.lan import Lan
from tests.boot.conftest import BootFrom
from tests.integration import debian_linux

pytestmark = pytest.mark.integration

API = "http://127.0.0.1:6385/v1"
CONFIG = """
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
state_path = {state}
my_ip = {address}
enabled_hardware_types = fake-hardware
enabled_boot_interfaces = ipxe
enabled_deploy_interfaces = ramdisk
enabled_management_interfaces = fake
enabled_power_interfaces = fake
enabled_network_interfaces = noop
enabled_bios_interfaces = no-bios
enabled_console_interfaces = no-console
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = no-inspect
enabled_raid_interfaces = no-raid
enabled_rescue_interfaces = no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor
[api]
host_ip = 127.0.0.1
[conductor]
automated_clean = false
file_url_allowed_paths = {files}
[database]
connection = sqlite:///{state}/ironic.sqlite
[deploy]
http_root = {www}
http_url = http://{address}
[dhcp]
dhcp_provider = none
[oslo_concurrency]
lock_path = {state}
[pxe]
tftp_root = {state}/tftp
tftp_master_path = {state}/tftp/master
instance_master_path = {state}/instance-master
images_path = {state}/images
kernel_append_params = console=ttyS0
"""


def api(lan: Lan, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make a request to the Ironic API; return the JSON object that it answers, or an empty one."""
    headers = ("--header", "X-OpenStack-Ironic-API-Version: 1.82", "--json", json.dumps(body or {}))
    answer = lan.run("curl", "--silent", "--show-error", "--fail", "--request", method, *headers, f"{API}/{path}")
    return dict(json.loads(answer)) if answer else {}


def set_provision_state(lan: Lan, target: str, state: str) -> None:
    """Send the node a provision target, and wait until it is in the resulting state."""
    api(lan, "PUT", "nodes/machine/states/provision", {"target": target})
    end = time.monotonic() + 60
    while (node := api(lan, "GET", "nodes/machine"))["provision_state"] != state:
        assert time.monotonic() < end, node["last_error"]
        time.sleep(0.5)


@pytest.fixture
def ironic(lan: Lan, card: int) -> None:
    """Start Ironic on the LAN, and deploy a node with the MAC address of the card."""
    programs, state = pypi.environment("ironic") / "bin", lan.work / "ironic"
    (state / "tftp" / "master").mkdir(parents=True)
    config = state / "ironic.conf"
    address = f"10.0.{card}.1"
    config.write_text(CONFIG.format(state=state, address=address, files=debian_linux.installer(), www=lan.www))
    lan.run(str(programs / "ironic-dbsync"), "--config-file", str(config), "create_schema")
    server = lan.start(programs / "ironic", "--config-file", config, name="ironic")
    command = [*lan.enter, "curl", "--silent", "--fail", f"{API}/drivers"]
    server.wait_until(lambda: b"fake-hardware" in subprocess.run(command, capture_output=True, check=False).stdout, 60)
    lan.http()
    kernel, ramdisk = debian_linux.kernel().as_uri(), debian_linux.initrd().as_uri()
    node = {
        "name": "machine",
        "driver": "fake-hardware",
        "driver_info": {"deploy_kernel": kernel, "deploy_ramdisk": ramdisk},
        "instance_info": {"kernel": kernel, "ramdisk": ramdisk},
    }
    uuid = api(lan, "POST", "nodes", node)["uuid"]
    api(lan, "POST", "ports", {"node_uuid": uuid, "address": lan.mac(card)})
    for target, reached in (("manage", "manageable"), ("provide", "available"), ("active", "active")):
        set_provision_state(lan, target, reached)


def test_node_boots_ramdisk(ironic: None, lan: Lan, boot_from: BootFrom, card: int) -> None:
    booted = boot_from("http://bty-server/boot.ipxe")
    booted.wait_for("Linux version", 120)
    booted.wait_for("root=/dev/ram0 text console=ttyS0", 30)
    requested = [path for path, *_ in lan.requests() if path.startswith("/pxelinux.cfg/")]
    # The script of Ironic asks for a file for each card, in their order.
    assert requested == [f"/pxelinux.cfg/{lan.mac(number).replace(':', '-')}" for number in range(card + 1)]
