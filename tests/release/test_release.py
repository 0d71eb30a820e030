"""Release files: the same bytes wherever they are built, and a correct bill of materials."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import boots_from
from boots_from import image
from release import bill_of_materials, update_packages
from release.artifacts import BILL, PREBAKED, PREBAKED_URL, SUMS, ZIPAPP
from template import apt, contents, image_map
from template import mark as mark_programs
from template.apt import Package
from template.build import build
from template.build_tools import BuildError
from template.paths import CACHE, CHECKOUT, PACKAGES, TEMPLATE
from template.pins import load_pins
from tests import fresh_checkout
from tests.pinned_packages import pinned_only
from tests.release.test_workflows import scripts

VERSION = boots_from.__version__


def make(place: Path, umask: int, zone: str) -> Path:
    """Make a release from the files under version control and the downloaded packages; return its directory."""
    fresh_checkout.copy(place, packages=True)
    env = {**os.environ, "PYTHONPATH": str(place / "src"), "TZ": zone}
    for module in ("template", "release"):
        subprocess.run([sys.executable, "-m", module], cwd=place, env=env, umask=umask, check=True)
    return place / "dist"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two releases, made in different directories."""
    return (
        make(tmp_path_factory.mktemp("one"), 0o022, "UTC"),
        make(tmp_path_factory.mktemp("another place"), 0o077, "Pacific/Kiritimati"),
    )


def test_pinning_changes_only_versions_and_hashes() -> None:
    text = PACKAGES.read_text()
    pins = load_pins(PACKAGES)
    packages = [
        Package(pin.qualified_name, f"9:{number}.0+x", pin.suite, "ab" * 32, CACHE) for number, pin in enumerate(pins)
    ]
    updated = update_packages.pin(text, packages[::-1])  # the order does not matter
    changed = [new for old, new in zip(text.splitlines(), updated.splitlines(), strict=True) if old != new]
    assert [line for line in changed if line.startswith("version")] == [
        f'version = "{package.version}"' for package in packages
    ]
    assert len(changed) == 2 * len(packages)
    unchanged = [Package(pin.qualified_name, pin.version, pin.suite, pin.sha256, CACHE) for pin in pins]
    assert update_packages.pin(updated, unchanged) == text


def test_feature_list_wider_than_screen() -> None:
    """With the line breaks of a BIOS screen, and of a UEFI console."""
    bios = "Features: VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu \r\nPXEXT\r\n\nboots-from"
    assert (
        update_packages.features_on(bios)
        == "VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu PXEXT"
    )
    assert update_packages.features_on("Features: VLAN DNS AoE EFI Menu\r\n\r\nboots-from") == "VLAN DNS AoE EFI Menu"


@pytest.mark.parametrize("usb_drivers", [False, True], ids=["main iPXE", "iPXE 2.0"])
def test_ipxe_with_usb_drivers_is_detected(tmp_path: Path, usb_drivers: bool) -> None:
    """The package of the ECDSA iPXE has them, if its files replace those of the main iPXE."""
    main, ecdsa, *rest = load_pins(PACKAGES)
    packages = apt.fetch([replace(ecdsa, folder="") if usb_drivers else main, ecdsa, *rest], CACHE)
    template = tmp_path / "template.iso"
    (tmp_path / "work").mkdir()
    build(packages, [], template, tmp_path / "work")
    assert update_packages.leaves_usb_to_firmware(template.read_bytes()) is not usb_drivers


@pinned_only
def test_two_releases_are_equal(releases: tuple[Path, Path]) -> None:
    one, other = ({file.name: file.read_bytes() for file in release.iterdir()} for release in releases)
    assert sorted(one) == sorted(
        [
            f"boots_from-{VERSION}-py3-none-any.whl",
            f"boots_from-{VERSION}.tar.gz",
            PREBAKED,
            "boots-from.html",
            ZIPAPP,
            BILL,
            SUMS,
        ]
    )
    assert one == other
    assert one[PREBAKED] == boots_from.bake(PREBAKED_URL)


