"""Downloads the pinned Debian packages from the mirror that apt on this host already uses.

apt runs with a private directory tree below the build directory, so it needs no root privileges and changes nothing on
the host. It verifies the signature of the archive and the hashes in its index; the pinned hash is checked as well.

Where apt is not set up for Debian, as on Ubuntu, the user names a mirror in DEBIAN_MIRROR.

Not handled: a host without apt (there is a clear error message).

Sources: apt-get(8), apt.conf(5), sources.list(5).
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from template.build_tools import BuildError, english, no_space, print_step
from template.pins import Pin

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# apt reads this after the configuration of the host (apt-get -c), so the proxy settings of the host stay in force.
_APT_CONF = """\
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{root}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{root}/cache";
// Some hosts trust unsigned archives. The Debian archive has to be signed.
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
APT::Architectures {{ {architectures} }};
// Hooks of the host would act on the cache of the host.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
// The user _apt may not be allowed to read the directory of the private tree.
APT::Sandbox::User "{user}";
// Make an index that can't be downloaded an error, not a warning.
APT::Update::Error-Mode "any";
// Archived suites and mirrors that are no longer updated have an expired index. The pin decides what is acceptable.
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Acquire::Languages "none";
// Download the package index only: no translations, no desktop metadata.
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;
"""


@dataclass(frozen=True)
class Package:
    """A downloaded and verified .deb.

    `version` and `sha256` describe this file, which may be newer than the pin. `name` includes the architecture if the
    pin has one.
    """

    name: str
    version: str
    suite: str
    sha256: str
    deb: Path
    folder: str = ""


def fetch(pins: Iterable[Pin], into: Path, mirror: str | None = None, keyring: Path = KEYRING) -> list[Package]:
    """Return the pinned packages, downloading those that are not in `into` yet.

    If the suite no longer has a pinned version, its newest version is used instead, with a prominent warning.

    Args:
        pins: the packages to get.
        into: the directory for the .deb files and for the private directory tree of apt.
        mirror: the base URI of the archive; by default DEBIAN_MIRROR, or else the mirror that apt on this host uses.
        keyring: the keys that may sign the archive.

    Raises:
        BuildError: no apt, no mirror, no network, a bad signature, or a file that is not the pinned one.
    """
    pins = list(pins)
    into.mkdir(parents=True, exist_ok=True)
    with (into / "lock").open("w") as lock:  # two apt processes with the same directories fail instead of waiting
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _fetch(pins, into, mirror, keyring)


def _fetch(pins: list[Pin], into: Path, mirror: str | None, keyring: Path) -> list[Package]:
    packages = {pin: _package(pin, pin.version, pin.sha256, into) for pin in pins}
    missing = [pin for pin, package in packages.items() if not _is_cached(package)]
    if missing:
        if shutil.which("apt-get") is None:
            raise BuildError(
                f"can't download {_names(missing)}: this host has no apt-get: build on Debian, or in a Debian container"
            )
        mirror = mirror or mirror_from_environment() or host_mirror()
        config = _private_root(into / "apt", mirror, missing, keyring)
        print_step(f"package index of {', '.join(sorted({pin.suite for pin in missing}))}")
        _update(config, mirror)
        packages |= _download(_choose(missing, config), config, into)
    return [packages[pin] for pin in pins]


def unpack(package: Package, into: Path) -> Path:
    """Unpack a package below `into`, in the package's `folder` if it has one; return that directory.

    Raises:
        BuildError: dpkg-deb can't unpack the file.
    """
    into = into / package.folder
    command = ["dpkg-deb", "-x", str(package.deb), str(into)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=english())
    if result.returncode:
        reason = _first_error(result.stderr)
        raise no_space(into, result.stderr) or BuildError(
            f"can't unpack {package.deb.name} ({reason}): delete {package.deb} and run this again"
        )
    return into


def mirror_from_environment() -> str:
    """Return the base URI of the archive in the environment variable DEBIAN_MIRROR, or "" if it is not set.

    Raises:
        BuildError: the value is not a URI.
    """
    mirror = os.environ.get("DEBIAN_MIRROR", "")
    if mirror and not re.fullmatch(r"[a-z][a-z+]*:[!-Z^-~]+", mirror):
        raise BuildError(f'DEBIAN_MIRROR is not a URI: "{mirror}": write DEBIAN_MIRROR=http://MIRROR/debian')
    return mirror


def host_mirror() -> str:
    """Return the base URI of the Debian archive that apt on this host uses.

    Raises:
        BuildError: apt on this host uses no Debian archive.
    """
    # apt knows REPO_URI before the first "apt-get update" on a new machine, but ORIGIN only afterwards.
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    command = ["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    command.remove("--no-release-info")
    informed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for line in [*informed.splitlines(), *plain.splitlines()]:
        uri, release, component, origin = line.split(" ", 3)
        if component != "main" or release.endswith(("-security", "-updates", "-backports")) or "/" in release:
            continue
        if origin == "Debian" or (origin.startswith("$") and uri.endswith("/debian/")):
            return uri
    raise BuildError(
        "apt on this host has no Debian mirror: name one with make iso URL=... DEBIAN_MIRROR=http://MIRROR/debian, "
        "or build in a Debian container"
    )


def _private_root(root: Path, mirror: str, pins: Iterable[Pin], keyring: Path) -> Path:
    if not keyring.exists():
        raise BuildError(f"can't verify Debian packages without {keyring}: install debian-archive-keyring")
    root = root.resolve()
    for folder in ("lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # Architecture-independent packages are in every index, so the index for the architecture of this host has them.
    native = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True)
    suites: dict[str, set[str]] = {}
    for pin in pins:
        suites.setdefault(pin.suite, {native.stdout.strip()}).update({pin.architecture} - {""})
    (root / "sources.list").write_text(
        "".join(
            f"deb [arch={','.join(sorted(architectures))} signed-by={keyring}] {mirror} {suite} main\n"
            for suite, architectures in sorted(suites.items())
        )
    )
    config = root / "apt.conf"
    config.write_text(
        _APT_CONF.format(
            root=root,
            user=_owner(root),
            architectures=" ".join(f'"{name}";' for name in sorted(set().union(*suites.values()))),
        )
    )
    return config


def _owner(directory: Path) -> str:
    try:
        return directory.owner()
    except KeyError:  # in a container the user ID may have no passwd entry; apt run as root needs a name
        return "root"


def _update(config: Path, mirror: str) -> None:
    command = ["apt-get", "-c", str(config), "update"]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, env=english())
    if result.returncode:
        raise no_space(config.parent, result.stderr) or BuildError(
            f"can't download the Debian package index ({_first_error(result.stderr)}): "
            f"check the network and the mirror {mirror}, then run this again"
        )


@dataclass(frozen=True)
class _Candidate:
    """A package in the index: `spec` names it on the command line of apt, `size` is in bytes."""

    spec: str
    version: str
    sha256: str
    size: int


def _choose(pins: list[Pin], config: Path) -> dict[Pin, _Candidate]:
    """Return the package to download for each pin: the pinned version, or else the newest in the suite."""
    pinned = {pin: f"{pin.qualified_name}={pin.version}" for pin in pins if pin.version}
    choices = _look_up(pinned, config)
    for suite in sorted({pin.suite for pin in pins}):
        newest = {pin: f"{pin.qualified_name}/{suite}" for pin in pins if pin.suite == suite and pin not in choices}
        choices |= _look_up(newest, config)
    for pin in pins:
        if pin not in choices:
            raise BuildError(f"{pin.suite} has no package {pin.qualified_name}: pin another suite in the .toml file")
        choice = choices[pin]
        refuse_older(pin, choice.version)
        if pin.version not in ("", choice.version):
            _print_warning(
                f"template: warning: {pin.suite} no longer has the pinned {pin.qualified_name} {pin.version}.\n"
                f"Using the newest version, {choice.version}: it is signed by Debian, but was not tested."
            )
        elif pin.version and choice.sha256 != pin.sha256:
            raise BuildError(
                f"{pin.qualified_name} {choice.version} in {pin.suite} is not the pinned file (its SHA-256 is "
                f"{choice.sha256}, not {pin.sha256}): find out why Debian changed it, then pin it in the .toml file"
            )
    return choices


def refuse_older(pin: Pin, version: str) -> None:
    """Raise BuildError if the newest version on the mirror sorts before the pinned one, by the Debian rules."""
    compare = ["dpkg", "--compare-versions", version, "lt", pin.version]
    if pin.version and subprocess.run(compare, check=False).returncode == 0:
        raise BuildError(
            f"the mirror is out of date: its newest {pin.qualified_name} in {pin.suite} is {version}, older "
            f"than the pinned {pin.version}: name another mirror with DEBIAN_MIRROR=http://MIRROR/debian"
        )


def _look_up(specs: dict[Pin, str], config: Path) -> dict[Pin, _Candidate]:
    """Return the index entry for each pin, given its name on the apt command line; pins without an entry are left out.

    At most one of the pins may name a given package and architecture.
    """
    if not specs:
        return {}
    # One call for all of them, because apt takes half a second to read its indexes.
    command = ["apt-cache", "-c", str(config), "--no-all-versions", "show", *specs.values()]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    candidates = {}
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        for pin, spec in specs.items():
            other_version = "=" in spec and fields.get("Version") != pin.version
            other_architecture = pin.architecture not in ("", fields.get("Architecture"))
            if fields.get("Package") == pin.name and not other_version and not other_architecture:
                candidates[pin] = _Candidate(spec, fields["Version"], fields["SHA256"], int(fields["Size"]))
    return candidates


def _download(choices: dict[Pin, _Candidate], config: Path, into: Path) -> dict[Pin, Package]:
    """Download the chosen packages that are not in `into` yet."""
    packages = {pin: _package(pin, choice.version, choice.sha256, into) for pin, choice in choices.items()}
    missing = {pin: choice for pin, choice in choices.items() if not _is_cached(packages[pin])}
    for pin, choice in missing.items():
        print_step(f"{pin.qualified_name} {choice.version} ({pin.suite}, {choice.size:,} bytes)")
    if not missing:
        return packages
    incoming = into / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    try:
        command = ["apt-get", "-c", str(config), "-qq", "download", *(choice.spec for choice in missing.values())]
        result = subprocess.run(command, cwd=incoming, capture_output=True, text=True, check=False, env=english())
        downloaded = {_sha256(deb): deb for deb in incoming.glob("*.deb")}
        for package in (packages[pin] for pin in missing):
            if package.sha256 not in downloaded:
                reason = _first_error(result.stderr) if result.returncode else "the downloaded file has another SHA-256"
                raise no_space(into, result.stderr) or BuildError(
                    f"can't download {package.name} {package.version} ({reason}): "
                    "check the network and the mirror, then run this again"
                )
            downloaded[package.sha256].replace(package.deb)
        return packages
    finally:
        shutil.rmtree(incoming)


def _package(pin: Pin, version: str, sha256: str, into: Path) -> Package:
    return Package(pin.qualified_name, version, pin.suite, sha256, into / f"{pin.name}-{sha256[:16]}.deb", pin.folder)


def _is_cached(package: Package) -> bool:
    return package.sha256 != "" and package.deb.exists() and _sha256(package.deb) == package.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _names(pins: Iterable[Pin]) -> str:
    return ", ".join(pin.qualified_name for pin in pins)


def _first_error(text: str) -> str:
    """Return the first error that apt or dpkg printed; the later ones are consequences of it."""
    lines = [line for line in text.splitlines() if line.startswith("E:")] or text.splitlines() or ["no reason given"]
    return lines[0].removeprefix("E: ")


def _print_warning(text: str) -> None:
    bar = "!" * 78
    print(f"{bar}\n{text}\n{bar}", file=sys.stderr, flush=True)
