"""Pin the newest firmware that the suites have: python -m release.update_packages, which make update-packages runs.

Lays out the template with it, and shows versions, sizes and iPXE's features before and after. An iPXE that takes
the keyboard's USB controller from the firmware is not pinned.
"""

import re
import sys
import tempfile
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
from template.pins import load_pins


def newest() -> list[Package]:
    """Fetch the newest version of each pinned package.

    Raises:
        BuildError: one can't be had, or is older than the pinned one.
    """
    pins = load_pins(PACKAGES)
    packages = apt.fetch([replace(pin, version="", sha256="") for pin in pins], CACHE)
    for pin, package in zip(pins, packages, strict=True):
        if apt.is_older(package.version, pin.version):
            raise BuildError(
                f"the newest {package.name} that {pin.suite} has here, {package.version}, is older than the pinned "
                f"{pin.version}: the mirror is out of date: use another one"
            )
    return packages


def pin(text: str, packages: list[Package]) -> str:
    """Return packages.toml's text with these versions and hashes; comments and order stay.

    Args:
        text: the file as it is, one table for each package, in their order.
        packages: what is to be pinned.
    """
    head, *tables = text.split("[[package]]")
    for number, package in enumerate(packages):
        for key, value in (("version", package.version), ("sha256", package.sha256)):
            tables[number] = re.sub(f'{key} = "[^"]*"', f'{key} = "{value}"', tables[number])
    return "[[package]]".join([head, *tables])


def features(firmware: Firmware) -> str:
    """Boot the template; return the line in which iPXE names its features."""
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        work = Path(name)
        iso = work / "boots-from.iso"
        iso.write_bytes(boots_from.bake("http://bootserver/boot"))
        with Machine(firmware, AHCI_CD.arguments(iso), work, f"bump-{firmware.name}") as running:
            running.wait_for("boots-from: booting from", firmware.seconds)
            return features_on(running.console)


def features_on(console: str) -> str:
    """Return the line in which iPXE names its features; it may be wider than the screen, which breaks it anywhere."""
    (lines,) = re.findall(r"Features: (.*?)\n\n", console.replace("\r", ""), re.DOTALL)
    return str(lines).replace("\n", "").strip()


def leaves_usb_to_the_firmware(template: bytes) -> bool:
    """Return whether a template's iPXE lets BIOS keep its keyboard on USB 3, in two boots.

    On a busy host a driver may time out before it has the controller.

    Raises:
        BootError: it doesn't boot.
    """
    return all(_types(template) for _ in range(2))


def _types(template: bytes) -> bool:
    """Boot once, press a key, and return whether it arrived."""
    with tempfile.TemporaryDirectory(prefix="boots-from-") as name:
        work = Path(name)
        iso = work / "boots-from.iso"
        iso.write_bytes(image.fill(template, b"#!ipxe\nprompt --key y Press y: && echo typed\nsleep 600\n"))
        media = [*AHCI_CD.arguments(iso), *machine.usb_keyboard("qemu-xhci")]
        with Machine(BIOS, media, work, "bump-keyboard") as running:
            running.wait_for("Press y:", BIOS.seconds)
            try:
                running.press("y", shows="typed")
            except BootError:
                return False
            return True


def show() -> None:
    """Print what the template is made of, how large it is, and what its iPXE can do."""
    template = image.read_template()
    for line in image.packages(template):
        print("  " + " ".join(line.split()[:2]))
    print(f"  image {len(template):,} bytes")
    for firmware in (BIOS, UEFI):
        print(f"  {firmware.name}: {features(firmware)}", flush=True)


def main() -> int:
    """Bump; return the exit status: 2 if something can't be had, 1 if the new firmware does not do."""
    try:
        print("Before", flush=True)
        show()
        before = PACKAGES.read_text()
        after = pin(before, newest())
        if after == before:
            print("Nothing newer")
            return 0
        PACKAGES.write_text(after)
        if make_template():
            return 2
        print("After", flush=True)
        show()
        if not leaves_usb_to_the_firmware(image.read_template()):
            PACKAGES.write_text(before)
            make_template()
            print(
                "bump: nothing was pinned: this iPXE has USB host drivers, and a keyboard on USB 3 is dead under BIOS: "
                f"leave ipxe in a suite whose build has none, in {PACKAGES.name}",
                file=sys.stderr,
            )
            return 1
    except (BuildError, boots_from.BootsFromError) as error:
        print(f"bump: {error}", file=sys.stderr)
        return 2
    except (BootError, StartError) as error:
        print(f"bump: {error}", file=sys.stderr)
        return 1
    print("Now: make layout, make test, CHANGELOG.md, and the hashes in docs/how-to/secure-boot.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
