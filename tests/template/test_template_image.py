"""Public tools accept the finished image, and two builds of it are equal."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from docgen import layout_picture, layout_tables
from lab import debian
from template import contents, image_map, mark
from template.apt import fetch
from template.paths import CACHE, CHECKOUT, PACKAGES, TEMPLATE
from template.pins import load_pins
from tests.pinned_packages import pinned_only


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("iso") / "boots-from.iso"
    file.write_bytes(boots_from.bake("http://boot.example.com/boot"))
    return file


def output_of(*command: str | Path, status: int = 0, stdin: str = "") -> str:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def partitions(iso: Path) -> list[re.Match[str]]:
    lines = output_of("sfdisk", "--dump", iso)
    return list(re.finditer(r"start= *(?P<start>\d+), size= *(?P<size>\d+), type=(?P<type>\w+)(?P<flags>.*)", lines))


@pytest.fixture(scope="module")
def esp(iso: Path) -> Path:
    """Return the ESP, extracted by its MBR entry."""
    entry = partitions(iso)[1]
    start, size = int(entry["start"]) * 512, int(entry["size"]) * 512
    file = iso.with_name("esp.img")
    file.write_bytes(iso.read_bytes()[start : start + size])
    return file


@pinned_only
def test_image_is_within_size_limit(iso: Path) -> None:
    assert iso.stat().st_size <= 10_500_000


def test_mbr_has_active_entry_and_esp(iso: Path) -> None:
    iso9660, esp = partitions(iso)
    assert "bootable" in iso9660["flags"]
    assert (esp["type"], "bootable" in esp["flags"]) == ("ef", False)
    # The partitions cover the image up to the copy of the GPT at its end, without gap or overlap.
    assert int(iso9660["start"]) + int(iso9660["size"]) == int(esp["start"])
    sectors = iso.stat().st_size // 512
    assert sectors - 64 <= int(esp["start"]) + int(esp["size"]) <= sectors - 33


def test_gpt_has_same_partitions_as_mbr(iso: Path) -> None:
    report = output_of("xorriso", "-no_rc", "-indev", iso, "-report_system_area", "plain")
    assert "overlap" not in report
    gpt = [tuple(map(int, found)) for found in re.findall(r"GPT start and size : +\d+ +(\d+) +(\d+)", report)]
    assert gpt == [(int(entry["start"]), int(entry["size"])) for entry in partitions(iso)]
    # gdisk asks which partition table to use; the answer 2 is the GPT. sgdisk can't ask: it prints the same verdict,
    # then exits with status 2.
    for verdict in (output_of("gdisk", iso, stdin="2\nv\nq\n"), output_of("sgdisk", "-v", iso, status=2)):
        assert "No problems found" in verdict
        assert "Caution" not in verdict


def test_partition_tools_report_no_problems(iso: Path) -> None:
    assert "No errors detected." in output_of("sfdisk", "-V", iso)
    for listing in (output_of("fdisk", "-l", iso), output_of("parted", "-s", iso, "unit", "s", "print")):
        assert re.search(r"2048s? +\d+", listing)
        assert not re.search("warning|error|overlap|corrupt|differ", listing, re.IGNORECASE)
    assert "+ good" in output_of("xorriso", "-no_rc", "-indev", iso, "-check_media")


def test_map_covers_every_nonzero_byte(iso: Path) -> None:
    """And its ranges do not overlap."""
    content = iso.read_bytes()
    end = 0
    for part in image_map.ranges(iso):
        assert part.start >= end, f"{part.what} at byte {part.start} overlaps the range that ends at byte {end}"
        rest = content[end : part.start].lstrip(b"\0")
        assert not rest, f"byte {part.start - len(rest)}, in front of {part.what}, is in no range, but is not zero"
        end = part.start + part.size
    assert end == len(content)


@pinned_only
def test_layout_page_matches_the_image(iso: Path) -> None:
    page = layout_tables.PAGE.read_text()
    assert layout_tables.page(page, iso) == page, "run make layout"
    assert layout_tables.drawing(iso) == layout_tables.PICTURE.read_text(), "run make layout"


def test_newer_packages_leave_picture_of_layout_as_it_is(iso: Path) -> None:
    ranges = image_map.ranges(iso)
    larger = [replace(part, start=3 * part.start, size=2 * part.size) for part in ranges]
    assert layout_picture.draw(larger) == layout_picture.draw(ranges)


def test_el_torito_has_bios_and_uefi(iso: Path) -> None:
    report = output_of("xorriso", "-no_rc", "-indev", iso, "-report_el_torito", "plain")
    bios, uefi = re.findall(r"El Torito boot img : +\d +(\w+) +y +none +0x0000 +0x00 +(\d+) +(\d+)", report)
    assert bios[:2] == ("BIOS", "4")
    # The UEFI entry points to the ESP partition, which is stored once.
    entry = partitions(iso)[1]
    assert uefi == ("UEFI", entry["size"], str(int(entry["start"]) // 4))


def test_boot_sector_is_independent_of_mformat_version(esp: Path) -> None:
    """mformat would write its version as formatter name, and an unused partition entry."""
    sector = esp.read_bytes()[:512]
    assert sector[3:11] == b"MSWIN4.1"
    assert sector[36:38] == b"\x80\0"  # BIOS's number of the drive, and a reserved byte
    assert not any(sector[446:510])


def test_esp_is_valid_and_has_all_files(esp: Path) -> None:
    output_of("fsck.vfat", "-n", "-v", esp)
    listing = output_of("mdir", "-/", "-b", "-i", esp, "::")
    assert sorted(line.removeprefix("::/") for line in listing.splitlines()) == [
        "EFI/",
        "EFI/BOOT/",
        "EFI/BOOT/BOOTAA64.EFI",
        "EFI/BOOT/BOOTLOONGARCH64.EFI",
        "EFI/BOOT/BOOTRISCV64.EFI",
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/BOOT/ENROLL grubx64.efi (ARM64 - grubaa64.efi)",
        "EFI/BOOT/autoexec.ipxe",
        "EFI/BOOT/ecdsa-ipxe-arm64.efi",
        "EFI/BOOT/ecdsa-ipxe-x86_64.efi",
        "EFI/BOOT/grubaa64.efi",
        "EFI/BOOT/grubx64.efi",
        *(f"EFI/BOOT/mark-running-{buildarch}.efi" for buildarch in sorted(mark.ARCHITECTURES)),
        "EFI/BOOT/mmaa64.efi",
        "EFI/BOOT/mmx64.efi",
    ]


def test_volume_has_fixed_names(iso: Path) -> None:
    """Otherwise xorriso writes its version, and the image depends on the host."""
    lines = output_of("isoinfo", "-d", "-i", iso).splitlines()
    assert "Volume id: BOOTS_FROM" in lines
    assert "System id: " in lines
    for field in ("Publisher", "Data preparer", "Application"):
        assert f"{field} id: BOOTS-FROM" in lines


def test_each_program_is_stored_once(iso: Path) -> None:
    """Although both file systems list it: tests/template/test_readers.py reads them."""
    content = iso.read_bytes()
    root = debian.unpack(PACKAGES)
    for row in contents.ROWS:
        if row.packaged and row.path != contents.ISOLINUX:  # xorriso writes a table into isolinux.bin
            assert content.count((root / row.source).read_bytes()[:4096]) == 1, row.path
    assert content.count(image.PACKAGE_LIST_TITLE) == 1
    assert content.count(b"#!ipxe\n") == 1


def test_image_has_no_build_path_or_date(iso: Path) -> None:
    content = iso.read_bytes()
    assert str(CHECKOUT).encode() not in content
    assert time.strftime("%Y%m%d").encode() not in content


def test_two_builds_are_equal(tmp_path: Path) -> None:
    """In different directories, at different times, with different umask, time zone and locale."""
    built = []
    for number, umask, zone, locale in ((1, 0o022, "UTC", "C"), (2, 0o077, "Pacific/Kiritimati", "de_DE.UTF-8")):
        folder = tmp_path / f"build {number}"
        folder.mkdir()
        output = folder / "template.iso"
        script = (
            "import sys; from pathlib import Path;"
            "from template import apt, build, overrides, pins; from template.paths import CACHE, PACKAGES;"
            "work = Path(sys.argv[1], 'work'); work.mkdir();"
            "packages = apt.fetch(pins.load_pins(PACKAGES), CACHE);"
            "build.build(packages, overrides.load(PACKAGES), Path(sys.argv[1], 'template.iso'), work)"
        )
        env = {**os.environ, "TZ": zone, "LC_ALL": locale, "LANG": locale, "SOURCE_DATE_EPOCH": str(number)}
        subprocess.run([sys.executable, "-c", script, folder], cwd=CHECKOUT, env=env, umask=umask, check=True)
        built.append(output.read_bytes())
        time.sleep(2.1)  # timestamps of FAT have a resolution of 2 s
    assert built[0] == built[1] == TEMPLATE.read_bytes()


def test_package_list_matches_pins() -> None:
    packages = fetch(load_pins(PACKAGES), CACHE)
    assert image.packages(TEMPLATE.read_bytes()) == [
        f"{package.name} {package.version} {package.suite} {package.sha256}" for package in packages
    ]
