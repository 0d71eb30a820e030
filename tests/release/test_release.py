"""What is released: the same bytes wherever it is made, and a bill of materials that is true."""

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
    """Make a release from nothing but the files under version control, and the packages; return its directory."""
    fresh_checkout.copy(place, packages=True)
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
    text = PACKAGES.read_text()
    pins = load_pins(PACKAGES)
    packages = [
        Package(pin.qualified_name, f"9:{number}.0+x", pin.suite, "ab" * 32, CACHE) for number, pin in enumerate(pins)
    ]
    bumped = update_packages.pin(text, packages)
    changed = [new for old, new in zip(text.splitlines(), bumped.splitlines(), strict=True) if old != new]
    assert [line for line in changed if line.startswith("version")] == [
        f'version = "{package.version}"' for package in packages
    ]
    assert len(changed) == 2 * len(packages)
    unchanged = [Package(pin.qualified_name, pin.version, pin.suite, pin.sha256, CACHE) for pin in pins]
    assert update_packages.pin(bumped, unchanged) == text


def test_bump_shows_features_that_take_more_than_a_line() -> None:
    """As BIOS's screen has them, and UEFI's."""
    bios = "Features: VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu \r\nPXEXT\r\n\nboots-from"
    assert (
        update_packages.features_on(bios)
        == "VLAN DNS HTTP HTTPS iSCSI NFS SRP TFTP AoE ELF MBOOT PXE bzImage Menu PXEXT"
    )
    assert update_packages.features_on("Features: VLAN DNS AoE EFI Menu\r\n\r\nboots-from") == "VLAN DNS AoE EFI Menu"


@pytest.mark.parametrize("second", [False, True], ids=["the pinned one", "iPXE 2.0"])
def test_bump_tells_an_ipxe_with_usb_host_drivers(tmp_path: Path, second: bool) -> None:
    """As the second build is, were it the first."""
    first, other, *rest = load_pins(PACKAGES)
    packages = apt.fetch([replace(other, folder="") if second else first, other, *rest], CACHE)
    template = tmp_path / "template.iso"
    (tmp_path / "work").mkdir()
    build(packages, [], template, tmp_path / "work")
    assert update_packages.leaves_usb_to_the_firmware(template.read_bytes()) is not second


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
    firmware = [line.split() for line in image.packages(image.read_template())]
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
    assert {"EFI/BOOT/ecdsa-ipxe-x86_64.efi", "EFI/BOOT/ecdsa-ipxe-arm64.efi"} <= {
        file["name"] for file in newer["components"]
    }


def files_of_the_image(image_file: Path, work: Path) -> dict[str, bytes]:
    """Return each file of both file systems, as public tools read them, by its name in the bill."""
    iso, esp = work / "iso", work / "esp"
    extract = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", str(image_file), "-extract", "/", str(iso)]
    subprocess.run(extract, check=True, capture_output=True)
    report = ["xorriso", "-no_rc", "-indev", str(image_file), "-report_system_area", "plain"]
    said = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    partition = re.search(r"MBR partition *: *2 +\S+ +0xef +(\d+) +(\d+)", said)
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
def test_bill_has_every_file_of_the_image(tmp_path: Path) -> None:
    """By its own hash, in the component of the package that it is from; but for what the build writes itself."""
    bill = json.loads(bill_of_materials.make(image.read_template()))
    hashes = {
        file["name"]: (part["name"], file["hashes"][0]["content"])
        for part in bill["components"]
        for file in part["components"]
    }
    found = files_of_the_image(TEMPLATE, tmp_path)
    assert len(found) > 15
    own = {row.path for row in contents.ROWS if row.source in contents.MARKS.values()}
    written = {row.path for row in contents.ROWS if not row.packaged} - own
    assert set(found) - set(hashes) == written | {"boot/isolinux/boot.cat"}
    assert set(hashes) - set(found) == {"MBR"}
    assert {name: hashes[name][1] for name in found if name in hashes} == {
        name: sha256(content).hexdigest() for name, content in found.items() if name in hashes
    }
    owners = {name: hashes[name][0].split(":")[0] for name in hashes}
    for name, content in found.items():
        if name.endswith(".EFI"):  # the only ones that Microsoft has signed are shim's
            assert (owners[name] == "shim-signed") == (b"Microsoft Corporation UEFI CA" in content)


@pytest.fixture
def pypi() -> Iterator[tuple[str, list[bytes]]]:
    """Return the address of a server that takes every upload, and what was uploaded."""
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
def test_packages_can_be_published(releases: tuple[Path, Path], pypi: tuple[str, list[bytes]]) -> None:
    """With the command of the workflow, but for where to and who: twine reads their metadata."""
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
def test_zipapp_is_the_command(releases: tuple[Path, Path], tmp_path: Path) -> None:
    """With its exit status, from any directory; an older Python gets one line."""
    zipapp = releases[0] / ZIPAPP
    assert os.access(zipapp, os.X_OK)
    for name in ("hashlib", "boots_from"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current directory')\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-W", "error", zipapp, *words],
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
    said = "boots-from: error: Python 3.10.12 is too old: use Python 3.11 or newer\n"
    assert (result.returncode, result.stderr) == (2, said)


def test_start_of_the_zipapp_is_read_by_every_python() -> None:
    """Up to the line that says what is needed: no syntax of newer ones."""
    ast.parse((CHECKOUT / "src/__main__.py").read_text(), feature_version=(3, 4))


def test_zipapp_made_in_the_usual_way_fails_with_a_status(tmp_path: Path) -> None:
    for source, main in ((CHECKOUT / "src", []), (tmp_path / "plain", ["-m", "boots_from.cli:main"])):
        if main:
            shutil.copytree(CHECKOUT / "src/boots_from", source / "boots_from")
        made = tmp_path / "made.pyz"
        subprocess.run([sys.executable, "-m", "zipapp", source, "-o", made, *main], check=True)
        for words, status in ((["http://h/"], 0), (["ftp://h/"], 2), ([], 2), (["--version"], 0)):
            result = subprocess.run([sys.executable, made, *words], cwd=tmp_path, capture_output=True, check=False)
            assert result.returncode == status


def test_bill_is_of_the_image_that_it_is_given() -> None:
    """The hashes are of its own bytes, and its own list says what it is made of."""
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
        with pytest.raises(BuildError, match=r"the image's .* is not .*'s: build it anew"):
            bill_of_materials.make(bytes(other))
    name, version, *_ = image.packages(template)[0].split()
    another = template.replace(f"{name} {version} ".encode(), f"{name} {version[:-1]}~ ".encode())
    bill = json.loads(bill_of_materials.make(another))
    assert bill["components"][0]["version"] == f"{version[:-1]}~"
