"""The mark: a small EFI program that lets a second iPXE notice that a first iPXE is still running.

If the script of a server runs "sanboot --drive 0x80", UEFI may start this image again, inside the running iPXE. iPXE
can read UEFI variables, as ${efi/NAME}, but can't write them. This program can: each run advances the variable NAME,
from unset to 1, from 1 to 2, from 2 to unset. boot.ipxe explains what the values mean. The variable is volatile and
visible only to boot services, so it disappears with a reset and with the start of an operating system.

Building the template must not require an assembler, so this module writes the programs byte by byte. The files mark.*.s
list the machine code beside its instructions.

Sources: Microsoft, PE Format (headers, section table, .reloc); UEFI 2.10, sections 2.1.1 (images) and 8.2 (variables);
shim, SBAT.md (.sbat).
"""

import re
import struct
import uuid
from pathlib import Path
from typing import NamedTuple

NAME = "BootsFromRuns"
GUID = uuid.UUID("b0075f20-6d00-4b00-8b00-b0075f200002")  # made up for this project


class Architecture(NamedTuple):
    """A machine with UEFI: its usual name, its number in a PE header, and whether Microsoft signs shim for it."""

    name: str
    pe_machine: int
    secure_boot: bool


# By the ${buildarch} of iPXE.
ARCHITECTURES = {
    "x86_64": Architecture("x86-64", 0x8664, secure_boot=True),
    "arm64": Architecture("ARM64", 0xAA64, secure_boot=True),
    "riscv64": Architecture("RISC-V 64", 0x5064, secure_boot=False),
    "loong64": Architecture("LoongArch64", 0x6264, secure_boot=False),
}

# The bytes of an instruction in a listing.
BYTES = re.compile(r"^/\* ((?:[0-9a-f]{2} )+) *\*/ ", re.MULTILINE)

# Component name and generation, which shim compares with the revoked ones; then vendor, package, version, URL.
_SBAT = b"""\
sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md
boots-from.mark,1,boots-from,boots-from,1,no URL
"""

_FILE_ALIGNMENT = 512  # bytes: the smallest value that PE allows
_PAGE = 4096  # bytes: sections do not share pages, so that the firmware can protect each of them

# Section flags.
_CODE, _DATA, _DISCARDABLE, _EXECUTE, _READ = 0x20, 0x40, 0x02000000, 0x20000000, 0x40000000


def code(buildarch: str) -> bytes:
    """Return the machine code; the GUID follows it in the program.

    Args:
        buildarch: a key of ARCHITECTURES.
    """
    return bytes.fromhex("".join(BYTES.findall(listing(buildarch).read_text())))


def listing(buildarch: str) -> Path:
    """Return the file that lists the machine code and its instructions."""
    return Path(__file__).with_name(f"mark.{buildarch}.s")


def program(buildarch: str) -> bytes:
    """Return the EFI program.

    Args:
        buildarch: a key of ARCHITECTURES.
    """
    text = code(buildarch) + GUID.bytes_le + f"{NAME}\0".encode("utf-16-le")
    # The code runs at any address, but firmware may refuse a program without relocations. So there is one block, for
    # the first page, with two entries of type 0 (IMAGE_REL_BASED_ABSOLUTE), which change nothing.
    relocations = struct.pack("<IIHH", _PAGE, 12, 0, 0)
    contents = (
        (b".text", text, _CODE | _EXECUTE | _READ),
        (b".sbat", _SBAT, _DATA | _READ),
        (b".reloc", relocations, _DATA | _DISCARDABLE | _READ),
    )
    table, body = b"", b""
    for number, (name, content, flags) in enumerate(contents, 1):
        padded = content.ljust(_up(len(content), _FILE_ALIGNMENT), b"\0")
        position = _FILE_ALIGNMENT + len(body)
        sizes = (len(content), number * _PAGE, len(padded), position)
        table += struct.pack("<8s6I2HI", name, *sizes, 0, 0, 0, 0, flags)
        body += padded
    machine = ARCHITECTURES[buildarch].pe_machine
    header = _headers(machine, len(contents), _up(len(text), _FILE_ALIGNMENT), len(body), len(relocations))
    return (header + table).ljust(_FILE_ALIGNMENT, b"\0") + body


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _headers(machine: int, sections: int, code_size: int, size: int, relocations: int) -> bytes:
    """Return the headers in front of the section table.

    Args:
        machine: the machine field of the PE header.
        sections: the number of sections, none larger than a page; the last one contains the relocations.
        code_size: the size of the first section in the file, in bytes.
        size: the size of all sections in the file, in bytes.
        relocations: the size of the relocations, in bytes.
    """
    directories = [(0, 0)] * 16
    directories[5] = (sections * _PAGE, relocations)  # base relocation table
    optional = struct.pack(
        "<HBBIIIII",
        0x20B,  # PE32+
        *(0, 0),  # linker version
        *(code_size, size - code_size, 0),  # code, initialised data, uninitialised data
        *(_PAGE, _PAGE),  # entry point, base of code
    )
    optional += struct.pack(
        "<QIIHHHHHHIIIIHHQQQQII",
        0,  # preferred address: none
        *(_PAGE, _FILE_ALIGNMENT),
        *(0, 0, 0, 0, 0, 0, 0),  # versions of operating system, image and subsystem; reserved
        *((sections + 1) * _PAGE, _FILE_ALIGNMENT),  # size of the image in memory, of the headers in the file
        0,  # checksum
        10,  # subsystem: EFI application
        0x100,  # NX_COMPAT: no memory of the program needs to be both writable and executable
        *(0, 0, 0, 0),  # stack and heap: UEFI provides them
        *(0, len(directories)),  # reserved, number of directories
    )
    optional += b"".join(struct.pack("<II", *directory) for directory in directories)
    # The MS-DOS header, of which UEFI reads only the signature and the position of the PE header.
    dos = struct.pack("<2s58xI", b"MZ", 64)
    # 0x22: executable, large addresses. No timestamp, no symbols.
    return dos + struct.pack("<4sHHIIIHH", b"PE\0\0", machine, sections, 0, 0, 0, len(optional), 0x22) + optional
