"""What public tools say of the finished image, and that two builds of it are equal."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import boots_from
from boots_from import image
from docgen import layout_tables as layout_page
from lab import debian
from template import contents, image_map
from template.apt import fetch
from template.paths import CACHE, CHECKOUT, PACKAGES, TEMPLATE
from template.pins import load_pins
from tests.pinned_packages import pinned_only


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("iso") / "boots-from.iso"
    file.write_bytes(boots_from.bake("http://bootserver/boot"))
    return file


def said(*command: str | Path, status: int = 0, stdin: str = "") -> str:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def partitions(iso: Path) -> list[re.Match[str]]:
    lines = said("sfdisk", "--dump", iso)
    return list(re.finditer(r"start= *(?P<start>\d+), size= *(?P<size>\d+), type=(?P<type>\w+)(?P<flags>.*)", lines))


@pytest.fixture(scope="module")
def esp(iso: Path) -> Path:
    """Return the ESP, cut out of the image by its MBR entry."""
    entry = partitions(iso)[1]
    start, size = int(entry["start"]) * 512, int(entry["size"]) * 512
    file = iso.with_name("esp.img")
    file.write_bytes(iso.read_bytes()[start : start + size])
    return file


@pinned_only
def test_at_most_10_5_megabytes(iso: Path) -> None:
    assert iso.stat().st_size <= 10_500_000


def test_mbr_has_an_active_entry_and_the_esp(iso: Path) -> None:
    iso9660, esp = partitions(iso)
    assert "bootable" in iso9660["flags"]
    assert (esp["type"], "bootable" in esp["flags"]) == ("ef", False)
    # The whole image but the GPT's copy at its end, with no gap and no overlap.
    assert int(iso9660["start"]) + int(iso9660["size"]) == int(esp["start"])
    sectors = iso.stat().st_size // 512
    assert sectors - 64 <= int(esp["start"]) + int(esp["size"]) <= sectors - 33


def test_gpt_has_the_same_two_partitions_and_no_other(iso: Path) -> None:
    report = said("xorriso", "-no_rc", "-indev", iso, "-report_system_area", "plain")
    assert "overlap" not in report
    gpt = [tuple(map(int, found)) for found in re.findall(r"GPT start and size : +\d+ +(\d+) +(\d+)", report)]
    assert gpt == [(int(entry["start"]), int(entry["size"])) for entry in partitions(iso)]
    # gdisk asks which of MBR and GPT to look at: 2 is the GPT. sgdisk can't ask, so it prints the
    # same verdict and then ends with status 2.
    for verdict in (said("gdisk", iso, stdin="2\nv\nq\n"), said("sgdisk", "-v", iso, status=2)):
        assert "No problems found" in verdict
        assert "Caution" not in verdict


def test_partition_tools_have_nothing_to_complain_of(iso: Path) -> None:
    assert "No errors detected." in said("sfdisk", "-V", iso)
    for listing in (said("fdisk", "-l", iso), said("parted", "-s", iso, "unit", "s", "print")):
        assert re.search(r"2048s? +\d+", listing)
        assert not re.search("warning|error|overlap|corrupt|differ", listing, re.IGNORECASE)
    assert "+ good" in said("xorriso", "-no_rc", "-indev", iso, "-check_media")


def test_every_byte_is_accounted_for(iso: Path) -> None:
    """No two things overlap, and what is not in the table is zero."""
    content = iso.read_bytes()
    end = 0
    for part in image_map.ranges(iso):
        assert part.start >= end, f"{part.what}, from byte {part.start} on, begins before byte {end}"
        rest = content[end : part.start].lstrip(b"\0")
        assert not rest, f"nothing says what byte {part.start - len(rest)} is, before {part.what}"
        end = part.start + part.size
    assert end == len(content)


@pinned_only
def test_page_about_the_layout_is_of_this_image(iso: Path) -> None:
    page = layout_page.PAGE.read_text()
    assert layout_page.page(page, iso) == page, "run make layout"
    assert layout_page.drawing(iso) == layout_page.PICTURE.read_text(), "run make layout"


def test_el_torito_has_bios_and_uefi(iso: Path) -> None:
    report = said("xorriso", "-no_rc", "-indev", iso, "-report_el_torito", "plain")
    bios, uefi = re.findall(r"El Torito boot img : +\d +(\w+) +y +none +0x0000 +0x00 +(\d+) +(\d+)", report)
    assert bios[:2] == ("BIOS", "4")
    # The UEFI entry is the ESP partition itself: stored once.
    entry = partitions(iso)[1]
    assert uefi == ("UEFI", entry["size"], str(int(entry["start"]) // 4))


def test_boot_sector_holds_nothing_of_mformats_own(esp: Path) -> None:
    """Its version's name, and a partition entry that names no partition."""
    sector = esp.read_bytes()[:512]
    assert sector[3:11] == b"MSWIN4.1"
    assert not any(sector[446:510])


def test_esp_is_sound(esp: Path) -> None:
    said("fsck.vfat", "-n", "-v", esp)
    listing = said("mdir", "-/", "-b", "-i", esp, "::")
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
        *(f"EFI/BOOT/mark-running-{machine}.efi" for machine in ("arm64", "loong64", "riscv64", "x86_64")),
        "EFI/BOOT/mmaa64.efi",
        "EFI/BOOT/mmx64.efi",
    ]


def test_every_program_is_there_once(iso: Path) -> None:
    """Which both file systems list: tests/template/test_readers.py reads them."""
    content = iso.read_bytes()
    root = debian.unpack(PACKAGES)
    for row in contents.ROWS:
        if row.packaged and row.path != contents.ISOLINUX:  # into which a table is written
            assert content.count((root / row.source).read_bytes()[:4096]) == 1, row.path
    assert content.count(image.PACKAGE_LIST_TITLE) == 1
    assert content.count(b"#!ipxe\n") == 1


def test_no_build_time_or_place_is_in_the_image(iso: Path) -> None:
    content = iso.read_bytes()
    assert str(CHECKOUT).encode() not in content
    assert time.strftime("%Y%m%d").encode() not in content


def test_two_builds_are_equal(tmp_path: Path) -> None:
    """In two directories, at different times, with different umask, time zone and locale."""
    built = []
    for number, umask, zone, locale in ((1, 0o022, "UTC", "C"), (2, 0o077, "Pacific/Kiritimati", "de_DE.UTF-8")):
        place = tmp_path / f"build {number}"
        place.mkdir()
        output = place / "template.iso"
        script = (
            "import sys; from pathlib import Path;"
            "from template import apt, build, overrides, pins; from template.paths import CACHE, PACKAGES;"
            "work = Path(sys.argv[1], 'work'); work.mkdir();"
            "packages = apt.fetch(pins.load_pins(PACKAGES), CACHE);"
            "build.build(packages, overrides.load(PACKAGES), Path(sys.argv[1], 'template.iso'), work)"
        )
        env = {**os.environ, "TZ": zone, "LC_ALL": locale, "LANG": locale, "SOURCE_DATE_EPOCH": str(number)}
        subprocess.run([sys.executable, "-c", script, place], cwd=CHECKOUT, env=env, umask=umask, check=True)
        built.append(output.read_bytes())
        time.sleep(2.1)  # FAT counts in steps of 2 s
    assert built[0] == built[1] == TEMPLATE.read_bytes()


def test_firmware_list_is_of_what_was_used() -> None:
    packages = fetch(load_pins(PACKAGES), CACHE)
    assert image.packages(TEMPLATE.read_bytes()) == [
        f"{package.name} {package.version} {package.suite} {package.sha256}" for package in packages
    ]
