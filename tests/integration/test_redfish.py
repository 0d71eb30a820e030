"""A Redfish BMC mounts the image by URL, with the curl commands of docs/how-to/bmc.md.

The BMC is sushy-tools and its machine is libvirt's. Both run in a Debian below the build directory, so nothing is
installed on the host.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

import boots_from
from lab import build_cache, pypi
from lab.lan import Lan
from lab.machine import ipxe
from template import apt
from template.paths import CHECKOUT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mmdebstrap makes a Debian in a directory"),
]

PACKAGES = (
    "curl,libvirt-clients,libvirt-daemon,libvirt-daemon-driver-qemu,libvirt-daemon-driver-storage,ovmf,"
    "python3-libvirt,qemu-system-x86"
)
PYTHON = ("--python-version=3.13", "--only-binary=:all:")  # of trixie
BMC = "http://10.0.0.1:8443/redfish/v1"
HOSTS = "127.0.0.1 localhost\n10.0.0.1 bty-server boot.example.com\n"
NODE = str(uuid.UUID(int=15))

# The commands of the page: those before the machine boots, and those after.
BEFORE, AFTER = re.findall(
    r"```sh\n(redfish\(\).*?)(# once .*?)```", (CHECKOUT / "docs/how-to/bmc.md").read_text(), re.DOTALL
)[0]

FIRMWARE = {
    "bios": "",
    "uefi": "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
    "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/run/variables.fd</nvram>",
}
DOMAIN = """\
<domain type='qemu'>
  <name>node</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory><vcpu>1</vcpu><cpu mode='maximum'/>
  <os><type arch='x86_64' machine='q35'>hvm</type>{firmware}</os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='ethernet'>
      <mac address='{mac}'/><target dev='tap0' managed='no'/><model type='virtio'/><rom enabled='no'/>
    </interface>
    <serial type='file'><source path='/run/console.log'/></serial>
  </devices>
</domain>
"""


@pytest.fixture(scope="session")
def debian() -> Path:
    """Return the directory of a Debian with libvirt and sushy-tools, which is made once."""

    def make(root: Path) -> None:
        options = ["--variant=minbase", f"--include={PACKAGES}", "trixie", str(root), apt.host_mirror()]
        subprocess.run(["mmdebstrap", *options], check=True, capture_output=True)
        pypi.install("redfish", sys.executable, *PYTHON, f"--target={root}/opt/redfish")
        (root / "etc/libvirt/qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nremember_owner = 0\n'
            'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "file"\n'
        )
        (root / "etc/libvirt/libvirtd.conf").write_text('auth_unix_rw = "none"\nauth_unix_ro = "none"\n')
        (root / "etc/hosts").write_text(HOSTS)

    return build_cache.directory("redfish", PACKAGES + HOSTS + pypi.lock("redfish").read_text(), make)


class Bmc:
    """A BMC on a LAN, and its machine, which is off at first; a context manager that ends the machine."""

    def __init__(self, lan: Lan, debian: Path, firmware: str) -> None:
        """Start libvirt and sushy-tools, and define the machine."""
        self.lan = lan
        self._inside = ["chroot", str(debian), "env", "-i", "PATH=/usr/sbin:/usr/bin", "PYTHONPATH=/opt/redfish"]
        mounts = "mount --rbind /dev $0/dev && mount -t proc proc $0/proc && mount --rbind /sys $0/sys"
        fresh = "for name in run var/lib/libvirt var/log tmp; do mount -t tmpfs none $0/$name; done"
        lan.run("sh", "-ec", f"{mounts}; {fresh}; mkdir $0/run/pool", str(debian))
        lan.start(*self._inside, "libvirtd", name="libvirtd")
        for _ in range(300):  # until it listens
            if self.virsh("version", check=False):
                break
            time.sleep(0.1)
        self.virsh("pool-create-as", "default", "dir", "--target", "/run/pool")
        definition = DOMAIN.format(uuid=NODE, mac=lan.mac(0), firmware=FIRMWARE[firmware])
        lan.run(*self._inside, "sh", "-c", 'echo "$0" >/run/node.xml', definition)
        self.virsh("define", "/run/node.xml")
        main = "from sushy_tools.emulator.main import main; main()"
        options = ["-i", "10.0.0.1", "-p", "8443", "--libvirt-uri", "qemu:///system"]
        self.log = lan.start(*self._inside, "python3", "-c", main, *options, name="sushy").wait_for("Running on").log

    def virsh(self, *arguments: str, check: bool = True) -> str:
        """Run virsh, and return its output."""
        command = [*self.lan.enter, *self._inside, "virsh", "-c", "qemu:///system", *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def sh(self, script: str) -> None:
        """Run commands of the page in a shell."""
        names = {"SYSTEM": f"{BMC}/Systems/{NODE}", "CD": f"{BMC}/Systems/{NODE}/VirtualMedia/Cd", "BMC_USER": "a:b"}
        self._run(*self._inside, *(f"{name}={value}" for name, value in names.items()), "sh", "-euc", script)

    def get(self, path: str) -> Any:
        """Return a Redfish resource."""
        script = f"import urllib.request; print(urllib.request.urlopen({BMC + path!r}).read().decode())"
        return json.loads(self._run(sys.executable, "-c", script))

    def _run(self, *command: str) -> str:
        """Run a command on the LAN; return its output. An error shows the log of the BMC."""
        done = subprocess.run([*self.lan.enter, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + self.log.read_text()
        return done.stdout

    def wait_for_boot(self, seconds: float) -> float:
        """Wait until the machine runs the server's script; return the seconds that it took.

        Raises:
            AssertionError: it does not within `seconds`.
        """
        start = time.monotonic()
        while not any(request[0] == "/arrived" for request in self.lan.requests()):
            assert time.monotonic() < start + seconds, self.lan.run("cat", f"{self._inside[1]}/run/console.log")
            time.sleep(0.1)
        return time.monotonic() - start

    def __enter__(self) -> "Bmc":
        return self

    def __exit__(self, *error: object) -> None:
        self.virsh("destroy", "node", check=False)


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_virtual_media_by_url_boots_once_and_ejects(firmware: str, debian: Path, lan: Lan) -> None:
    lan.segment()
    (lan.www / "boots-from.iso").write_bytes(boots_from.bake("http://bty-server/boot"))
    (lan.www / "boot").write_text("#!ipxe\nimgfetch arrived ||\nsleep 600\n")
    lan.http()
    with Bmc(lan, debian, firmware) as bmc:
        assert bmc.get(f"/Systems/{NODE}")["PowerState"] == "Off"
        bmc.sh(BEFORE)
        assert bmc.get(f"/Systems/{NODE}")["PowerState"] == "On"
        print(f"{firmware}: {bmc.wait_for_boot(90):.1f} s")
        image, boot, _ = lan.requests()
        assert image[0] == "/boots-from.iso"
        assert boot[:3] == ["/boot", ipxe()[0], "200"]
        media = f"/Systems/{NODE}/VirtualMedia/Cd"
        assert bmc.get(media)["Inserted"] is True
        bmc.sh(BEFORE.partition("\n")[0] + "\n" + AFTER)
        assert bmc.get(media)["Inserted"] is False
        assert "cdrom" not in bmc.virsh("dumpxml", "--inactive", "node")
