"""The mark: a small EFI program by which a second iPXE can tell that a first one is still running.

If a server says "sanboot --drive 0x80", UEFI may start this image again, inside the iPXE that runs. iPXE can read UEFI
variables, as ${efi/NAME}, but it can't write them. This program can: each run counts the variable NAME up, from nothing
to 1, to 2, and back to nothing. boot.ipxe says what that means. The variable is volatile and visible only to boot
services, so a reset ends it, and so does the start of an operating system.

The template must not need an assembler, so the programs are written here byte by byte. mark.*.s has their machine code
beside the instructions.

Sources: Microsoft's "PE Format" (headers, section table, .reloc), UEFI 2.10 sections 2.1.1 (images) and 8.2
(variables), shim's SBAT.md (.sbat).
"""

import re
import struct
import uuid
from pathlib import Path

NAME = "BootsFromRuns"
GUID = uuid.UUID("b0075f20-6d00-4b00-8b00-b0075f200002")  # the project's own

# The machine field of the PE file header, by iPXE's ${buildarch}.
MACHINES = {"x86_64": 0x8664, "arm64": 0xAA64, "riscv64": 0x5064, "loong64": 0x6264}

# The bytes of an instruction, in a listing.
BYTES = re.compile(r"^/\* ((?:[0-9a-f]{2} )+) *\*/ ", re.MULTILINE)

# Name and generation, which shim compares with the revoked ones; then vendor, package, version, URL.
_SBAT = b"""\
sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md
boots-from.mark,1,boots-from,boots-from,1,no URL
"""

_FILE_ALIGNMENT = 512  # bytes: the smallest that PE allows
_PAGE = 4096  # bytes: no two sections share a page, so the firmware can protect each

# Section flags.
_CODE, _DATA, _DISCARDABLE, _EXECUTE, _READ = 0x20, 0x40, 0x02000000, 0x20000000, 0x40000000


def code(machine: str) -> bytes:
    """Return the machine code, which ends where the GUID begins.

    Args:
        machine: one of MACHINES.
    """
    return bytes.fromhex("".join(BYTES.findall(listing(machine).read_text())))


def listing(machine: str) -> Path:
    """Return the file with the machine code and its instructions."""
    return Path(__file__).with_name(f"mark.{machine}.s")


def program(machine: str) -> bytes:
    """Return the EFI program.

    Args:
        machine: one of MACHINES.
    """
    text = code(machine) + GUID.bytes_le + f"{NAME}\0".encode("utf-16-le")
    # The code runs at any address, but the firmware may refuse a program without relocations: one block, for the first
    # page, with two entries of type 0 (IMAGE_REL_BASED_ABSOLUTE), which change nothing.
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
    header = _headers(MACHINES[machine], len(contents), _up(len(text), _FILE_ALIGNMENT), len(body), len(relocations))
    return (header + table).ljust(_FILE_ALIGNMENT, b"\0") + body


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _headers(machine: int, sections: int, code_size: int, size: int, relocations: int) -> bytes:
    """Return what precedes the section table.

    Args:
        machine: the number of the machine.
        sections: the number of sections, each of at most a page. The last one has the relocations.
        code_size: bytes of the first section in the file.
        size: bytes of all sections in the file.
        relocations: bytes of the relocations.
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
        0x100,  # NX_COMPAT: no memory of the program is both writable and executable
        *(0, 0, 0, 0),  # stack and heap: UEFI provides them
        *(0, len(directories)),  # reserved, number of directories
    )
    optional += b"".join(struct.pack("<II", *directory) for directory in directories)
    # The MS-DOS header. UEFI reads its signature and the position of the PE header.
    dos = struct.pack("<2s58xI", b"MZ", 64)
    # 0x22: executable, large addresses. No time stamp, no symbols.
    return dos + struct.pack("<4sHHIIIHH", b"PE\0\0", machine, sections, 0, 0, 0, len(optional), 0x22) + optional
