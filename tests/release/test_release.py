"""What is released: the same bytes wherever it is made, and a bill of materials that is true."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import boots_from
from boots_from import image
from release import bill_of_materials, bump
from release.files import BILL, PREBAKED, PREBAKED_URL, SUMS
from template import archive, layout
from template.archive import Package, load_pins
from template.build import build
from template.checkout import CACHE, FIRMWARE, TEMPLATE
from template.tool import BuildError
from tests import clone
from tests.pinned import pinned_only

VERSION = boots_from.__version__


def make(place: Path, umask: int, zone: str) -> Path:
    """Make a release from nothing but the files under version control, and the packages; return its directory."""
    clone.copy(place, packages=True)
    env = {**os.environ, "PYTHONPATH": str(place / "src"), "TZ": zone}
    for module in ("template", "release"):
        subprocess.run([sys.executable, "-m", module], cwd=place, env=env, umask=umask, check=True)
    return place / "dist"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two releases, made in two places."""
    return (
        make(tmp_path_factory.mktemp("one"), 0o022, "UTC"),
        make(tmp_path_factory.mktemp("another place"), 0o077, "Pacific/Kiritimati"),
    )


def test_bump_changes_versions_and_hashes_and_nothing_else() -> None:
    text = FIRMWARE.read_text()
    pins = load_pins(FIRMWARE)
    packages = [
        Package(pin.qualified_name, f"9:{number}.0+x", pin.suite, "ab" * 32, CACHE) for number, pin in enumerate(pins)
    ]
    bumped = bump.pin(text, packages)
    changed = [new for old, new in zip(text.splitlines(), bumped.splitlines(), strict=True) if old != new]
    assert [line for line in changed if line.startswith("version")] == [
        f'version = "{package.version}"' for package in packages
    ]
    assert len(changed) == 2 * len(packages)
    unchanged = [Package(pin.qualified_name, pin.version, pin.suite, pin.sha256, CACHE) for pin in pins]
    assert bump.pin(bumped, unchanged) == text


def test_bump_shows_features_that_take_more_than_a_line() -> None:
    """As BIOS's screen has them, and UEFI's."""
    bios = "Features: VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu \r\nPXEXT\r\n\nboots-from"
    assert bump.features_on(bios) == "VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu PXEXT"
    assert bump.features_on("Features: VLAN DNS AoE EFI Menu\r\n\r\nboots-from") == "VLAN DNS AoE EFI Menu"


@pytest.mark.parametrize("second", [False, True], ids=["the pinned one", "iPXE 2.0"])
def test_bump_tells_an_ipxe_with_usb_host_drivers(tmp_path: Path, second: bool) -> None:
    """As the second build is, were it the first."""
    first, other, *rest = load_pins(FIRMWARE)
    packages = archive.fetch([replace(other, folder="") if second else first, other, *rest], CACHE)
    template = tmp_path / "template.iso"
    (tmp_path / "work").mkdir()
    build(packages, [], template, tmp_path / "work")
    assert bump.leaves_usb_to_the_firmware(template.read_bytes()) is not second


@pinned_only
def test_two_releases_are_equal(releases: tuple[Path, Path]) -> None:
    one, other = ({file.name: file.read_bytes() for file in release.iterdir()} for release in releases)
    assert sorted(one) == sorted(
        [
            f"boots_from-{VERSION}-py3-none-any.whl",
            f"boots_from-{VERSION}.tar.gz",
            PREBAKED,
            "boots-from.html",
            BILL,
            SUMS,
        ]
    )
    assert one == other
    assert one[PREBAKED] == boots_from.bake(PREBAKED_URL)


@pinned_only
def test_sums_are_of_every_other_file(releases: tuple[Path, Path]) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=releases[0], check=True, capture_output=True, text=True
    )
    names = {line.removesuffix(": OK") for line in checked.stdout.splitlines()}
    assert names == {file.name for file in releases[0].iterdir()} - {SUMS}


@pinned_only
def test_bill_names_every_package_and_every_program(releases: tuple[Path, Path]) -> None:
    text = (releases[0] / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == bill_of_materials.make(image.read_template())
    bill = json.loads(text)
    *packages, mark = bill["components"]
    listed = [f"{part['name']} {part['version']} {part['hashes'][0]['content']}" for part in packages]
    firmware = [line.split() for line in image.firmware(image.read_template())]
    assert listed == [f"{name} {version} {sha256}" for name, version, _, sha256 in firmware]
    sources = {part["name"]: [entry["value"] for entry in part["properties"]] for part in packages}
    assert sources["syslinux-common"] == sources["isolinux"]
    assert sources["shim-signed:arm64"][0] == "shim"
    assert all(part["licenses"] for part in bill["components"])
    files = {file["name"] for part in bill["components"] for file in part["components"]}
    loaders = {f"EFI/BOOT/{name}" for name in ("BOOTX64.EFI", "grubx64.efi", "mmx64.efi", "BOOTRISCV64.EFI")}
    assert loaders | {"boot/isolinux/ipxe.lkrn", "MBR"} <= files
    assert len(files) == 18
    assert mark["name"] == "boots-from-mark"
    assert {file["name"] for file in mark["components"]} == {
        f"EFI/BOOT/mark-running-{machine}.efi" for machine in ("x86_64", "arm64", "riscv64", "loong64")
    }
    # Two builds of iPXE, each with its own files.
    builds = {part["version"]: part for part in bill["components"] if part["name"] == "ipxe"}
    assert len(builds) == 2
    newer = next(part for version, part in builds.items() if version.startswith("2."))
    assert {file["name"] for file in newer["components"]} == {
        "EFI/BOOT/newer-ipxe-x86_64.efi",
        "EFI/BOOT/newer-ipxe-arm64.efi",
    }


def test_bill_is_of_the_image_that_it_is_given() -> None:
    """The hashes are of its own bytes, and its own list says what it is made of."""
    template = image.read_template()
    files = {
        file["name"]: file["hashes"][0]["content"]
        for part in json.loads(bill_of_materials.make(template))["components"]
        for file in part["components"]
    }
    parts = {part.what: part for part in layout.ranges(TEMPLATE)}
    isolinux = parts["/boot/isolinux/isolinux.bin"]
    content = template[isolinux.start : isolinux.start + isolinux.size]
    assert files["boot/isolinux/isolinux.bin"] == sha256(content).hexdigest()
    for what in (
        "/EFI/BOOT/grubx64.efi",
        "/EFI/BOOT/mark-running-arm64.efi",
        "/boot/isolinux/isolinux.bin",
        "MBR, boot code",
    ):
        other = bytearray(template)
        other[parts[what].start + 100] ^= 1
        with pytest.raises(BuildError, match=r"the image's .* is not .*'s: build it anew"):
            bill_of_materials.make(bytes(other))
    name, version, *_ = image.firmware(template)[0].split()
    another = template.replace(f"{name} {version} ".encode(), f"{name} {version[:-1]}~ ".encode())
    bill = json.loads(bill_of_materials.make(another))
    assert bill["components"][0]["version"] == f"{version[:-1]}~"
