"""Make the pictures in docs/screens from real boots: python -m tests.boot.screens, which make screens runs.

Each is what QEMU's graphics card shows when the machine has come to rest, taken by its monitor.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trustme

from tests.boot import machine
from tests.boot.lan import Lan
from tests.boot.machine import BIOS, CHECKOUT, UEFI, Firmware

SCREENS = CHECKOUT / "docs" / "screens"
URL = "http://bty-server/boot"
SHELL = "iPXE> "


def _plain(lan: Lan) -> None:
    lan.segment()


def _serving(script: str) -> Callable[[Lan], None]:
    def serve(lan: Lan) -> None:
        lan.segment()
        (lan.www / "boot").write_text(script)
        lan.http()

    return serve


def _three_cards(lan: Lan) -> None:
    lan.segment()
    lan.segment(dhcp=False)
    lan.segment(card="e1000e", plugged=False)


def _private_ca(lan: Lan) -> None:
    lan.segment()
    lan.http(lan.https(trustme.CA().issue_cert("bty-server")))


# Name of the picture: the kind of machine, the URL, its LAN, what the console shows last.
PICTURES: dict[str, tuple[Firmware, str, Callable[[Lan], object], str]] = {
    "boots-bios": (BIOS, URL, _serving("#!ipxe\necho Hello from the server, ${mac} ${ip}\nsleep 600\n"), "Hello"),
    "boots-uefi": (UEFI, URL, _serving("#!ipxe\necho Hello from the server, ${mac} ${ip}\nsleep 600\n"), "Hello"),
    "no-card": (BIOS, URL, lambda _: None, SHELL),
    "no-link": (BIOS, URL, lambda lan: lan.segment(card="e1000e", plugged=False), SHELL),
    "no-dhcp": (BIOS, URL, lambda lan: lan.segment(dhcp=False), SHELL),
    "no-dns": (BIOS, URL, lambda lan: lan.segment(dns=False), SHELL),
    "unknown-host": (BIOS, "http://nosuchname/boot", _plain, SHELL),
    "refused": (BIOS, URL, _plain, SHELL),
    "silent-host": (BIOS, "http://10.0.0.77/boot", _plain, SHELL),
    "not-found": (BIOS, "http://bty-server/missing", _serving("#!ipxe\n"), SHELL),
    "certificate": (UEFI, "https://bty-server/boot", _private_ca, SHELL),
    "web-page-bios": (BIOS, URL, _serving("<html>Welcome</html>\n"), "a web page?"),
    "web-page-uefi": (UEFI, URL, _serving("<html>Welcome</html>\n"), SHELL),
    "script-failed": (BIOS, URL, _serving("#!ipxe\nchain missing\n"), SHELL),
    "three-cards": (BIOS, URL, _three_cards, SHELL),
}


def take(name: str) -> None:
    """Boot a machine and write its picture."""
    firmware, url, plug_in, last = PICTURES[name]
    with (
        tempfile.TemporaryDirectory(prefix="screen-") as work,
        Lan(Path(work), machine.unpack(machine.SERVERS)) as lan,
    ):
        plug_in(lan)
        with lan.machine(firmware, url, f"screen-{name}", "-device", "VGA") as booted:
            booted.wait_for(last, 120, may_fail=True)
            time.sleep(1)  # the last line, and the cursor
            booted.monitor("screendump", filename=str(SCREENS / f"{name}.png"), format="png")
    print(name, flush=True)


def main() -> None:
    """Take them all."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        take(name)


if __name__ == "__main__":
    main()
