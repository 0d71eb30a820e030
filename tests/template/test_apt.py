"""Downloads packages from a real archive, signed and served by the tests, and from broken ones."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lab.namespaces import as_user, unshare
from template import apt
from template.build_tools import BuildError
from template.paths import CHECKOUT, PACKAGES
from template.pins import Pin, load_pins
from tests.template.local_archive import OTHER, SUITE, Archive, Key, serving, signing_key


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    with signing_key(tmp_path_factory.mktemp("gnupg")) as created:
        yield created


@pytest.fixture
def served(tmp_path: Path, key: Key) -> Iterator[Archive]:
    with serving(tmp_path / "archive", key) as empty:
        yield empty


def get(served: Archive, pin: Pin, into: Path) -> apt.Package:
    (package,) = apt.fetch([pin], into, served.mirror, served.keyring)
    return package


def test_parallel_downloads_wait_for_each_other(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with ThreadPoolExecutor(4) as pool:
        packages = list(pool.map(lambda _: get(served, pin, tmp_path / "cache"), range(4)))
    assert len({package.deb for package in packages}) == 1


def test_package_of_foreign_architecture_is_fetched(served: Archive, tmp_path: Path) -> None:
    pin = replace(served.publish("shim", "1.0", OTHER), architecture=OTHER)
    package = get(served, pin, tmp_path / "cache")
    assert (package.name, package.version) == (f"shim:{OTHER}", "1.0")
    assert (apt.unpack(package, tmp_path / "out") / "usr/payload").read_text() == "1.0"
    # A pin without an architecture does not match it.
    with pytest.raises(BuildError, match="teststable has no package shim:"):
        get(served, replace(pin, sha256="", architecture=""), tmp_path / "other")


@pytest.mark.parametrize("newest", [False, True], ids=["pinned", "newest"])
def test_two_suites_may_have_same_package(served: Archive, tmp_path: Path, newest: bool) -> None:
    """Their files have the same names, so one of them is unpacked into a separate folder."""
    pins = [
        served.publish("firmware", "2.0", suite="testnext"),
        replace(served.publish("firmware", "1.0"), folder="apart"),
    ]
    requested = [replace(pin, version="", sha256="") for pin in pins] if newest else pins
    packages = apt.fetch(requested, tmp_path / "into", served.mirror, served.keyring)
    assert [(package.suite, package.sha256) for package in packages] == [(pin.suite, pin.sha256) for pin in pins]
    for package in packages:
        apt.unpack(package, tmp_path / "tree")
    assert (tmp_path / "tree/usr/payload").read_text() == "2.0"
    assert (tmp_path / "tree/apart/usr/payload").read_text() == "1.0"
    # The cache distinguishes them as well.
    assert apt.fetch(pins, tmp_path / "into", served.mirror, served.keyring) == packages


def test_pinned_package_is_downloaded_once(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    package = get(served, pin, tmp_path / "into")
    assert (package.version, package.sha256) == (pin.version, pin.sha256)
    assert (apt.unpack(package, tmp_path / "tree") / "usr/payload").read_text() == "1.0"
    # The second call needs no network: the archive is gone.
    shutil.rmtree(served.root)
    assert get(served, pin, tmp_path / "into") == package


def test_pinned_version_gone_uses_newest_with_warning(
    served: Archive, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = served.publish("firmware", "1.0")
    new = served.publish("firmware", "2.0")
    package = get(served, old, tmp_path / "into")
    assert (package.version, package.sha256) == ("2.0", new.sha256)
    warning = capfd.readouterr().err
    assert "\ntemplate: warning: teststable no longer has the pinned firmware 1.0.\n" in warning
    assert "\nUsing the newest version, 2.0: it is signed by Debian, but was not tested.\n" in warning


def test_package_without_version_is_the_newest(
    served: Archive, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = served.publish("firmware", "2.0")
    assert get(served, Pin("firmware", SUITE), tmp_path / "into").sha256 == new.sha256
    assert capfd.readouterr().err == ""
    for deb in served.debs:  # it is not downloaded again
        deb.unlink()
    assert get(served, Pin("firmware", SUITE), tmp_path / "into").sha256 == new.sha256


def test_pinned_version_with_other_hash_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"^firmware 1\.0 in teststable is not the pinned file \(its SHA-256 is "):
        get(served, Pin(pin.name, pin.suite, pin.version, "0" * 64), tmp_path / "into")


def test_unknown_package_is_refused(served: Archive, tmp_path: Path) -> None:
    served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"^teststable has no package other: pin another suite"):
        get(served, Pin("other", SUITE, "1.0", "0" * 64), tmp_path / "into")


@pytest.mark.parametrize("damage", [lambda deb: deb[:-100], lambda deb: deb[:-1] + bytes([deb[-1] ^ 1]), lambda _: b""])
def test_damaged_download_is_refused_and_deleted(served: Archive, tmp_path: Path, damage: object) -> None:
    pin = served.publish("firmware", "1.0")
    (deb,) = served.debs
    deb.write_bytes(damage(deb.read_bytes()))  # type: ignore[operator]
    message = r"^can't download firmware 1\.0 \(.*\): check the network and the mirror, then run this again$"
    with pytest.raises(BuildError, match=message):
        get(served, pin, tmp_path / "into")
    assert not list((tmp_path / "into").glob("*.deb"))


def test_damaged_cache_is_downloaded_again(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    package = get(served, pin, tmp_path / "into")
    package.deb.write_bytes(b"damaged")
    assert get(served, pin, tmp_path / "into") == package
    assert hashlib.sha256(package.deb.read_bytes()).hexdigest() == pin.sha256


def test_unknown_signing_key_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    message = r"^can't download the Debian package index \(.*(?i:signed|signature|verif).*\)"
    with pytest.raises(BuildError, match=message):
        apt.fetch([pin], tmp_path / "into", served.mirror, apt.KEYRING)


def test_messages_of_apt_are_english_for_german_user(
    served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a full disk would not be recognised, and the error would be half in German."""
    pin = served.publish("firmware", "1.0")
    monkeypatch.setenv("LANGUAGE", "de")
    with pytest.raises(BuildError, match=r"index \(The repository '.*' is not signed\.\)"):
        apt.fetch([pin], tmp_path / "into", served.mirror, apt.KEYRING)