@pinned_only
def test_sums_cover_every_other_file(releases: tuple[Path, Path]) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=releases[0], check=True, capture_output=True, text=True
    )
    names = {line.removesuffix(": OK") for line in checked.stdout.splitlines()}
    assert names == {file.name for file in releases[0].iterdir()} - {SUMS}


@pinned_only
def test_bill_has_every_package_and_program(releases: tuple[Path, Path]) -> None:
    text = (releases[0] / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == bill_of_materials.make(image.read_template())
    bill = json.loads(text)
    *packages, mark = bill["components"]
    listed = [f"{part['name']} {part['version']} {part['hashes'][0]['content']}" for part in packages]
    in_image = [line.split() for line in image.packages(image.read_template())]
    assert listed == [f"{name} {version} {sha256}" for name, version, _, sha256 in in_image]
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
        f"EFI/BOOT/mark-running-{machine}.efi" for machine in mark_programs.ARCHITECTURES
    }
    # Both builds of iPXE, each with its own files.
    builds = [part for part in bill["components"] if part["name"] == "ipxe"]
    (ecdsa_pin,) = (pin for pin in load_pins(PACKAGES) if pin.folder == "ecdsa")
    (ecdsa,) = (part for part in builds if part["version"] == ecdsa_pin.version)
    assert len(builds) == 2
    assert {"EFI/BOOT/ecdsa-ipxe-x86_64.efi", "EFI/BOOT/ecdsa-ipxe-arm64.efi"} <= {
        file["name"] for file in ecdsa["components"]
    }


def files_in(image_file: Path, work: Path) -> dict[str, bytes]:
    """Return each file of both file systems, as public tools read it, by its name in the bill."""
    iso, esp = work / "iso", work / "esp"
    extract = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", str(image_file), "-extract", "/", str(iso)]
    subprocess.run(extract, check=True, capture_output=True)
    report = ["xorriso", "-no_rc", "-indev", str(image_file), "-report_system_area", "plain"]
    printed = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    partition = re.search(r"MBR partition *: *2 +\S+ +0xef +(\d+) +(\d+)", printed)
    assert partition
    start, size = (512 * int(word) for word in partition.groups())
    (work / "esp.img").write_bytes(image_file.read_bytes()[start : start + size])
    esp.mkdir()
    subprocess.run(["mcopy", "-s", "-n", "-i", work / "esp.img", "::*", esp], check=True, capture_output=True)
    found: dict[str, bytes] = {}
    for tree in (iso, esp):
        for file in tree.rglob("*"):
            if file.is_file():
                file.chmod(0o600)
                content = file.read_bytes()
                assert found.setdefault(str(file.relative_to(tree)), content) == content  # the same in both
    return found


@pinned_only
def test_bill_has_every_file_in_the_image(tmp_path: Path) -> None:
    """With its hash, in the component of its package; except for the files that the build itself writes."""
    bill = json.loads(bill_of_materials.make(image.read_template()))
    hashes = {
        file["name"]: (part["name"], file["hashes"][0]["content"])
        for part in bill["components"]
        for file in part["components"]
    }
    found = files_in(TEMPLATE, tmp_path)
    assert len(found) > 15
    marks = {row.path for row in contents.ROWS if row.source in contents.MARKS.values()}
    written = {row.path for row in contents.ROWS if not row.packaged} - marks
    assert set(found) - set(hashes) == written | {"boot/isolinux/boot.cat"}
    assert set(hashes) - set(found) == {"MBR"}
    assert {name: hashes[name][1] for name in found if name in hashes} == {
        name: sha256(content).hexdigest() for name, content in found.items() if name in hashes
    }
    owners = {name: hashes[name][0].split(":")[0] for name in hashes}
    for name, content in found.items():
        if name.endswith(".EFI"):  # of these Microsoft has signed only shim
            assert (owners[name] == "shim-signed") == (b"Microsoft Corporation UEFI CA" in content)


