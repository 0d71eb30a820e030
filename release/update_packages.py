"""Pin the newest packages in the suites: python -m release.update_packages, which make update-packages runs.

Builds the template with them, and shows versions, image size and iPXE features before and after. Refuses an iPXE that
takes over the USB controller of the keyboard from the firmware.
"""

import re
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import boots_from
from boots_from import image
from lab import machine
from lab.firmware import BIOS, UEFI, Firmware
from lab.machine import BootError, Machine, StartError
from lab.media import AHCI_CD
from template import apt
from template.__main__ import main as make_template
from template.apt import Package
from template.build_tools import BuildError
from template.paths import CACHE, PACKAGES
from template.pins import Pin, load_pins


def newest() -> list[Package]:
    """Download the newest version of each pinned package.

    Raises:
        BuildError: a package can't be downloaded, or is older than the pinned one.
    """
    pins = load_pins(PACKAGES)
    packages = apt.fetch([replace(pin, version="", sha256="") for pin in pins], CACHE)
    for pin, package in zip(pins, packages, strict=True):
        apt.refuse_older(pin, package.version)
    return packages


def pin(text: str, packages: list[Package]) -> str:
    """Return the text of packages.toml with other versions and hashes; comments and order stay unchanged.

    Args:
        text: the text, whose [[package]] tables may be in any order.
        packages: the packages to pin, one for each table.
    """
    by_name = {(package.name, package.suite): package for package in packages}
    head, *tables = text.split("[[package]]")
    updated = [head]
    for table, fields in zip(tables, tomllib.loads(text)["package"], strict=True):
        old = Pin(**fields)
        new = by_name[old.qualified_name, old.suite]
        for key, value in (("version", new.version), ("sha256", new.sha256)):
            table = re.sub(f'{key} = "[^"]*"', f'{key} = "{value}"', table)
        updated.append(table)
    return "[[package]]".join(updated)


def features(firmware: Firmware) -> str:
    """Boot the template; return the feature list of iPXE."""
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        work = Path(name)
        iso = work / "boots-from.iso"
        iso.write_bytes(boots_from.bake("http://boot.example.com/boot"))
        with Machine(firmware, AHCI_CD.arguments(iso), work, f"update-packages-{firmware.name}") as running:
            running.wait_for("boots-from: booting from", firmware.seconds)
            return features_on(running.console)


def features_on(console: str) -> str:
    """Return the feature list that iPXE printed; the console may break a long line anywhere."""
    (lines,) = re.findall(r"Features: (.*?)\n\n", console.replace("\r", ""), re.DOTALL)
    return str(lines).replace("\n", "").strip()


_STOPS = "usb_xhci_stop"  # QEMU's trace event: a driver stops the running controller


def leaves_usb_to_firmware(template: bytes) -> bool:
    """Return whether the iPXE in a template leaves the USB 3 controller, and so the keyboard, to the BIOS.

    A USB driver stops the controller before any of its timeouts can strike.

    Raises:
        BootError: the template does not boot.
    """
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        work = Path(name)
        iso = work / "boots-from.iso"
        iso.write_bytes(image.fill(template, b"#!ipxe\nprompt --key y Press y: && echo typed\nsleep 600\n"))
        media = [*AHCI_CD.arguments(iso), *machine.usb_keyboard("qemu-xhci")]
        traced = replace(BIOS, command=(*BIOS.command, "-trace", _STOPS))
        with Machine(traced, media, work, "update-packages-keyboard") as running:
            running.wait_for("Press y:", BIOS.seconds)
            if running.events(_STOPS):
                return False
            running.press("y", shows="typed")
            return True


def show_template() -> None:
    """Print the packages in the template, the size of the image, and the features of iPXE."""
    template = image.read_template()
    for line in image.packages(template):
        print("  " + " ".join(line.split()[:2]))
    print(f"  image {len(template):,} bytes")
    for firmware in (BIOS, UEFI):
        print(f"  {firmware.name}: {features(firmware)}", flush=True)


def main() -> int:
    """Update the pins; return the exit status: 2 if the packages are not available, 1 if they are not usable."""
    try:
        print("Before", flush=True)
        show_template()
        before = PACKAGES.read_text()
        after = pin(before, newest())
        if after == before:
            print("All pinned packages are the newest")
            return 0
        PACKAGES.write_text(after)
        if make_template():
            return 2
        print("After", flush=True)
        show_template()
        if not leaves_usb_to_firmware(image.read_template()):
            PACKAGES.write_text(before)
            make_template()
            print(
                "update-packages: error: nothing was pinned, because this iPXE has USB host drivers, with which a "
                f"keyboard on USB 3 does not work under BIOS: in {PACKAGES.name} choose a suite whose ipxe has none",
                file=sys.stderr,
            )
            return 1
    except (BuildError, boots_from.BootsFromError) as error:
        print(f"update-packages: error: {error}", file=sys.stderr)
        return 2
    except (BootError, StartError) as error:
        print(f"update-packages: error: {error}", file=sys.stderr)
        return 1
    print("Next: make layout, make commands, an entry in CHANGELOG.md, and make test")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
