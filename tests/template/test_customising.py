"""docs/how-to/customise.md, row by row: makes the edit, runs the commands of that row, and checks the result.

tests/boot/test_custom_images.py boots some of the results.
"""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from boots_from import image
from template import apt, overrides
from template.build_tools import BuildError
from template.paths import CACHE, CHECKOUT, PACKAGES, TEMPLATE
from template.pins import load_pins
from tests.custom_checkout import CustomCheckout, documented_overrides, remove_secure_boot, script
from tests.pinned_packages import pinned_only

TOML = "template/packages.toml"
CONTENTS = "template/contents.py"
IPXE = "usr/lib/ipxe/ipxe-amd64.efi"


@pytest.fixture
def checkout(tmp_path: Path) -> CustomCheckout:
    return CustomCheckout(tmp_path / "checkout")


def custom_ipxe(work: Path) -> bytes:
    """Return iPXE 2.0 for x86-64, as an example of a custom build."""
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.folder == "ecdsa"], CACHE)
    return (apt.unpack(package, work) / IPXE).read_bytes()


def file_of(baked: Path, path: str) -> bytes:
    """Return the content of a file in the ISO 9660 tree of an image."""
    return subprocess.run(["isoinfo", "-R", "-x", path, "-i", baked], check=True, capture_output=True).stdout


def test_every_row_has_a_test() -> None:
    page = (CHECKOUT / "docs/how-to/customise.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ").partition(":")[0] for line in re.findall(r"^\| .*", page, re.M)]
    rows = [re.sub(r"\d+\.\d MiB", "SIZE", row) for row in rows]
    assert rows == [
        "you want",
        "---",
        "another script",
        "a script that is longer",
        "other URL schemes",
        "a newer iPXE from Debian",  # tests/release/test_unpinned_packages.py
        "iPXE 2.0 everywhere, for machines with only a USB network card that their firmware cannot use",
        "a file of your own in place of a packaged one",
        "no Secure Boot at all, SIZE less",
        "another output file",
        "more in the image",
    ]


def test_custom_script_is_in_image(checkout: CustomCheckout) -> None:
    before = script(checkout.bake())
    checkout.edit(
        "src/boots_from/boot.ipxe", ("prompt --key s --timeout 10000 Try", "prompt --key s --timeout 5000 Try")
    )
    assert script(checkout.bake()) == before.replace(
        "prompt --key s --timeout 10000 Try", "prompt --key s --timeout 5000 Try"
    )


def test_custom_placeholder_needs_a_value(checkout: CustomCheckout) -> None:
    checkout.edit("src/boots_from/boot.ipxe", ("set try:int32 0\n", "set try:int32 0\nset tag @TAG@\n"))
    output = checkout.make("iso", "URL=http://h/x", status=2)
    assert output.startswith(
        "boots-from: error: no value for @TAG@ in boot.ipxe: add one to `words` in boot_script.py\n"
    )
    assert not (checkout.path / "boots-from.iso").exists()
    checkout.edit("src/boots_from/boot_script.py", ('"URL": boot_url.url,', '"URL": boot_url.url, "TAG": "mine",'))
    assert "\nset tag mine\n" in script(checkout.bake())


def test_larger_slot_takes_longer_url(checkout: CustomCheckout) -> None:
    checkout.edit("src/boots_from/image.py", ("SLOT_SIZE = 14336", "SLOT_SIZE = 32768"))
    checkout.make("template")
    url = "http://h/".ljust(14336, "x")
    assert url in script(checkout.bake(url), 32768)


def test_custom_url_scheme_needs_one_row(checkout: CustomCheckout) -> None:
    source = (checkout.path / "src/boots_from/boot_url.py").read_text()
    (http,) = re.findall(r'^    Scheme\("http", .*\n', source, re.MULTILINE)
    checkout.edit("src/boots_from/boot_url.py", (http, http + http.replace("http", "slam").replace("HTTP", "SLAM")))
    assert "  slam://HOST[:PORT][/PATH]\n      SLAM; chain\n" in checkout.python("-m", "boots_from", "--help")
    assert " slam://h/x && goto fetched ||\n" in script(checkout.bake("slam://h/x"))
    assert "boots-from: error: missing HOST at character 8 of the URL" in checkout.make(
        "iso", "URL=slam:///x", status=2
    )


