"""Lays out the template from unpacked firmware: the ESP, then the hybrid ISO around it."""

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from boots_from import image
from template import apt, contents, esp, iso, mark, shared_files
from template.apt import Package
from template.build_tools import BuildError, run, say
from template.overrides import Override
from template.paths import PACKAGES

# Every time stamp in the image: 2026-01-01 00:00:00 UTC. FAT can't go below 1980.
EPOCH = 1767225600

# iPXE on BIOS looks for no autoexec.ipxe: ISOLINUX hands it over as the initrd. One file serves both.
ISOLINUX_CFG = f"""\
SAY boots-from: loading iPXE ...
DEFAULT boots-from
LABEL boots-from
  LINUX /boot/isolinux/ipxe.lkrn
  INITRD /{image.SCRIPT}
"""

ADVICE = """\
Enroll grubx64.efi on x86-64 and grubaa64.efi on ARM64, not this file: only its name is of use, in MokManager.
"""

ABOUT = b"""\
Made by boots-from: this image boots a machine from the URL in /EFI/BOOT/autoexec.ipxe.
"""


def build(packages: list[Package], own: list[Override], output: Path, work: Path) -> None:
    """Lay out the template from unpacked firmware.

    Args:
        packages: the firmware packages' files.
        own: what takes the place of some files in them.
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
        apt.unpack(package, firmware)
    for one in own:
        say(f"{one.file} in place of {one.replaces}")
        (firmware / one.replaces).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.path, firmware / one.replaces)

    for machine, source in contents.MARKS.items():
        (firmware / source).write_bytes(mark.program(machine))
    _require([*(row.source for row in contents.ROWS if row.packaged), contents.MBR], firmware)
    listing = "".join(f"{package.name} {package.version} {package.suite} {package.sha256}\n" for package in packages)
    hashes = "".join(
        f"{row.path} {authenticode(firmware / row.source, work, env)} {row.enroll}\n"
        for row in contents.ROWS
        if row.enroll
    )
    lists = {image.PACKAGE_LIST_TITLE: listing, image.HASH_LIST_TITLE: hashes}
    if own:
        lists[image.OVERRIDE_LIST_TITLE] = "".join(f"{one.line}\n" for one in own)
    about = b"".join(title + lines.encode() + b"\n" for title, lines in lists.items()) + ABOUT
    for name, content in (
        (contents.SLOT, image.SLOT),
        (contents.LIST, about),
        (contents.ADVICE, ADVICE.encode()),
        (contents.CONFIGURATION, ISOLINUX_CFG.encode()),
    ):
        (firmware / name).write_bytes(content)

    esp_image = work / "esp.img"
    on_esp = {row.path: firmware / row.source for row in contents.ROWS if row.where == contents.ESP}
    esp.make(on_esp, esp_image, env)
    say(f"ESP   {esp_image.stat().st_size:>10,} bytes")

    tree = work / "tree"
    in_tree = {row.path: (firmware / row.source).read_bytes() for row in contents.ROWS if row.where == contents.ISO}
    in_tree |= {path: shared_files.placeholder(path) for path in on_esp}
    for path, content in in_tree.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    made = work / "template.iso"
    date = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH))
    # The placeholders behind the others, so that the zeros which they become join those in front of the ESP.
    iso.make(tree, esp_image, firmware / contents.MBR, made, date, env, last=on_esp)

    whole = bytearray(made.read_bytes())
    share(whole, esp_image, on_esp)
    image.slot_offset(whole)
    _put(bytes(whole), output)
    say(f"image {len(whole):>10,} bytes, with a slot of {image.SLOT_SIZE:,} bytes")
    say(f"SHA-256 {hashlib.sha256(whole).hexdigest()}")


def share(whole: bytearray, esp_image: Path, on_esp: dict[str, Path]) -> None:
    """Let the image's ISO 9660 tree point to the files on its ESP; raise BuildError if one is not as expected there."""
    content = esp_image.read_bytes()
    start = whole.rfind(content)
    if start < 0:
        raise BuildError("the ISO that xorriso made does not hold the ESP as it was given")
    starts = esp.places(esp_image)
    files = {}
    for path, source in on_esp.items():
        if path not in starts:
            raise BuildError(f"{path} is an empty file: leave its row out of template/contents.py")
        file = source.read_bytes()
        at = start + starts[path]
        if whole[at : at + len(file)] != file or at % shared_files.BLOCK:
            raise BuildError(f"{path} is not at byte {at} of the image, or no block begins there")
        files[path] = shared_files.Extent(at // shared_files.BLOCK, len(file))
    shared_files.point_into_esp(whole, files, start // shared_files.BLOCK)


def _put(content: bytes, output: Path) -> None:
    """Write a file beside its final name, then rename: two builds at a time each put a whole one there."""
    # Its name is in .gitignore, which the wheel goes by, too.
    with tempfile.NamedTemporaryFile(
        prefix=f".{output.name}.", suffix=".part", dir=output.parent, delete=False
    ) as part:
        try:
            part.write(content)
            part.flush()
            Path(part.name).chmod(0o666 & ~_umask())
            Path(part.name).replace(output)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def authenticode(program: Path, work: Path, env: dict[str, str]) -> str:
    """Return a UEFI program's SHA-256 as Secure Boot and MokManager count it, in hexadecimal.

    It leaves out the checksum and the signature (Microsoft: Windows Authenticode Portable Executable
    Signature Format).
    """
    said = run(["hash-to-efi-sig-list", str(program), str(work / "signature-list")], env)
    return said.split()[-1]


def _require(sources: list[str], firmware: Path) -> None:
    for source in sources:
        if not (firmware / source).exists():
            name = Path(source).name
            raise BuildError(f"the firmware packages hold no {name}: pin the tested versions in {PACKAGES.name}")
