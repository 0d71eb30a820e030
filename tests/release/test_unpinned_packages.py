"""A suite that has moved on: an archive of the test's own no longer has the pinned iPXE."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.namespaces import unshare
from template.apt import KEYRING, fetch
from template.paths import CACHE, PACKAGES
from template.pins import load_pins
from tests import fresh_checkout
from tests.template.local_archive import serving, signing_key


def newer(deb: Path, work: Path, version: str) -> Path:
    """Return the same package as another version."""
    tree = work / "ecdsa"
    work.mkdir()
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version:") else line for line in lines))
    made = work / "newer.deb"
    pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(made)]
    subprocess.run(pack, check=True, capture_output=True)
    return made


@pytest.fixture
def moved_on(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Return a fresh checkout, and the words that run a command where that archive is Debian's."""
    packages = fetch(load_pins(PACKAGES), CACHE)
    assert packages[0].name == "ipxe"
    home = tmp_path / "gnupg"
    home.mkdir()
    with signing_key(home) as key, serving(tmp_path / "archive", key) as served:
        for suite in sorted({package.suite for package in packages}):
            debs = [package.deb for package in packages if package.suite == suite]
            if suite == packages[0].suite:
                debs = [newer(debs[0], tmp_path / suite, "99:1-1"), *debs[1:]]
            served.put(suite, *debs)
        place = fresh_checkout.copy(tmp_path / "checkout")
        script = f'mount --bind "{key.keyring}" "{KEYRING}" && cd "{place}" && exec "$@"'
        yield place, [*unshare("mount"), "env", f"DEBIAN_MIRROR={served.mirror}", "sh", "-ec", script, "sh"]


def runner(place: Path, there: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command in that checkout, where that archive is Debian's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "MAKE"))}
    env["PYTHONPATH"] = f"{place / 'src'}:{place}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*there, *words], env=env, capture_output=True, text=True, check=False)

    return run


@pytest.mark.thorough
def test_everything_works_when_the_suite_has_moved_on(moved_on: tuple[Path, list[str]]) -> None:
    """make iso and the tests do, and say so; make release refuses."""
    place, there = moved_on
    run = runner(place, there)
    made = run("make", "iso", "URL=http://bootserver/boot")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "no longer has the pinned ipxe" in made.stderr
    assert (place / "boots-from.iso").stat().st_size > 1_000_000

    tests = ("tests/unit/test_image.py", "tests/template/test_template_image.py", "tests/release/test_release.py")
    tested = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    last = tested.stdout.splitlines()[-3:]
    assert any(line.startswith("UNPINNED PACKAGE: ipxe 99:1-1 (") for line in last), last
    assert "the template has unpinned packages: ipxe 99:1-1" in tested.stdout
    assert " skipped" in last[-1]

    released = run(sys.executable, "-m", "release")
    assert released.returncode == 2
    assert "release: the template holds ipxe 99:1-1" in released.stderr
    assert "run make update-packages and make test" in released.stderr
    assert list((place / "dist").iterdir()) == []


@pytest.mark.thorough
def test_bump_pins_a_newer_ipxe_and_shows_what_it_can_do(moved_on: tuple[Path, list[str]]) -> None:
    """It is the pinned one by another name, so it can do the same."""
    place, there = moved_on
    run = runner(place, there)
    shutil.copytree(CACHE, place / "build/packages", ignore=shutil.ignore_patterns("apt"))
    assert run(sys.executable, "-m", "template").returncode == 0
    pinned = next(pin for pin in load_pins(PACKAGES) if pin.name == "ipxe")
    bumped = run(sys.executable, "-m", "release.update_packages")
    assert bumped.returncode == 0, bumped.stdout + bumped.stderr
    before, after = bumped.stdout.split("After\n")
    assert f"\n  ipxe {pinned.version}\n" in before
    assert after.startswith("  ipxe 99:1-1\n")
    shown = [re.findall(r"^  (?:bios|uefi-x86_64): (.*)$", text, re.MULTILINE) for text in (before, after)]
    assert shown[0] == shown[1]
    bios, uefi = (line.split() for line in shown[0])
    assert {"VLAN", "DNS", "HTTPS", "Menu", "PXEXT"} <= set(bios)
    assert {"VLAN", "DNS", "HTTPS", "Menu", "EFI"} <= set(uefi)
    assert "99:1-1" in {pin.version for pin in load_pins(place / "template/packages.toml")}
    assert run(sys.executable, "-m", "release.update_packages").stdout.endswith("\nNothing newer\n")
