"""Make src/boots_from/template.iso: python -m template, in the checkout."""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from boots_from import image
from template import archive, esp, iso
from template.archive import Package
from template.tool import BuildError, say

CHECKOUT = Path(__file__).resolve().parent.parent
FIRMWARE = CHECKOUT / "template" / "firmware.toml"
TEMPLATE = CHECKOUT / "src" / "boots_from" / "template.iso"
CACHE = CHECKOUT / "build" / "packages"

# Every time stamp in the image: 2026-01-01 00:00:00 UTC. FAT can't go below 1980.
EPOCH = 1767225600

SCRIPT = "EFI/BOOT/autoexec.ipxe"
# From the ipxe package's files to the names that UEFI looks for on removable media.
LOADERS = {
    "ipxe-amd64.efi": "EFI/BOOT/BOOTX64.EFI",
    "ipxe-arm64.efi": "EFI/BOOT/BOOTAA64.EFI",
    "ipxe-riscv64.efi": "EFI/BOOT/BOOTRISCV64.EFI",
    "ipxe-loong64.efi": "EFI/BOOT/BOOTLOONGARCH64.EFI",
}
# Those that lie on ISO 9660 too, for sticks made by copying the ISO's files. The machines of the
# other two have no such users yet, and each costs 1 MB.
COPIED = ("ipxe-amd64.efi", "ipxe-arm64.efi")

# iPXE on BIOS looks for no autoexec.ipxe: ISOLINUX hands it over as the initrd. One file serves both.
ISOLINUX_CFG = f"""\
SAY boots-from: loading iPXE ...
DEFAULT boots-from
LABEL boots-from
  LINUX /boot/isolinux/ipxe.lkrn
  INITRD /{SCRIPT}
"""

ABOUT = """\
Made by boots-from: this image boots a machine from the URL in /EFI/BOOT/autoexec.ipxe.
"""


def build(packages: list[Package], output: Path, work: Path) -> None:
    """Lay out the template from unpacked firmware.

    Args:
        packages: the firmware packages' files.
        output: the image to write; replaced only when the new one is whole.
        work: an empty directory to work in.

    Raises:
        BuildError: a tool failed, or a package lacks a file.
    """
    env = {
        "PATH": os.environ["PATH"],
        "SOURCE_DATE_EPOCH": str(EPOCH),  # mtools and xorriso take every "now" from it
        "TZ": "UTC",  # FAT stores local time
        "LC_ALL": "C",
        "MTOOLSRC": "/dev/null",
    }
    firmware = work / "firmware"
    for package in packages:
        archive.unpack(package, firmware)
    lib = firmware / "usr" / "lib"

    slot = work / "autoexec.ipxe"
    slot.write_bytes(image.SLOT)
    listing = "".join(f"{package.name} {package.version} {package.suite} {package.sha256}\n" for package in packages)
    about = work / "firmware.txt"
    about.write_bytes(image.FIRMWARE_LIST_TITLE + listing.encode() + b"\n" + ABOUT.encode())

    esp_image = work / "esp.img"
    loaders = {path: lib / "ipxe" / name for name, path in LOADERS.items()}
    _require(loaders.values())
    esp.make({**loaders, SCRIPT: slot}, esp_image, env)
    say(f"ESP   {esp_image.stat().st_size:>10,} bytes")

    tree = work / "tree"
    copies = {LOADERS[name]: lib / "ipxe" / name for name in COPIED} | {
        SCRIPT: slot,
        "firmware.txt": about,
        "boot/isolinux/isolinux.bin": lib / "ISOLINUX" / "isolinux.bin",
        "boot/isolinux/ldlinux.c32": lib / "syslinux" / "modules" / "bios" / "ldlinux.c32",
        "boot/isolinux/ipxe.lkrn": lib / "ipxe" / "ipxe.lkrn",
    }
    _require(copies.values())
    for path, source in copies.items():
        _place(source.read_bytes(), tree / path)
    _place(ISOLINUX_CFG.encode(), tree / "boot/isolinux/isolinux.cfg")
    made = work / "template.iso"
    date = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH))
    iso.make(tree, esp_image, lib / "ISOLINUX" / "isohdpfx.bin", made, date, env)

    image.check(made.read_bytes())
    part = output.with_name(f".{output.name}.part")
    shutil.copyfile(made, part)
    part.replace(output)
    content = output.read_bytes()
    say(f"image {len(content):>10,} bytes, {image.SLOT_COPIES} slots of {image.SLOT_SIZE:,} bytes")
    say(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


def _require(files: Iterable[Path]) -> None:
    for file in files:
        if not file.exists():
            raise BuildError(f"the firmware packages hold no {file.name}: pin the tested versions in {FIRMWARE.name}")


def _place(content: bytes, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def main() -> int:
    """Build the template; return the exit status."""
    try:
        print("Firmware", flush=True)
        packages = archive.fetch(archive.load_pins(FIRMWARE), CACHE)
        print("Template", flush=True)
        with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
            build(packages, TEMPLATE, Path(work))
    except BuildError as error:
        print(f"template: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
