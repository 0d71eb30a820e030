"""Builds with a suite that no longer has the pinned iPXE; a local archive serves the suite."""

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


def repack(deb: Path, work: Path, version: str) -> Path:
    """Return the same package with another version number."""
    tree = work / "tree"
    work.mkdir()
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version:") else line for line in lines))
    repacked = work / "repacked.deb"
    pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(repacked)]
    subprocess.run(pack, check=True, capture_output=True)
    return repacked


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def newer_suite(tmp_path: Path) -> Iterator[tuple[Path, Run]]:
    """Return a fresh checkout, and a function that runs a command in it, with the local archive as Debian mirror."""
    packages = fetch(load_pins(PACKAGES), CACHE)
    assert packages[0].name == "ipxe"
    home = tmp_path / "gnupg"
    home.mkdir()
    with signing_key(home) as key, serving(tmp_path / "archive", key) as served:
        for suite in sorted({package.suite for package in packages}):
            debs = [package.deb for package in packages if package.suite == suite]
            if suite == packages[0].suite:
                debs = [repack(debs[0], tmp_path / suite, "99:1-1"), *debs[1:]]
            served.put(suite, *debs)
        checkout = fresh_checkout.copy(tmp_path / "checkout")
        script = f'mount --bind "{key.keyring}" "{KEYRING}" && cd "{checkout}" && exec "$@"'
        prefix = [*unshare("mount"), "env", f"DEBIAN_MIRROR={served.mirror}", "sh", "-ec", script, "sh"]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "MAKE"))}
        env["PYTHONPATH"] = f"{checkout / 'src'}:{checkout}"

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*prefix, *command], env=env, capture_output=True, text=True, check=False)

        yield checkout, run


@pytest.mark.thorough
def test_unpinned_package_warns_but_blocks_release(newer_suite: tuple[Path, Run]) -> None:
    """make iso and the tests succeed with warnings; make release fails."""
    checkout, run = newer_suite
    made = run("make", "iso", "URL=http://boot.example.com/boot")
    assert made.returncode == 0, made.stdout + made.stderr
    assert re.search(r"^template: warning: \w+ no longer has the pinned ipxe ", made.stderr, re.MULTILINE)
    assert (checkout / "boots-from.iso").stat().st_size > 1_000_000

    tests = ("tests/unit/test_image.py", "tests/template/test_template_image.py", "tests/release/test_release.py")
    tested = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    last = tested.stdout.splitlines()[-3:]
    assert any(line.startswith("UNPINNED PACKAGE: ipxe 99:1-1 (") for line in last), last
    assert "the template has unpinned packages: ipxe 99:1-1" in tested.stdout
    assert " skipped" in last[-1]

    checked = run(sys.executable, "-m", "template.unpinned")
    assert checked.returncode == 1, checked.stderr
    assert checked.stdout.startswith("template: warning: not the pinned package: ipxe 99:1-1 (")
    assert checked.stdout.endswith("; run make update-packages\n")

    released = run(sys.executable, "-m", "release")
    assert released.returncode == 2
    assert "release: error: the template has packages that are not pinned: ipxe 99:1-1 (" in released.stderr
    assert "run make update-packages and make test, then make release\n" in released.stderr
    assert list((checkout / "dist").iterdir()) == []


@pytest.mark.thorough
def test_update_packages_pins_newer_ipxe(newer_suite: tuple[Path, Run]) -> None:
    """And shows its features, which are those of the pinned one, because only the version number differs."""
    checkout, run = newer_suite
    shutil.copytree(CACHE, checkout / "build/packages", ignore=shutil.ignore_patterns("apt"))
    assert run(sys.executable, "-m", "template").returncode == 0
    pinned = next(pin for pin in load_pins(PACKAGES) if pin.name == "ipxe")
    updated = run(sys.executable, "-m", "release.update_packages")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    before, after = updated.stdout.split("After\n")
    assert f"\n  ipxe {pinned.version}\n" in before
    assert after.startswith("  ipxe 99:1-1\n")
    shown = [re.findall(r"^  (?:bios|uefi-x86_64): (.*)$", text, re.MULTILINE) for text in (before, after)]
    assert shown[0] == shown[1]
    bios, uefi = (line.split() for line in shown[0])
    assert {"VLAN", "DNS", "HTTPS", "Menu", "PXEXT"} <= set(bios)
    assert {"VLAN", "DNS", "HTTPS", "Menu", "EFI"} <= set(uefi)
    assert "99:1-1" in {pin.version for pin in load_pins(checkout / "template/packages.toml")}
    checked = run(sys.executable, "-m", "template.unpinned")
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr
    again = run(sys.executable, "-m", "release.update_packages")
    assert again.stdout.endswith("\nAll pinned packages are the newest\n")