def test_ipxe_2_replaces_main_ipxe(checkout: CustomCheckout) -> None:
    pins = [pin for pin in load_pins(PACKAGES) if pin.name == "ipxe"]
    main, ecdsa = (f'version = "{pin.version}"\nsuite = "{pin.suite}"\nsha256 = "{pin.sha256}"' for pin in pins)
    checkout.edit(TOML, (main, ecdsa))
    checkout.make("template")
    checkout.python("-m", "docgen.layout_tables")
    lines = image.packages(checkout.template)
    assert lines[0] == lines[1] == f"ipxe {pins[1].version} {pins[1].suite} {pins[1].sha256}"


@pinned_only
def test_custom_file_replaces_packaged_file(checkout: CustomCheckout, tmp_path: Path) -> None:
    """The image, the command, the page and the bill of materials name the file; a change of the file is noticed."""
    file = "src/boots_from/template.iso"
    content = custom_ipxe(tmp_path)
    digest = hashlib.sha256(content).hexdigest()
    checkout.write("own/mine.efi", content)
    checkout.append(TOML, documented_overrides("Use your own file"))
    checkout.make("template")
    assert checkout.template.count(content) == 1
    assert file_of(checkout.path / file, "/EFI/BOOT/grubx64.efi") == content
    listed = file_of(checkout.path / file, "/packages.txt").decode()
    assert listed.encode() in checkout.template
    assert f"\n\n{image.OVERRIDE_LIST_TITLE.decode()}mine.efi {digest} {IPXE}\n\n" in listed
    output = checkout.python("-m", "boots_from", "--version")
    assert f"\nfile mine.efi, not from Debian, in place of {IPXE}; SHA-256\n  {digest}\n" in output
    checkout.python("-m", "web")
    page = (checkout.path / "dist/boots-from.html").read_text()
    assert f"<li>mine.efi, not from Debian, in place of {IPXE}; SHA-256 {digest}</li>" in page
    assert checkout.python("-m", "template.unpinned") == ""

    bill = "from boots_from import image; from release import bill_of_materials as bill; print(bill.make({}))"
    text = checkout.python("-c", bill.format("image.read_template()"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = json.loads(text)["components"]
    (mine,) = (part for part in parts if part["name"] == "mine.efi")
    assert mine["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert mine["licenses"] == [{"expression": "GPL-2.0-or-later"}]
    holders = [part["name"] for part in parts for part_file in part["components"] if "grubx64" in part_file["name"]]
    assert set(holders) == {"mine.efi"}

    checkout.make("--question", file)
    checkout.write("own/mine.efi", content + b"another build")
    output = checkout.python("-c", bill.format("image.read_template()"), status=1)
    assert "BuildError: the template has other [[override]] files than packages.toml: run make template\n" in output
    checkout.make("--question", file, status=1)
    checkout.make("template")
    assert checkout.template.count(content + b"another build") == 1

    (checkout.path / "own/mine.efi").unlink()
    output = checkout.make("template", status=2)
    assert (
        "\ntemplate: error: packages.toml: no file own/mine.efi in the checkout: "
        "add the file, or remove its [[override]]\n"
    ) in output


VALID = f'[[override]]\nfile = "README.md"\nreplaces = "{IPXE}"\nlicence = "MIT"\n'
FIELDS = ": a table [[override]] must have the strings file, replaces, licence: correct it"
INVALID_TABLES = {
    "space in path": (
        VALID.replace("README.md", "my build.efi"),
        ": unusable path 'my build.efi' in [[override]]: use only A-Z, a-z, 0-9 and . _ + ~ - /",
    ),
    "missing file": (
        VALID.replace("README.md", "template"),
        ": no file template in the checkout: add the file, or remove its [[override]]",
    ),
    "empty licence": (
        VALID.replace("MIT", ""),
        ": README.md has no valid licence: use an SPDX expression such as GPL-2.0-or-later",
    ),
    "replaced file not in image": (
        VALID.replace(IPXE, "usr/lib/ipxe/ipxe.efi"),
        ": README.md replaces 'usr/lib/ipxe/ipxe.efi', which is not in the image: "
        "use a source from template/contents.py",
    ),
    "replaced twice": (VALID + VALID, f": two [[override]] tables replace {IPXE}: remove one"),
    "unknown field": (VALID.replace("licence", "license"), FIELDS),
    "not a string": (VALID.replace('"MIT"', "1"), FIELDS),
    "single brackets": (VALID.replace("[[override]]", "[override]"), FIELDS),
    "unknown table": (
        VALID.replace("[[override]]", "[[mine]]"),
        ": unknown table [[mine]]: use package, latest or override",
    ),
    "missing suite": (
        '[[package]]\nname = "x"\n',
        ": a table [[package]] must have the strings name, suite, optionally version, optionally sha256, "
        "optionally architecture, optionally folder: correct it",
    ),
    "invalid TOML": ("[[override]\n", " is not valid TOML (Expected "),
}


@pytest.mark.parametrize(("tables", "message"), INVALID_TABLES.values(), ids=INVALID_TABLES)
def test_invalid_table_is_refused(tmp_path: Path, tables: str, message: str) -> None:
    file = tmp_path / "packages.toml"
    file.write_text(PACKAGES.read_text() + tables)
    with pytest.raises(BuildError) as refused:
        load_pins(file)
        overrides.load(file)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"packages.toml{message}")


@pinned_only
def test_image_without_secure_boot_is_smaller(checkout: CustomCheckout) -> None:
    remove_secure_boot(checkout)
    checkout.make("template")
    checkout.python("-m", "docgen.layout_tables")
    output = checkout.python("-m", "boots_from", "--version")
    assert "shim" not in output and "Secure Boot" not in output
    page = (CHECKOUT / "docs/how-to/customise.md").read_text()
    (saved,) = re.findall(r"^\| no Secure Boot at all, (.*) MiB less", page, re.M)
    assert f"{(TEMPLATE.stat().st_size - len(checkout.template)) / 2**20:.1f}" == saved
    assert "/EFI/BOOT/mm" not in (checkout.path / "docs/explanation/layout.md").read_text()


def test_custom_output_file_is_written(checkout: CustomCheckout) -> None:
    checkout.edit("src/boots_from/cli.py", ('OUTPUT = "boots-from.iso"', 'OUTPUT = "mine.iso"'))
    assert checkout.bake(output="mine.iso").startswith(TEMPLATE.read_bytes()[:432])
    assert not (checkout.path / "boots-from.iso").exists()
    assert "write ./mine.iso," in checkout.make("help")
    checkout.edit("Makefile", ("rm -rf .venv build dist", "rm -rf"))
    checkout.make("clean")
    assert not (checkout.path / "mine.iso").exists()


def test_additional_files_are_in_image(checkout: CustomCheckout) -> None:
    """One from a package, and a custom one."""
    rows = """\
Row(ESP, "boot/undionly.kpxe", "usr/lib/ipxe/undionly.kpxe", "UNDI", "because"),
    Row(ISO, "notes.txt", "own/notes", "notes", "because"),
    """
    row = 'Row(ISO, "packages.txt"'
    checkout.edit(CONTENTS, (row, rows + row))
    checkout.write("own/notes", b"Ask Ada.\n")
    checkout.append(TOML, VALID.replace(IPXE, "own/notes").replace("README.md", "own/notes"))
    checkout.make("template")
    checkout.python("-m", "docgen.layout_tables")
    iso = checkout.path / TEMPLATE.relative_to(CHECKOUT)
    assert file_of(iso, "/notes.txt") == b"Ask Ada.\n"
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.name == "ipxe"][:1], CACHE)
    undionly = apt.unpack(package, checkout.path / "build/unpacked") / "usr/lib/ipxe/undionly.kpxe"
    assert file_of(iso, "/boot/undionly.kpxe") == undionly.read_bytes()
    page = (checkout.path / "docs/explanation/layout.md").read_text()
    assert "| /notes.txt | because |" in page and "| /boot/undionly.kpxe | because |" in page