UNSIGNED = r"^can't download the Debian package index \(.*(?:not signed|no longer signed|weak|Release).*\)"


def configure_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    """Add lines to the apt configuration of the host."""
    config = tmp_path / "host.conf"
    config.write_text("".join(f"{line};\n" for line in lines))
    monkeypatch.setenv("APT_CONFIG", str(config))


def configure_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    """Give the apt of the host these lines of sources.list, and directories of its own."""
    sources = tmp_path / "sources.list"
    sources.write_text("".join(f"{line}\n" for line in lines))
    for folder in ("lists/partial", "cache/archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    configure_host(
        monkeypatch,
        tmp_path,
        f'Dir::Etc::sourcelist "{sources}"',
        'Dir::Etc::sourceparts "-"',
        f'Dir::State::lists "{tmp_path}/lists"',
        f'Dir::Cache "{tmp_path}/cache"',
        'Acquire::Check-Valid-Until "false"',
        'APT::Sandbox::User "root"',
    )


@pytest.mark.parametrize("archive", ["unsigned", "weak hashes", "no longer signed"])
def test_insecure_archive_is_refused_whatever_the_host_allows(
    served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: str
) -> None:
    configure_host(
        monkeypatch,
        tmp_path,
        'Acquire::AllowInsecureRepositories "true"',
        'Acquire::AllowWeakRepositories "true"',
        'Acquire::AllowDowngradeToInsecureRepositories "true"',
        'APT::Get::AllowUnauthenticated "true"',
    )
    pin = served.publish("firmware", "1.0")
    if archive == "no longer signed":
        get(served, pin, tmp_path / "into")
        pin = served.publish("firmware", "2.0")
    if archive == "weak hashes":
        served.weaken(SUITE)
    else:
        for file in served.root.glob("dists/*/InRelease"):
            file.unlink()
    with pytest.raises(BuildError, match=UNSIGNED):
        get(served, pin, tmp_path / "into")


@pytest.mark.parametrize("old", ["9.0-1", "10.0~rc1-1"])
def test_version_older_than_pinned_is_refused(served: Archive, old: str, tmp_path: Path) -> None:
    """From a mirror that is no longer updated, or an old index that an attacker replays: its signature is valid."""
    served.publish("firmware", old)
    message = (
        rf"^the mirror is out of date: its newest firmware in teststable is {re.escape(old)}, older than the pinned "
        r"10\.0-1: name another mirror with DEBIAN_MIRROR=http://MIRROR/debian$"
    )
    with pytest.raises(BuildError, match=message):
        get(served, Pin("firmware", SUITE, "10.0-1", "0" * 64), tmp_path / "into")
    assert not list((tmp_path / "into").glob("*.deb"))


