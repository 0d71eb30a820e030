"""The mark: binutils assembles the listing to the same bytes, and public tools accept the EFI program."""

import hashlib
import itertools
import re
import subprocess
from pathlib import Path

import pytest

from boots_from import boot_script, image
from lab import debian
from template import contents, mark

# Prefixes of the names of the binutils programs in Debian.
GNU = {"x86_64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64", "loong64": "loongarch64"}
ARCHITECTURES = pytest.mark.parametrize("buildarch", mark.ARCHITECTURES)


def run(buildarch: str, tool: str, *arguments: str | Path) -> str:
    command = debian.program(debian.unpack(debian.ASSEMBLERS), f"usr/bin/{GNU[buildarch]}-linux-gnu-{tool}")
    return subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@ARCHITECTURES
def test_listing_assembles_to_the_same_bytes(buildarch: str, tmp_path: Path) -> None:
    """The whole program, and each line."""
    source, assembled, linked, code = (tmp_path / name for name in ("mark.s", "mark.o", "mark.elf", "mark.bin"))
    number = itertools.count()
    source.write_text(
        mark.BYTES.sub(lambda found: f"line{next(number)}: {found[0]}", mark.listing(buildarch).read_text())
    )
    run(buildarch, "as", "--fatal-warnings", "-o", assembled, source)
    for start in (0x1000, 0x12345000):  # the code must not depend on its address
        run(buildarch, "ld", "--no-relax", f"-Ttext={start:#x}", f"--entry={start:#x}", "-o", linked, assembled)
        run(buildarch, "objcopy", "-O", "binary", "-j", ".text", linked, code)
        assert code.read_bytes() == mark.code(buildarch)
        symbols = {
            name: int(address, 16) for address, _, name in map(str.split, run(buildarch, "nm", linked).splitlines())
        }
        address = start
        for line, found in enumerate(mark.BYTES.findall(mark.listing(buildarch).read_text())):
            assert symbols[f"line{line}"] == address
            address += len(bytes.fromhex(found))
        assert symbols["guid"] == address


@ARCHITECTURES
def test_public_tools_accept_the_program(buildarch: str, tmp_path: Path) -> None:
    file = tmp_path / "mark.efi"
    file.write_bytes(program := mark.program(buildarch))
    assert len(program) == 2048
    dump = run(buildarch, "objdump", "-x", file)
    assert re.search(r"^Magic\s+020b\b", dump, re.MULTILINE)
    for name, value in (
        ("Subsystem", "0000000a"),
        ("SectionAlignment", "00001000"),
        ("DllCharacteristics", "00000100"),
    ):
        assert re.search(rf"^{name}\s+{value}\b", dump, re.MULTILINE), name
    assert re.search(r"^AddressOfEntryPoint\s+0000000000001000$", dump, re.MULTILINE)
    assert re.findall(r"^ +\d (\.\w+) ", dump, re.MULTILINE) == [".text", ".sbat", ".reloc"]
    assert re.findall(r"offset +0 \[1000\] (\w+)", dump) == ["ABSOLUTE", "ABSOLUTE"]
    subprocess.run(["hash-to-efi-sig-list", file, tmp_path / "list"], check=True, capture_output=True)
    assert mark.GUID.bytes_le + "BootsFromRuns\0".encode("utf-16-le") in program


def test_file_names_match_the_script() -> None:
    assert "\nset mark file:/EFI/BOOT/mark-running-${buildarch}.efi\n" in boot_script.text()
    assert {row.path: row.source for row in contents.ROWS if row.source in contents.MARKS.values()} == {
        f"EFI/BOOT/mark-running-{buildarch}.efi": contents.MARKS[buildarch] for buildarch in mark.ARCHITECTURES
    }


@pytest.mark.parametrize(
    "buildarch", [name for name, architecture in mark.ARCHITECTURES.items() if architecture.secure_boot]
)
def test_script_has_last_bytes_of_hash_to_enroll(buildarch: str) -> None:
    (line,) = (
        line
        for line in image.hashes_to_enroll(image.read_template())
        if line.startswith(f"EFI/BOOT/mark-running-{buildarch}.efi ")
    )
    assert f"\nset hash-{buildarch} {line.split()[1][-8:]}\n" in boot_script.text()


# Of x86-64 and ARM64 Secure Boot knows them, and asks once more when they change.
SHA256 = {
    "x86_64": "c4f86c7e13e7585afc6cc8b3ffc2a2600dd9961094f9c753bde80286b706dd00",
    "arm64": "b397f03bf2efa0714e5242d712f72143cab2f3f18ad22d98a89a351667444f80",
    "riscv64": "6525d3bfd9ca928010edc0f37e45e2e721d7568eec9a3cfa2b7ba505cfddd757",
    "loong64": "365b475c9ffb288f8c07ea5ab29d2f72b20ac5ddadab0afa04c7263829b3e205",
}


@ARCHITECTURES
def test_program_is_the_one_that_was_tried(buildarch: str) -> None:
    """Byte by byte, with the fields that no tool and no firmware here looks at."""
    assert hashlib.sha256(mark.program(buildarch)).hexdigest() == SHA256[buildarch]
