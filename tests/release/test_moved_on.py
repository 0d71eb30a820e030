"""A suite that has moved on: an archive of the test's own no longer has the pinned iPXE."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from template.__main__ import CACHE, CHECKOUT, FIRMWARE
from template.archive import KEYRING, fetch, load_pins
from tests.namespaces import unshare
from tests.template.test_archive import QuietHandler, key

__all__ = ["key"]

ARCHITECTURES = ("amd64", "arm64")


def newer(deb: Path, work: Path, version: str) -> Path:
    """Return the same package as another version."""
    tree = work / "newer"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version:") else line for line in lines))
    made = work / "newer.deb"
    pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(made)]
    subprocess.run(pack, check=True, capture_output=True)
    return made


def publish(root: Path, debs: list[Path], suite: str, gpg: list[str]) -> None:
    """Make a signed archive of some packages."""
    stanzas = []
    for deb in debs:
        control = subprocess.run(["dpkg-deb", "-f", deb], check=True, capture_output=True, text=True).stdout
        content = deb.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        shutil.copy(deb, root / f"{sha256}.deb")
        stanzas.append(f"{control}Filename: {sha256}.deb\nSize: {len(content)}\nSHA256: {sha256}\n")
    place = root / "dists" / suite
    release = f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nComponents: main\n"
    release += f"Architectures: {' '.join(ARCHITECTURES)}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
    index = "\n".join(stanzas).encode()
    for architecture in ARCHITECTURES:
        file = f"main/binary-{architecture}/Packages"
        (place / file).parent.mkdir(parents=True)
        (place / file).write_bytes(index)
        release += f" {hashlib.sha256(index).hexdigest()} {len(index)} {file}\n"
    (place / "Release").write_text(release)
    signing = [*gpg, "--clearsign", "-o", str(place / "InRelease"), str(place / "Release")]
    subprocess.run(signing, check=True, capture_output=True)


@pytest.fixture
def moved_on(tmp_path: Path, key: tuple[list[str], Path]) -> Iterator[tuple[Path, list[str]]]:
    """Return a fresh checkout, and the words that run a command where apt knows that archive alone."""
    gpg, keyring = key
    pins = load_pins(FIRMWARE)
    packages = fetch(pins, CACHE)
    suites = sorted({pin.suite for pin in pins})
    root = tmp_path / "archive"
    (root / "debian").mkdir(parents=True)
    for suite in suites:
        debs = [package.deb for package in packages if package.suite == suite]
        debs = [newer(deb, tmp_path, "99:1-1") if deb.name.startswith("ipxe-") else deb for deb in debs]
        publish(root / "debian", debs, suite, gpg)
    checkout = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    for name in tracked.stdout.rstrip("\0").split("\0"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, checkout / name)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        sources = tmp_path / "sources.list"
        mirror = f"http://127.0.0.1:{server.server_port}/debian/"
        sources.write_text("".join(f"deb {mirror} {suite} main\n" for suite in suites))
        (tmp_path / "lists/partial").mkdir(parents=True)
        config = tmp_path / "apt.conf"
        config.write_text(
            f'Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "-";\n'
            f'Dir::State::lists "{tmp_path}/lists"; Acquire::http::Proxy::127.0.0.1 "DIRECT";\n'
        )
        script = f'mount --bind "{keyring}" "{KEYRING}" && cd "{checkout}" && exec "$@"'
        yield checkout, [*unshare("mount"), "env", f"APT_CONFIG={config}", "sh", "-ec", script, "sh"]
        server.shutdown()
        thread.join()


def test_everything_works_when_the_suite_has_moved_on(moved_on: tuple[Path, list[str]]) -> None:
    """make iso and the tests do, and say so; make release refuses."""
    checkout, there = moved_on
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "MAKE"))}
    env["PYTHONPATH"] = f"{checkout / 'src'}:{checkout}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*there, *words], env=env, capture_output=True, text=True, check=False)

    made = run("make", "iso", "URL=http://bootserver/boot")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "no longer has the pinned ipxe" in made.stderr
    assert (checkout / "boots-from.iso").stat().st_size > 1_000_000

    tests = ("tests/unit/test_image.py", "tests/template/test_layout.py", "tests/release/test_release.py")
    tested = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    last = tested.stdout.splitlines()[-3:]
    assert any(line.startswith("NOT THE PINNED FIRMWARE: ipxe 99:1-1 (") for line in last), last
    assert "not the pinned firmware: ipxe 99:1-1" in tested.stdout
    assert " skipped" in last[-1]

    released = run(sys.executable, "-m", "release")
    assert released.returncode == 2
    assert "release: the template holds ipxe 99:1-1" in released.stderr
    assert "run make bump and make test" in released.stderr
    assert list((checkout / "dist").iterdir()) == []
