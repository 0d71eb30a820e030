"""Builds the template from unpacked packages: first the ESP, then the hybrid ISO around it."""

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from boots_from import image
from template import apt, contents, esp, iso, mark, shared_files
from template.apt import Package
from template.build_tools import BuildError, print_step, run
from template.overrides import Override
from template.paths import PACKAGES

# Every timestamp in the image: 2026-01-01 00:00:00 UTC. The earliest date in FAT is 1980-01-01.
EPOCH = 1767225600

# On BIOS iPXE does not look for autoexec.ipxe, so ISOLINUX passes the same file as the initrd.
ISOLINUX_CFG = f"""\
SAY boots-from: loading iPXE ...
DEFAULT boots-from
LABEL boots-from
  LINUX /boot/isolinux/ipxe.lkrn
  INITRD /{image.SCRIPT}
"""

ADVICE = """\
On x86-64 enroll grubx64.efi, on ARM64 grubaa64.efi. This file exists only to show its name in MokManager.
"""

ABOUT = b"""\
Written by boots-from. This image boots a machine from the URL in /EFI/BOOT/autoexec.ipxe.
"""


def build(packages: list[Package], overrides: list[Override], output: Path, work: Path) -> None:
    """Build the template.

    Args:
        packages: the packages to unpack.
        overrides: custom files that replace files of these packages.
        output: the image to write; an existing file is replaced only once the new one is complete.
        work: an empty directory to work in.

    Raises:
        BuildError: a tool failed, or a file is missing from the packages.
    """
    env = {
        "PATH": os.environ["PATH"],
        "SOURCE_DATE_EPOCH": str(EPOCH),  # mtools and xorriso use it as the current time
        "TZ": "UTC",  # FAT stores local time
        "LC_ALL": "C",
        "MTOOLSRC": "/dev/null",
    }
    unpacked = work / "unpacked"
    for package in packages:
        apt.unpack(package, unpacked)
    for override in overrides:
        print_step(f"{override.file} replaces {override.replaces}")
        (unpacked / override.replaces).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(override.path, unpacked / override.replaces)

    for buildarch, source in contents.MARKS.items():
        (unpacked / source).write_bytes(mark.program(buildarch))
    _require([*(row.source for row in contents.ROWS if row.packaged), contents.MBR], unpacked)
    listing = "".join(f"{package.name} {package.version} {package.suite} {package.sha256}\n" for package in packages)
    hashes = "".join(
        f"{row.path} {authenticode(unpacked / row.source, work, env)} {row.enroll}\n"
        for row in contents.ROWS
        if row.enroll
    )
    lists = {image.PACKAGE_LIST_TITLE: listing, image.HASH_LIST_TITLE: hashes}
    if overrides:
        lists[image.OVERRIDE_LIST_TITLE] = "".join(f"{override.line}\n" for override in overrides)
    about = b"".join(title + lines.encode() + b"\n" for title, lines in lists.items()) + ABOUT
    for name, content in (
        (contents.SLOT, image.SLOT),
        (contents.LIST, about),
        (contents.ADVICE, ADVICE.encode()),
        (contents.CONFIGURATION, ISOLINUX_CFG.encode()),
    ):
        (unpacked / name).write_bytes(content)

    esp_image = work / "esp.img"
    on_esp = {row.path: unpacked / row.source for row in contents.ROWS if row.where == contents.ESP}
    esp.make(on_esp, esp_image, env)
    print_step(f"ESP   {esp_image.stat().st_size:>10,} bytes")

    tree = work / "tree"
    in_tree = {row.path: (unpacked / row.source).read_bytes() for row in contents.ROWS if row.where == contents.ISO}
    in_tree |= {path: shared_files.placeholder(path) for path in on_esp}
    for path, content in in_tree.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    iso_file = work / "template.iso"
    date = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH))
    # The placeholders come last: they are zeroed later, and then continue the run of zeros in front of the ESP.
    iso.make(tree, esp_image, unpacked / contents.MBR, iso_file, date, env, last=on_esp)

    iso_image = bytearray(iso_file.read_bytes())
    share_files(iso_image, esp_image, on_esp)
    image.slot_offset(iso_image)
    _write_atomically(bytes(iso_image), output)
    print_step(f"image {len(iso_image):>10,} bytes, with a slot of {image.SLOT_SIZE:,} bytes")
    print_step(f"SHA-256 {hashlib.sha256(iso_image).hexdigest()}")


def share_files(iso_image: bytearray, esp_image: Path, on_esp: dict[str, Path]) -> None:
    """Make the ISO 9660 tree of an image point to the files on its ESP.

    Args:
        iso_image: the hybrid ISO; its directories are changed.
        esp_image: the ESP that is part of it.
        on_esp: path on the ESP to the file that was written there.

    Raises:
        BuildError: a file on the ESP is empty, or is not where it was expected.
    """
    start = iso_image.rfind(esp_image.read_bytes())
    if start < 0:
        raise BuildError("the ESP is not in the ISO that xorriso made: report this as a bug")
    starts = esp.places(esp_image)
    files = {}
    for path, source in on_esp.items():
        if path not in starts:
            raise BuildError(f"{path} is an empty file: remove its row from template/contents.py")
        file = source.read_bytes()
        at = start + starts[path]
        if iso_image[at : at + len(file)] != file or at % shared_files.BLOCK:
            raise BuildError(
                f"{path} does not begin at a block boundary at byte {at} of the image: report this as a bug"
            )
        files[path] = shared_files.Extent(at // shared_files.BLOCK, len(file))
    shared_files.point_into_esp(iso_image, files, start // shared_files.BLOCK)


def _write_atomically(content: bytes, output: Path) -> None:
    """Write a file under a temporary name, then rename it, so that parallel builds never mix their output."""
    # .gitignore lists this kind of name, and hatchling, which builds the wheel, follows .gitignore.
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
    """Return the SHA-256 of a UEFI program in hexadecimal, as Secure Boot and MokManager compute it.

    That hash leaves out the checksum and the signature. Source: Microsoft, Windows Authenticode Portable Executable
    Signature Format.
    """
    output = run(["hash-to-efi-sig-list", str(program), str(work / "signature-list")], env)
    return output.split()[-1]


def _require(sources: list[str], unpacked: Path) -> None:
    for source in sources:
        if not (unpacked / source).exists():
            raise BuildError(f"no pinned package contains {source}: pin the tested versions in {PACKAGES.name}")
