"""Take the screenshots in docs/screens from real boots: python -m docgen.screenshots, which make screens runs.

Without arguments it takes all of them. Arguments are names of screenshots, "secure-boot" for all of Secure Boot, or
"page" for the web page.

The screenshots of machines come from the QEMU graphics card, through the monitor, once the screen no longer changes.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trustme
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

import boots_from
from boots_from import image
from lab import browser, debian, mok_manager
from lab.firmware import BIOS, UEFI, UEFI_SECURE, Firmware
from lab.lan import IQN, Lan, trusting
from lab.link import NEVER
from lab.machine import AGAIN, Machine
from lab.media import AHCI_CD, SECTORS_4K_DISK, Medium
from template.paths import CHECKOUT
from web import build_page

SCREENS = CHECKOUT / "docs" / "screens"
URL = "http://boot.example.com/boot"


def _plain(lan: Lan) -> None:
    lan.segment()


def _serving(script: str) -> Callable[[Lan], None]:
    def serve(lan: Lan) -> None:
        lan.segment()
        (lan.www / "boot").write_text(script)
        lan.http()

    return serve


_hello = _serving("#!ipxe\necho Hello from the server, ${mac} ${ip}\nsleep 600\n")


def _three_cards(lan: Lan) -> None:
    lan.segment()
    lan.segment(dhcp=False)
    lan.segment(link_after=NEVER)


def _private_ca(lan: Lan) -> None:
    lan.segment()
    lan.http(lan.https_directives(trustme.CA().issue_cert("boot.example.com")))


def _iscsi_disk(lan: Lan) -> None:
    lan.segment()
    disk = lan.work / "disk.img"
    disk.write_bytes(bytes(2**20))
    lan.iscsi("10.0.0.1", disk)


class Picture(NamedTuple):
    """A screenshot: kind of machine, URL, function that sets up the LAN, last text on the console, medium."""

    firmware: Firmware
    url: str
    set_up: Callable[[Lan], object]
    last: str
    medium: Medium = AHCI_CD


# By the name of the file.
PICTURES = {
    "boots-bios": Picture(BIOS, URL, _hello, "Hello"),
    "boots-uefi": Picture(UEFI, URL, _hello, "Hello"),
    "no-card": Picture(BIOS, URL, lambda _: None, AGAIN),
    "no-link": Picture(BIOS, URL, lambda lan: lan.segment(link_after=NEVER), AGAIN),
    "no-dhcp": Picture(BIOS, URL, lambda lan: lan.segment(dhcp=False), AGAIN),
    "no-dns": Picture(BIOS, URL, lambda lan: lan.segment(dns=False), AGAIN),
    "unknown-host": Picture(BIOS, "http://nosuchname/boot", _plain, AGAIN),
    "refused": Picture(BIOS, URL, _plain, AGAIN),
    "silent-host": Picture(BIOS, "http://10.0.0.77/boot", _plain, AGAIN),
    "not-found": Picture(BIOS, "http://boot.example.com/missing", _serving("#!ipxe\n"), AGAIN),
    "certificate": Picture(UEFI, "https://boot.example.com/boot", _private_ca, AGAIN),
    "web-page-bios": Picture(BIOS, URL, _serving("<html>Welcome</html>\n"), "a web page?"),
    "web-page-uefi": Picture(UEFI, URL, _serving("<html>Welcome</html>\n"), AGAIN),
    "script-failed": Picture(BIOS, URL, _serving("#!ipxe\nchain missing\n"), AGAIN),
    "three-cards": Picture(BIOS, URL, _three_cards, AGAIN),
    "no-bootable-device": Picture(BIOS, URL, _plain, "No bootable device", SECTORS_4K_DISK),
    "hangs": Picture(UEFI, URL, lambda lan: lan.segment(card="tulip"), "autoexec.ipxe... ok"),
    "no-route": Picture(BIOS, "http://192.0.2.1/boot", lambda lan: lan.segment(router=None), AGAIN),
    "second-banner": Picture(
        UEFI, URL, _serving("#!ipxe\nsanboot --no-describe --drive 0x80\n"), "trying the next one"
    ),
    "no-such-lun": Picture(BIOS, f"iscsi:boot.example.com:::2:{IQN}", _iscsi_disk, AGAIN),
}


def take(name: str) -> None:
    """Boot a machine and take its screenshot."""
    firmware, url, set_up, last, medium = PICTURES[name]
    with (
        tempfile.TemporaryDirectory(prefix="screen-") as work,
        Lan(Path(work), debian.unpack(debian.SERVER_PROGRAMS)) as lan,
    ):
        set_up(lan)
        with lan.machine(firmware, url, f"screen-{name}", "-device", "VGA", medium=medium) as booted:
            booted.wait_for(last, 120, may_fail=True)
            time.sleep(1)  # wait for the last line and the cursor
            _dump(booted, name)


def take_secure_boot() -> None:
    """Enroll the hash of iPXE on a machine with Secure Boot, and take a screenshot of each step."""
    with tempfile.TemporaryDirectory(prefix="screen-") as name:
        work = Path(name)
        iso = work / "boots-from.iso"
        iso.write_bytes(boots_from.bake(URL))
        devices = [*AHCI_CD.arguments(iso), "-device", "VGA"]
        with Machine(UEFI_SECURE, devices, work, "screen-secure-boot") as booted:

            def picture(step: str) -> None:
                time.sleep(1)
                _dump(booted, f"secure-boot-{step}")

            mok_manager.enroll(booted, picture)


def take_ecdsa_ipxe() -> None:
    """Take the screenshot of a machine whose server has an ECDSA certificate, if the ECDSA iPXE is not enrolled."""
    with (
        tempfile.TemporaryDirectory(prefix="screen-") as work,
        Lan(Path(work), debian.unpack(debian.SERVER_PROGRAMS)) as lan,
    ):
        mok_manager.boot_and_enroll(UEFI_SECURE, lan.work)
        ca = trustme.CA()
        lan.segment()
        lan.http(lan.https_directives(ca.issue_cert("boot.example.com")))
        trusts = trusting([ca], lan.work, UEFI_SECURE)
        with lan.machine(trusts, "https://boot.example.com/boot", "screen-ecdsa-ipxe", "-device", "VGA") as booted:
            booted.wait_for(AGAIN, 120, may_fail=True)
            time.sleep(1)
            _dump(booted, "secure-boot-ecdsa")


def take_page() -> None:
    """Take the screenshot of the web page."""
    with tempfile.TemporaryDirectory(prefix="screen-") as name, browser.session(Path(name)) as start:
        file = Path(name, "boots-from.html")
        file.write_bytes(build_page.make(image.read_template()))
        opened = start(file.as_uri())
        opened.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 900, "height": 1300, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.wait_until_ready(opened)
        opened.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        opened.find_element(By.ID, "url").send_keys("http://boot.example.com/boot", Keys.ENTER)
        opened.find_element(By.ID, "linux").click()
        time.sleep(1)
        opened.save_screenshot(str(SCREENS / "page.png"))
    print("page", flush=True)


def _dump(booted: Machine, name: str) -> None:
    booted.monitor("screendump", filename=str(SCREENS / f"{name}.png"), format="png")
    print(name, flush=True)


def main() -> None:
    """Take all screenshots, or those named by the arguments."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [*PICTURES, "secure-boot", "page"]:
        if name == "secure-boot":
            take_secure_boot()
            take_ecdsa_ipxe()
        elif name == "secure-boot-ecdsa":
            take_ecdsa_ipxe()
        elif name == "page":
            take_page()
        else:
            take(name)


if __name__ == "__main__":
    main()
