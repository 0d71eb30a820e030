"""docs/forking.md, row by row: the edit, what it says to run then, and what comes of it. tests/boot boots some."""

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
from tests.custom_checkout import Fork, leave_out_secure_boot, script
from tests.pinned_packages import pinned_only

TOML = "template/packages.toml"
CONTENTS = "template/contents.py"
IPXE = "usr/lib/ipxe/ipxe-amd64.efi"


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    return Fork(tmp_path / "fork")


def other_ipxe(work: Path) -> bytes:
    """Return iPXE 2.0 for x86-64, as somebody's own build."""
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.folder == "ecdsa"], CACHE)
    return (apt.unpack(package, work) / IPXE).read_bytes()


def file_of(baked: Path, path: str) -> bytes:
    """Return a file of an image's ISO 9660 tree."""
    return subprocess.run(["isoinfo", "-R", "-x", path, "-i", baked], check=True, capture_output=True).stdout


def test_every_row_of_the_page_is_here() -> None:
    page = (CHECKOUT / "docs/forking.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ").partition(":")[0] for line in re.findall(r"^\| .*", page, re.M)]
    assert rows == [
        "you want",
        "---",
        "another script",
        "a script that is longer",
        "other URL schemes",
        "an ECDSA iPXE of Debian's",  # tests/release/test_unpinned_packages.py
        "iPXE 2.0 everywhere, for machines with nothing but a USB network card that their firmware does not drive",
        "a file of your own in place of a packaged one",
        "no Secure Boot at all, 3.7 MiB less",
        "another output file",
        "more in the image",
    ]


def test_another_script(fork: Fork) -> None:
    before = script(fork.bake())
    fork.edit("src/boots_from/boot.ipxe", ("prompt --key s --timeout 10000 Try", "prompt --key s --timeout 5000 Try"))
    assert script(fork.bake()) == before.replace(
        "prompt --key s --timeout 10000 Try", "prompt --key s --timeout 5000 Try"
    )


def test_a_word_of_ones_own_in_the_script(fork: Fork) -> None:
    fork.edit("src/boots_from/boot.ipxe", ("set try:int32 0\n", "set try:int32 0\nset tag @TAG@\n"))
    said = fork.make("iso", "URL=http://h/x", status=2)
    assert said.startswith("boots-from: error: no value for @TAG@ in boot.ipxe: add one to `words` in boot_script.py\n")
    assert not (fork.place / "boots-from.iso").exists()
    fork.edit("src/boots_from/boot_script.py", ('"URL": boot_url.url,', '"URL": boot_url.url, "TAG": "mine",'))
    assert "\nset tag mine\n" in script(fork.bake())


def test_a_script_that_is_longer(fork: Fork) -> None:
    fork.edit("src/boots_from/image.py", ("SLOT_SIZE = 14336", "SLOT_SIZE = 32768"))
    fork.make("template")
    url = "http://h/".ljust(14336, "x")
    assert url in script(fork.bake(url), 32768)


def test_other_url_schemes(fork: Fork) -> None:
    source = (fork.place / "src/boots_from/boot_url.py").read_text()
    (http,) = re.findall(r'^    Scheme\("http", .*\n', source, re.MULTILINE)
    fork.edit("src/boots_from/boot_url.py", (http, http + http.replace("http", "slam").replace("HTTP", "SLAM")))
    assert "  slam://HOST[:PORT][/PATH]\n      SLAM; chain\n" in fork.python("-m", "boots_from", "--help")
    assert " slam://h/x && goto fetched ||\n" in script(fork.bake("slam://h/x"))
    assert "boots-from: error: missing HOST at character 8 of the URL" in fork.make("iso", "URL=slam:///x", status=2)


def test_ipxe_2_everywhere(fork: Fork) -> None:
    pins = [pin for pin in load_pins(PACKAGES) if pin.name == "ipxe"]
    first, second = (f'version = "{pin.version}"\nsuite = "{pin.suite}"\nsha256 = "{pin.sha256}"' for pin in pins)
    fork.edit(TOML, (first, second))
    fork.make("template")
    fork.python("-m", "docgen.layout_tables")
    lines = image.packages(fork.template)
    assert lines[0] == lines[1] == f"ipxe {pins[1].version} {pins[1].suite} {pins[1].sha256}"