def test_apt_configuration_of_host_is_ignored(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hooks, sources, cache, checks of dates, languages, installed packages, sandbox user and extra indexes."""
    touch = f'{{ "echo hook >> {tmp_path}/hooks"; }}'
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/more.list").write_text("deb http://127.0.0.1:1/ bookworm main\n")
    (tmp_path / "status").write_text("Package: firmware\nStatus: broken\n\nnonsense\n")
    hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
    targets = ("DEP-11", "DEP-11-icons", "DEP-11-icons-small", "DEP-11-icons-large", "DEP-11-icons-hidpi")
    configure_host(
        monkeypatch,
        tmp_path,
        *(f"{hook} {touch}" for hook in (*hooks, "DPkg::Post-Invoke")),
        # Otherwise apt would read the real configuration of this host afterwards, which may override these lines.
        'Dir::Etc::Parts "/nonexistent"',
        'Dir::Etc::Main "/nonexistent"',
        f'Dir::Etc::SourceParts "{tmp_path}/parts"',
        f'Dir::Cache "{tmp_path}/cache"',
        'Acquire::Check-Valid-Until "true"',
        'Acquire::Languages "en"',
        f'Dir::State::status "{tmp_path}/status"',
        'APT::Sandbox::User "nobody"',
        *(
            f'Acquire::IndexTargets::deb::{target} {{ MetaKey "extra/{target}"; Description "x"; Optional "false"; }}'
            for target in (*targets, "DEP-11-icons-large-hidpi")
        ),
    )
    pin = served.publish("firmware", "1.0")
    assert get(served, pin, tmp_path / "into").sha256 == pin.sha256
    assert not (tmp_path / "hooks").exists()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in (tmp_path / "into").rglob("*")} == {os.geteuid()}


def test_cache_path_may_have_special_characters(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    into = tmp_path / "a b $(c) `d` 'e' #g; h:i,j)k \u00e9 %s [l] {m}"
    assert get(served, pin, into).sha256 == pin.sha256


def test_full_disk_names_place_and_size(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0", size=3_000_000)
    into = tmp_path / "into"
    into.mkdir()
    code = (
        "import sys; from pathlib import Path; from template import apt, pins; into, mirror, keyring = sys.argv[1:]; "
    )
    code += f"apt.fetch([pins.{pin!r}], Path(into), mirror, Path(keyring))"
    mount = f'mount -t tmpfs -o size=2m none "{into}"; exec "$@"'
    python = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", code]
    command = [*unshare("mount"), "sh", "-ec", mount, "sh", *python, str(into), served.mirror, str(served.keyring)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"BuildError: no space left in {into}; the build needs about 100 MB: free some space\n" in result.stderr


def test_tampered_index_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    for index in served.root.rglob("Packages"):
        index.write_text(index.read_text().replace(pin.sha256, "0" * 64))
    with pytest.raises(BuildError, match=r"^can't download the Debian package index \(.*(?:Hash|size).*\)"):
        get(served, pin, tmp_path / "into")


def test_missing_network_is_reported(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    message = (
        r"^can't download the Debian package index \(.*\): "
        r"check the network and the mirror http://127\.0\.0\.1:1/, then run this again$"
    )
    with pytest.raises(BuildError, match=message):
        apt.fetch([pin], tmp_path / "into", "http://127.0.0.1:1/", served.keyring)


def test_missing_keyring_is_reported(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    message = r"^can't verify Debian packages without .*/none\.gpg: install debian-archive-keyring$"
    with pytest.raises(BuildError, match=message):
        apt.fetch([pin], tmp_path / "into", served.mirror, tmp_path / "none.gpg")


def test_missing_apt_is_reported(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = served.publish("firmware", "1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"^can't download firmware: this host has no apt-get: build on Debian, or in a Debian container$"
    with pytest.raises(BuildError, match=message):
        get(served, pin, tmp_path / "into")


def test_host_without_debian_mirror_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = f'Dir::Etc::sourcelist "{tmp_path}/none"', f'Dir::Etc::sourceparts "{tmp_path}/none.d"'
    configure_host(monkeypatch, tmp_path, *sources)
    message = r"^apt on this host has no Debian mirror: name one with make iso URL=\.\.\. DEBIAN_MIRROR="
    with pytest.raises(BuildError, match=message):
        apt.host_mirror()


def test_mirror_from_environment_is_used(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = served.publish("firmware", "1.0")
    monkeypatch.setenv("DEBIAN_MIRROR", served.mirror)
    (package,) = apt.fetch([pin], tmp_path / "into", keyring=served.keyring)
    assert package.sha256 == pin.sha256


@pytest.mark.parametrize("value", ["bookworm", "http://h/a b", "http://h/x [trusted=yes]", "/srv/mirror"])
def test_invalid_mirror_in_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DEBIAN_MIRROR", value)
    message = f'^DEBIAN_MIRROR is not a URI: "{re.escape(value)}": write DEBIAN_MIRROR=http://MIRROR/debian$'
    with pytest.raises(BuildError, match=message):
        apt.fetch([Pin("firmware", SUITE)], tmp_path / "into")


def test_mirror_from_apt_configuration_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host that never ran "apt-get update", and whose first sources are not Debian mirrors."""
    configure_sources(
        monkeypatch,
        tmp_path,
        "deb http://vendor.example/tools bookworm main",
        "deb http://security.example/debian bookworm-security main",
        "deb http://updates.example/debian bookworm-updates main",
        "deb http://backports.example/debian bookworm-backports main",
        "deb http://old.example/debian jessie/updates main",
        "deb http://contrib.example/debian bookworm contrib",
        "deb http://mirror.example/pub/debian bookworm main",
    )
    assert apt.host_mirror() == "http://mirror.example/pub/debian/"


def test_mirror_whose_origin_is_debian_is_used(
    served: Archive, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After "apt-get update" the origin counts, not the address."""
    with serving(tmp_path / "vendor", key) as vendor:
        vendor.publish("tool", "1.0")
        served.origin = "Debian"
        served.publish("firmware", "1.0")
        lines = (f"deb [signed-by={key.keyring}] {archive.mirror} {SUITE} main" for archive in (vendor, served))
        configure_sources(monkeypatch, tmp_path, *lines)
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        assert apt.host_mirror().rstrip("/") == served.mirror.rstrip("/")


def test_damaged_package_cannot_be_unpacked(tmp_path: Path) -> None:
    deb = tmp_path / "broken.deb"
    deb.write_bytes(b"not a package\n" * 10)
    reason = f"dpkg-deb: error: '{deb}' is not a Debian format archive"
    message = f"can't unpack broken.deb ({reason}): delete {deb} and run this again"
    with pytest.raises(BuildError, match=f"^{re.escape(message)}$"):
        apt.unpack(apt.Package("broken", "1.0", SUITE, "", deb), tmp_path / "tree")


def test_apt_directories_of_host_stay_unchanged(served: Archive, tmp_path: Path) -> None:
    paths = [Path(path) for path in ("/var/lib/apt/lists", "/var/cache/apt", "/var/cache/apt/archives/partial")]

    def state() -> list[tuple[str, int]]:
        entries = [entry for path in paths if path.exists() for entry in (path, *path.iterdir())]
        return sorted((str(entry), entry.stat().st_mtime_ns) for entry in entries)

    before = state()
    get(served, served.publish("firmware", "1.0"), tmp_path / "into")
    assert state() == before


def test_uid_without_passwd_entry_fetches_packages(served: Archive, tmp_path: Path) -> None:
    """And without HOME, as in a container that is started with --user."""
    pin = served.publish("firmware", "1.0")
    code = (
        "import sys; from pathlib import Path; from template import apt, pins; into, mirror, keyring = sys.argv[1:]; "
    )
    code += f"print(apt.fetch([pins.{pin!r}], Path(into), mirror, Path(keyring))[0].sha256)"
    python = ["env", "-i", f"PATH={os.environ['PATH']}", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", code]
    command = [*as_user(4242), *python, str(tmp_path / "into"), served.mirror, str(served.keyring)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, [pin.sha256]), result.stderr


def test_pins_have_sha256() -> None:
    for pin in load_pins(PACKAGES):
        assert re.fullmatch(r"[0-9a-f]{64}", pin.sha256)
