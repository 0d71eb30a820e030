"""Packages come from a real archive, signed and served here; then things go wrong with it."""

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
    with signing_key(tmp_path_factory.mktemp("gnupg")) as made:
        yield made


@pytest.fixture
def served(tmp_path: Path, key: Key) -> Iterator[Archive]:
    with serving(tmp_path / "archive", key) as empty:
        yield empty


def get(served: Archive, pin: Pin, into: Path) -> apt.Package:
    (package,) = apt.fetch([pin], into, served.mirror, served.keyring)
    return package


def test_two_at_a_time_wait_for_each_other(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with ThreadPoolExecutor(4) as pool:
        packages = list(pool.map(lambda _: get(served, pin, tmp_path / "cache"), range(4)))
    assert len({package.deb for package in packages}) == 1


def test_gets_a_package_of_another_architecture(served: Archive, tmp_path: Path) -> None:
    pin = replace(served.publish("shim", "1.0", OTHER), architecture=OTHER)
    package = get(served, pin, tmp_path / "cache")
    assert (package.name, package.version) == (f"shim:{OTHER}", "1.0")
    assert (apt.unpack(package, tmp_path / "out") / "usr/payload").read_text() == "1.0"
    # This host's own has none, and it is not taken for another.
    with pytest.raises(BuildError, match="teststable has no package shim:"):
        get(served, replace(pin, sha256="", architecture=""), tmp_path / "other")


@pytest.mark.parametrize("newest", [False, True])
def test_gets_two_versions_of_a_package_from_two_suites(served: Archive, tmp_path: Path, newest: bool) -> None:
    """Whose files have the same names, so that one of them is unpacked apart."""
    pins = [
        served.publish("firmware", "2.0", suite="testnext"),
        replace(served.publish("firmware", "1.0"), folder="apart"),
    ]
    wanted = [replace(pin, version="", sha256="") for pin in pins] if newest else pins
    packages = apt.fetch(wanted, tmp_path / "into", served.mirror, served.keyring)
    assert [(package.suite, package.sha256) for package in packages] == [(pin.suite, pin.sha256) for pin in pins]
    for package in packages:
        apt.unpack(package, tmp_path / "tree")
    assert (tmp_path / "tree/usr/payload").read_text() == "2.0"
    assert (tmp_path / "tree/apart/usr/payload").read_text() == "1.0"
    # From the cache, too.
    assert apt.fetch(pins, tmp_path / "into", served.mirror, served.keyring) == packages


def test_gets_the_pinned_package_once(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    package = get(served, pin, tmp_path / "into")
    assert (package.version, package.sha256) == (pin.version, pin.sha256)
    assert (apt.unpack(package, tmp_path / "tree") / "usr/payload").read_text() == "1.0"
    # The second time nothing is asked of the network: there is none.
    shutil.rmtree(served.root)
    assert get(served, pin, tmp_path / "into") == package


def test_takes_the_newest_when_the_pinned_is_gone_and_says_so(
    served: Archive, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = served.publish("firmware", "1.0")
    new = served.publish("firmware", "2.0")
    package = get(served, old, tmp_path / "into")
    assert (package.version, package.sha256) == ("2.0", new.sha256)
    warning = capfd.readouterr().err
    assert "no longer has the pinned firmware 1.0" in warning
    assert "Taking the newest that it has, 2.0" in warning


def test_takes_what_the_suite_has_when_nothing_is_pinned(
    served: Archive, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = served.publish("firmware", "2.0")
    assert get(served, Pin("firmware", SUITE), tmp_path / "into").sha256 == new.sha256
    assert capfd.readouterr().err == ""


def test_same_version_with_other_content_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"teststable has another firmware 1\.0 than the pinned one"):
        get(served, Pin(pin.name, pin.suite, pin.version, "0" * 64), tmp_path / "into")


def test_unknown_package(served: Archive, tmp_path: Path) -> None:
    served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"teststable has no package other: pin another suite"):
        get(served, Pin("other", SUITE, "1.0", "0" * 64), tmp_path / "into")


@pytest.mark.parametrize("damage", [lambda deb: deb[:-100], lambda deb: deb[:-1] + bytes([deb[-1] ^ 1]), lambda _: b""])
def test_damaged_download_is_refused_and_not_kept(served: Archive, tmp_path: Path, damage: object) -> None:
    pin = served.publish("firmware", "1.0")
    (deb,) = served.debs
    deb.write_bytes(damage(deb.read_bytes()))  # type: ignore[operator]
    with pytest.raises(BuildError, match=r"can't fetch firmware 1\.0 \(.*\): check the network, then run this again"):
        get(served, pin, tmp_path / "into")
    assert not list((tmp_path / "into").glob("*.deb"))


def test_damaged_cache_is_fetched_again(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    package = get(served, pin, tmp_path / "into")
    package.deb.write_bytes(b"damaged")
    assert get(served, pin, tmp_path / "into") == package
    assert hashlib.sha256(package.deb.read_bytes()).hexdigest() == pin.sha256


def test_foreign_signature_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"can't fetch Debian's package index \(.*(?i:signed|signature|verif).*\)"):
        apt.fetch([pin], tmp_path / "into", served.mirror, apt.KEYRING)


UNSIGNED = r"can't fetch Debian's package index \(.*(?:not signed|no longer signed|weak|Release).*\)"


def host_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    """Let the host's own apt configuration say so, beside what it says anyway."""
    config = tmp_path / "host.conf"
    config.write_text("".join(f"{line};\n" for line in lines))
    monkeypatch.setenv("APT_CONFIG", str(config))


@pytest.mark.parametrize("what", ["unsigned", "weak", "no longer signed"])
def test_host_that_trusts_unsigned_archives(
    served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    host_says(
        monkeypatch,
        tmp_path,
        'Acquire::AllowInsecureRepositories "true"',
        'Acquire::AllowWeakRepositories "true"',
        'Acquire::AllowDowngradeToInsecureRepositories "true"',
        'APT::Get::AllowUnauthenticated "true"',
    )
    pin = served.publish("firmware", "1.0")
    if what == "no longer signed":
        get(served, pin, tmp_path / "into")
        pin = served.publish("firmware", "2.0")
    if what == "weak":
        served.weaken(SUITE)
    else:
        for file in served.root.glob("dists/*/InRelease"):
            file.unlink()
    with pytest.raises(BuildError, match=UNSIGNED):
        get(served, pin, tmp_path / "into")


@pytest.mark.parametrize("old", ["9.0-1", "10.0~rc1-1"])
def test_older_version_than_the_pinned_one_is_refused(served: Archive, old: str, tmp_path: Path) -> None:
    """As from a mirror that stopped, or an old index that somebody serves again: it is signed all the same."""
    served.publish("firmware", old)
    with pytest.raises(
        BuildError,
        match=rf"^the newest firmware that teststable has here, {re.escape(old)}, is older than .* 10\.0-1:",
    ):
        get(served, Pin("firmware", SUITE, "10.0-1", "0" * 64), tmp_path / "into")
    assert not list((tmp_path / "into").glob("*.deb"))


def test_nothing_of_the_hosts_apt_configuration_matters(
    served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its hooks, nor that it wants fresh indexes, nor what is installed, nor more of the index."""
    touch = f'{{ "echo hook >> {tmp_path}/hooks"; }}'
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/more.list").write_text("deb http://127.0.0.1:1/ bookworm main\n")
    (tmp_path / "status").write_text("Package: firmware\nStatus: broken\n\nnonsense\n")
    hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
    targets = ("DEP-11", "DEP-11-icons", "DEP-11-icons-small", "DEP-11-icons-large", "DEP-11-icons-hidpi")
    host_says(
        monkeypatch,
        tmp_path,
        *(f"{hook} {touch}" for hook in (*hooks, "DPkg::Post-Invoke")),
        # What this host says itself is read after that, and may hide what is to be seen here.
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


def test_cache_in_a_directory_with_odd_characters(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    into = tmp_path / "a b $(c) `d` 'e' #g; h:i,j)k \u00e9 %s [l] {m}"
    assert get(served, pin, into).sha256 == pin.sha256


def test_full_disk(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0", size=3_000_000)
    into = tmp_path / "into"
    into.mkdir()
    code = (
        "import sys; from pathlib import Path; from template import apt, pins; into, mirror, keyring = sys.argv[1:]; "
    )
    code += f"apt.fetch([pins.{pin!r}], Path(into), mirror, Path(keyring))"
    mount = f'mount -t tmpfs -o size=2m none "{into}"; exec "$@"'
    words = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", code, str(into), served.mirror, str(served.keyring)]
    command = [*unshare("mount"), "sh", "-ec", mount, "sh", *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"BuildError: no space left in {into} (the build takes about 100 MB): free some" in result.stderr


def test_tampered_index_is_refused(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    for index in served.root.rglob("Packages"):
        index.write_text(index.read_text().replace(pin.sha256, "0" * 64))
    with pytest.raises(BuildError, match=r"can't fetch Debian's package index \(.*(?:Hash|size).*\)"):
        get(served, pin, tmp_path / "into")


def test_no_network(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with pytest.raises(
        BuildError, match=r"can't fetch Debian's package index \(.*\): check the network and the mirror"
    ):
        apt.fetch([pin], tmp_path / "into", "http://127.0.0.1:1/", served.keyring)


def test_no_keyring(served: Archive, tmp_path: Path) -> None:
    pin = served.publish("firmware", "1.0")
    with pytest.raises(BuildError, match=r"no .*/none\.gpg to check .* install debian-archive-keyring"):
        apt.fetch([pin], tmp_path / "into", served.mirror, tmp_path / "none.gpg")


def test_no_apt(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = served.publish("firmware", "1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"no apt-get here to fetch firmware: build on Debian"):
        get(served, pin, tmp_path / "into")


def test_host_names_no_debian_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::Etc::sourcelist "{tmp_path}/none"; Dir::Etc::sourceparts "{tmp_path}/none.d";')
    monkeypatch.setenv("APT_CONFIG", str(config))
    with pytest.raises(BuildError, match=r"names no Debian mirror: name one, as in make iso URL=\.\.\. DEBIAN_MIRROR="):
        apt.host_mirror()


def test_mirror_that_the_user_names(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = served.publish("firmware", "1.0")
    monkeypatch.setenv("DEBIAN_MIRROR", served.mirror)
    (package,) = apt.fetch([pin], tmp_path / "into", keyring=served.keyring)
    assert package.sha256 == pin.sha256


@pytest.mark.parametrize("named", ["bookworm", "http://h/a b", "http://h/x [trusted=yes]", "/srv/mirror"])
def test_mirror_that_is_no_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("DEBIAN_MIRROR", named)
    with pytest.raises(BuildError, match=f'DEBIAN_MIRROR is no URI: "{re.escape(named)}": write it as in'):
        apt.fetch([Pin("firmware", SUITE)], tmp_path / "into")


def test_mirror_is_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose package lists were never fetched, and past what is no Debian mirror."""
    sources = tmp_path / "sources.list"
    sources.write_text(
        "deb http://vendor.example/tools bookworm main\n"
        "deb http://mirror.example/debian-security bookworm-security main\n"
        "deb http://mirror.example/pub/debian bookworm main\n"
    )
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "-"; Dir::State::lists "{tmp_path}/lists";'
    )
    (tmp_path / "lists/partial").mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(config))
    assert apt.host_mirror() == "http://mirror.example/pub/debian/"


def test_nothing_of_the_hosts_is_touched(served: Archive, tmp_path: Path) -> None:
    places = [Path(place) for place in ("/var/lib/apt/lists", "/var/cache/apt", "/var/cache/apt/archives/partial")]

    def state() -> list[tuple[str, int]]:
        entries = [entry for place in places if place.exists() for entry in (place, *place.iterdir())]
        return sorted((str(entry), entry.stat().st_mtime_ns) for entry in entries)

    before = state()
    get(served, served.publish("firmware", "1.0"), tmp_path / "into")
    assert state() == before


def test_user_that_has_a_number_alone(served: Archive, tmp_path: Path) -> None:
    """As in a container that runs as one: no entry in the list of users, no HOME."""
    pin = served.publish("firmware", "1.0")
    code = (
        "import sys; from pathlib import Path; from template import apt, pins; into, mirror, keyring = sys.argv[1:]; "
    )
    code += f"print(apt.fetch([pins.{pin!r}], Path(into), mirror, Path(keyring))[0].sha256)"
    words = ["env", "-i", f"PATH={os.environ['PATH']}", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", code]
    command = [*as_user(4242), *words, str(tmp_path / "into"), served.mirror, str(served.keyring)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, [pin.sha256]), result.stderr


def test_pins_are_whole() -> None:
    for pin in load_pins(PACKAGES):
        assert re.fullmatch(r"[0-9a-f]{64}", pin.sha256)
