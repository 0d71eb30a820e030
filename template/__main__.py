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
from template.tool import BuildError, run, say

CHECKOUT = Path(__file__).resolve().parent.parent
FIRMWARE = CHECKOUT / "template" / "firmware.toml"
TEMPLATE = CHECKOUT / "src" / "boots_from" / "template.iso"
CACHE = CHECKOUT / "build" / "packages"

# Every time stamp in the image: 2026-01-01 00:00:00 UTC. FAT can't go below 1980.
EPOCH = 1767225600

SCRIPT = image.SCRIPT
# From the names that UEFI and shim look for on removable media to the packages' files. On x86-64 and
# ARM64 shim comes first: Microsoft has signed it, so Secure Boot runs it, and it runs grub*.efi, which
# is iPXE, once the operator has enrolled its hash with MokManager, mm*.efi. shim knows no other names.
LOADERS = {
    "EFI/BOOT/grubx64.efi": "usr/lib/ipxe/ipxe-amd64.efi",
    "EFI/BOOT/grubaa64.efi": "usr/lib/ipxe/ipxe-arm64.efi",
    # The second build, which iPXE starts for https with ECDSA; -x86_64 and -arm64 are iPXE's ${buildarch}.
    # snponly.efi has no drivers: it uses the card through the first build. Debian has none for ARM64.
    "EFI/BOOT/ecdsa-x86_64.efi": "ecdsa/usr/lib/ipxe/snponly.efi",
    "EFI/BOOT/ecdsa-arm64.efi": "ecdsa/usr/lib/ipxe/ipxe-arm64.efi",
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "EFI/BOOT/BOOTAA64.EFI": "usr/lib/shim/shimaa64.efi.signed",
    "EFI/BOOT/mmaa64.efi": "usr/lib/shim/mmaa64.efi.signed",
    "EFI/BOOT/BOOTRISCV64.EFI": "usr/lib/ipxe/ipxe-riscv64.efi",
    "EFI/BOOT/BOOTLOONGARCH64.EFI": "usr/lib/ipxe/ipxe-loong64.efi",
}
# What the operator enrolls, and for what. MokManager shows nothing but the names of the files that one can
# choose, in the order of writing, and so the first is one that says which.
ENROLLED = {
    "EFI/BOOT/grubx64.efi": "x86-64",
    "EFI/BOOT/grubaa64.efi": "ARM64",
    "EFI/BOOT/ecdsa-x86_64.efi": "x86-64, https with ECDSA",
    "EFI/BOOT/ecdsa-arm64.efi": "ARM64, https with ECDSA",
}
HINT = "EFI/BOOT/ENROLL grubx64.efi (ARM64 - grubaa64.efi)"
# What lies on ISO 9660 too, for sticks made by copying the ISO's files: x86-64 whole, ARM64 without shim
# (it and its MokManager would take the image over 14 MiB). RISC-V and LoongArch have no such users yet.
COPIED = {
    **{
        path: LOADERS[path]
        for path in ("EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi", "EFI/BOOT/ecdsa-x86_64.efi")
    },
    "EFI/BOOT/BOOTAA64.EFI": LOADERS["EFI/BOOT/grubaa64.efi"],
}

# What BIOS needs.
BIOS = {
    "boot/isolinux/isolinux.bin": "usr/lib/ISOLINUX/isolinux.bin",
    "boot/isolinux/ldlinux.c32": "usr/lib/syslinux/modules/bios/ldlinux.c32",
    "boot/isolinux/ipxe.lkrn": "usr/lib/ipxe/ipxe.lkrn",
}
MBR = "usr/lib/ISOLINUX/isohdpfx.bin"
# All programs in the image; the MBR is no file.
SOURCES = {**LOADERS, **BIOS, "MBR": MBR}

# iPXE on BIOS looks for no autoexec.ipxe: ISOLINUX hands it over as the initrd. One file serves both.
ISOLINUX_CFG = f"""\
SAY boots-from: loading iPXE ...
DEFAULT boots-from
LABEL boots-from
  LINUX /boot/isolinux/ipxe.lkrn
  INITRD /{SCRIPT}
"""

ABOUT = b"""\
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

    slot = work / "autoexec.ipxe"
    slot.write_bytes(image.SLOT)
    listing = "".join(f"{package.name} {package.version} {package.suite} {package.sha256}\n" for package in packages)
    loaders = {path: firmware / name for path, name in LOADERS.items()}
    _require(firmware / name for name in SOURCES.values())
    hashes = "".join(f"{path} {authenticode(loaders[path], work, env)} {what}\n" for path, what in ENROLLED.items())
    about = work / "firmware.txt"
    about.write_bytes(
        image.FIRMWARE_LIST_TITLE + listing.encode() + b"\n" + image.HASH_LIST_TITLE + hashes.encode() + b"\n" + ABOUT
    )

    esp_image = work / "esp.img"
    esp.make({HINT: about, **loaders, SCRIPT: slot}, esp_image, env)
    say(f"ESP   {esp_image.stat().st_size:>10,} bytes")

    tree = work / "tree"
    for path, name in {**COPIED, **BIOS}.items():
        _place((firmware / name).read_bytes(), tree / path)
    for path in ("firmware.txt", HINT):
        _place(about.read_bytes(), tree / path)
    _place(image.SLOT, tree / SCRIPT)
    _place(ISOLINUX_CFG.encode(), tree / "boot/isolinux/isolinux.cfg")
    made = work / "template.iso"
    date = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH))
    iso.make(tree, esp_image, firmware / MBR, made, date, env)

    image.check(made.read_bytes())
    part = output.with_name(f".{output.name}.part")
    shutil.copyfile(made, part)
    part.replace(output)
    content = output.read_bytes()
    say(f"image {len(content):>10,} bytes, {image.SLOT_COPIES} slots of {image.SLOT_SIZE:,} bytes")
    say(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


def authenticode(program: Path, work: Path, env: dict[str, str]) -> str:
    """Return a UEFI program's SHA-256 as Secure Boot and MokManager count it, in hexadecimal.

    It leaves out the checksum and the signature (Microsoft: Windows Authenticode Portable Executable
    Signature Format).
    """
    said = run(["hash-to-efi-sig-list", str(program), str(work / "signature-list")], env)
    return said.split()[-1]


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
    except OSError as error:
        why = f"can't write {error.filename} ({(error.strerror or str(error)).lower()})"
        print(f"template: {why}: build in a checkout that you may write to", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