@pytest.fixture
def pypi() -> Iterator[tuple[str, list[bytes]]]:
    """Return the address of a server that accepts every upload, and the list of uploads."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/legacy/", taken
        server.shutdown()
        thread.join()


@pinned_only
def test_packages_can_be_uploaded(releases: tuple[Path, Path], pypi: tuple[str, list[bytes]]) -> None:
    """With the twine command of the workflow, to a local server; twine reads the metadata of the packages."""
    url, taken = pypi
    (line,) = (line for line in scripts("release.yml", "publish").splitlines() if " upload " in line)
    command = line.replace("tools/bin/python", sys.executable)
    env = {
        **os.environ,
        "TWINE_REPOSITORY_URL": url,
        "TWINE_USERNAME": "test",
        "TWINE_PASSWORD": "test",
        "NO_PROXY": "*",
    }
    env["no_proxy"] = "*"
    result = subprocess.run(
        ["bash", "-ec", command], cwd=releases[0].parent, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(taken) == 2
    for upload in taken:
        assert re.search(rb'name="metadata_version"\r\n\r\n2\.4\r\n', upload)
        assert re.search(rb'name="description_content_type"\r\n\r\ntext/markdown\r\n', upload)


@pinned_only
def test_zipapp_behaves_like_the_command(releases: tuple[Path, Path], tmp_path: Path) -> None:
    """Same image and exit status, from any directory; an old Python prints a one-line error."""
    zipapp = releases[0] / ZIPAPP
    assert os.access(zipapp, os.X_OK)
    for name in ("hashlib", "boots_from"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current directory')\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-W", "error", zipapp, *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    result = run("http://h/x")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake("http://h/x")
    refused = run("ftp://h/x")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    with zipfile.ZipFile(zipapp) as packed:
        assert packed.testzip() is None
        start = packed.read("__main__.py").decode()
    fake = "import sys, collections; sys.version_info = (3, 10, 12); sys.version = '3.10.12 (main)'\n"
    result = subprocess.run([sys.executable, "-c", fake + start], capture_output=True, text=True, check=False)
    message = "boots-from: error: Python 3.10.12 is too old: use Python 3.11 or newer\n"
    assert (result.returncode, result.stderr) == (2, message)


def test_entry_point_parses_on_old_python() -> None:
    """So that an old Python gets as far as the line that names the required version."""
    ast.parse((CHECKOUT / "src/__main__.py").read_text(), feature_version=(3, 4))


def test_plain_zipapp_has_exit_status(tmp_path: Path) -> None:
    """Made by the zipapp module of Python, with and without src/__main__.py."""
    for source, main in ((CHECKOUT / "src", []), (tmp_path / "plain", ["-m", "boots_from.cli:main"])):
        if main:
            shutil.copytree(CHECKOUT / "src/boots_from", source / "boots_from")
        made = tmp_path / "made.pyz"
        subprocess.run([sys.executable, "-m", "zipapp", source, "-o", made, *main], check=True)
        for arguments, status in ((["http://h/"], 0), (["ftp://h/"], 2), ([], 2), (["--version"], 0)):
            result = subprocess.run([sys.executable, made, *arguments], cwd=tmp_path, capture_output=True, check=False)
            assert result.returncode == status


def test_bill_describes_the_given_image() -> None:
    """Hashes of its own bytes, and the packages in its own list."""
    template = image.read_template()
    files = {
        file["name"]: file["hashes"][0]["content"]
        for part in json.loads(bill_of_materials.make(template))["components"]
        for file in part["components"]
    }
    parts = {part.what: part for part in image_map.ranges(TEMPLATE)}
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
        message = r"^\S+ in the template differs from the file in .*: run make template$"
        with pytest.raises(BuildError, match=message):
            bill_of_materials.make(bytes(other))
    name, version, *_ = image.packages(template)[0].split()
    another = template.replace(f"{name} {version} ".encode(), f"{name} {version[:-1]}~ ".encode())
    bill = json.loads(bill_of_materials.make(another))
    assert bill["components"][0]["version"] == f"{version[:-1]}~"