@pinned_only
def test_a_file_of_ones_own(fork: Fork, tmp_path: Path) -> None:
    """Is in the image, which says so, and is seen when it changes."""
    file = "src/boots_from/template.iso"
    content = other_ipxe(tmp_path)
    digest = hashlib.sha256(content).hexdigest()
    fork.put("own/mine.efi", content)
    (example,) = re.findall(r"```toml\n(.*?)```", (fork.place / "docs/forking.md").read_text(), re.DOTALL)
    fork.add(TOML, example)
    fork.make("template")
    assert fork.template.count(content) == 1
    assert file_of(fork.place / file, "/EFI/BOOT/grubx64.efi") == content
    listed = file_of(fork.place / file, "/firmware.txt").decode()
    assert listed.encode() in fork.template
    assert f"\n\n{image.OVERRIDE_LIST_TITLE.decode()}mine.efi {digest} {IPXE}\n\n" in listed
    said = fork.python("-m", "boots_from", "--version")
    assert f"\nfile mine.efi, not from Debian, in place of {IPXE}; SHA-256\n  {digest}\n" in said
    fork.python("-m", "web")
    page = (fork.place / "dist/boots-from.html").read_text()
    assert f"<li>mine.efi, not from Debian, in place of {IPXE}; SHA-256 {digest}</li>" in page
    assert fork.python("-m", "template.unpinned") == ""

    bill = "from boots_from import image; from release import bill_of_materials as bill; print(bill.make({}))"
    text = fork.python("-c", bill.format("image.read_template()"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = json.loads(text)["components"]
    (mine,) = (part for part in parts if part["name"] == "mine.efi")
    assert mine["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert mine["licenses"] == [{"expression": "GPL-2.0-or-later"}]
    holders = [part["name"] for part in parts for part_file in part["components"] if "grubx64" in part_file["name"]]
    assert set(holders) == {"mine.efi"}

    fork.make("--question", file)
    fork.put("own/mine.efi", content + b"another build")
    said = fork.python("-c", bill.format("image.read_template()"), status=1)
    assert "BuildError: the image's own files are not those of packages.toml: run make template" in said
    fork.make("--question", file, status=1)
    fork.make("template")
    assert fork.template.count(content + b"another build") == 1

    (fork.place / "own/mine.efi").unlink()
    said = fork.make("template", status=2)
    assert (
        "template: packages.toml: no file own/mine.efi in the checkout: put it there, or remove its [[override]]"
        in said
    )


GOOD = f'[[override]]\nfile = "README.md"\nreplaces = "{IPXE}"\nlicence = "MIT"\n'
TAKES = "a table [[override]] has file, replaces, licence, all in quotes: correct it"
BAD_TABLES = {
    "a space": (GOOD.replace("README.md", "my build.efi"), "can't take the path 'my build.efi': use A-Z, a-z, 0-9 and"),
    "no file": (GOOD.replace("README.md", "template"), "no file template in the checkout: put it there, or remove its"),
    "no licence": (
        GOOD.replace("MIT", ""),
        "README.md has no licence: write it as SPDX does, such as GPL-2.0-",
    ),
    "replaces nothing": (
        GOOD.replace(IPXE, "usr/lib/ipxe/ipxe.efi"),
        "nothing in the image comes from 'usr/lib/ipxe/ipxe.efi', which README.md is to replace: take a source that",
    ),
    "twice": (GOOD + GOOD, f"{IPXE} is replaced twice: remove one [[override]]"),
    "another field": (GOOD.replace("licence", "license"), TAKES),
    "no string": (GOOD.replace('"MIT"', "1"), TAKES),
    "one bracket": (GOOD.replace("[[override]]", "[own]"), TAKES),
    "another table": (GOOD.replace("own", "mine"), "unknown table [[mine]]: there are package, newest and own"),
    "no suite": ('[[package]]\nname = "x"\n', "a table [[package]] has name, suite, perhaps version, perhaps sha256,"),
    "no TOML": ("[[own]\n", "packages.toml is no TOML (Expected "),
}


@pytest.mark.parametrize(("tables", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables(tmp_path: Path, tables: str, message: str) -> None:
    file = tmp_path / "packages.toml"
    file.write_text(PACKAGES.read_text() + tables)
    with pytest.raises(BuildError) as refused:
        load_pins(file)
        overrides.load(file)
    (line,) = str(refused.value).splitlines()
    assert line.startswith("packages.toml")
    assert message in line


@pinned_only
def test_no_secure_boot(fork: Fork) -> None:
    leave_out_secure_boot(fork)
    fork.make("template")
    fork.python("-m", "docgen.layout_tables")
    said = fork.python("-m", "boots_from", "--version")
    assert "shim" not in said and "Secure Boot" not in said
    assert round((TEMPLATE.stat().st_size - len(fork.template)) / 2**20, 1) == 3.7
    assert "/EFI/BOOT/mm" not in (fork.place / "docs/layout.md").read_text()


def test_another_output_file(fork: Fork) -> None:
    fork.edit("src/boots_from/cli.py", ('OUTPUT = "boots-from.iso"', 'OUTPUT = "mine.iso"'))
    assert fork.bake(output="mine.iso").startswith(TEMPLATE.read_bytes()[:432])
    assert not (fork.place / "boots-from.iso").exists()
    assert "write ./mine.iso;" in fork.make("help")
    fork.edit("Makefile", ("rm -rf .venv build dist", "rm -rf"))
    fork.make("clean")
    assert not (fork.place / "mine.iso").exists()


def test_more_in_the_image(fork: Fork) -> None:
    """Of a package, and of one's own."""
    rows = """\
Row(ESP, "boot/undionly.kpxe", "usr/lib/ipxe/undionly.kpxe", "UNDI", "because"),
    Row(ISO, "notes.txt", "own/notes", "notes", "because"),
    """
    row = 'Row(ISO, "firmware.txt"'
    fork.edit(CONTENTS, (row, rows + row))
    fork.put("own/notes", b"Ask Ada.\n")
    fork.add(TOML, GOOD.replace(IPXE, "own/notes").replace("README.md", "own/notes"))
    fork.make("template")
    fork.python("-m", "docgen.layout_tables")
    iso = fork.place / TEMPLATE.relative_to(CHECKOUT)
    assert file_of(iso, "/notes.txt") == b"Ask Ada.\n"
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.name == "ipxe"][:1], CACHE)
    undionly = apt.unpack(package, fork.place / "build/unpacked") / "usr/lib/ipxe/undionly.kpxe"
    assert file_of(iso, "/boot/undionly.kpxe") == undionly.read_bytes()
    page = (fork.place / "docs/layout.md").read_text()
    assert "| /notes.txt | because |" in page and "| /boot/undionly.kpxe | because |" in page
