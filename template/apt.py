"""Firmware packages from the Debian mirror that this host's apt already uses.

apt runs on a private root below the build directory, so it needs no root and touches nothing of the
host's. It checks the archive's signature and its hashes; the pinned hash is checked on top.

On a host whose apt knows no Debian mirror, such as Ubuntu's, the user names one in DEBIAN_MIRROR.

Not handled: a host without apt (a clear error says so).

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

from template.build_tools import BuildError, no_space, say
from template.pins import Pin

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Read after the host's own configuration (apt-get -c), whose proxy settings stay in force.
_APT_CONF = """\
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{root}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{root}/cache";
// A host that trusts an unsigned archive of its own: this one has to be signed.
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
APT::Architectures {{ {architectures} }};
// The host's hooks would run on the host's cache.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
// The private root may lie where the user _apt can't read.
APT::Sandbox::User "{user}";
// A list that can't be fetched is an error, not a warning.
APT::Update::Error-Mode "any";
// An archived suite, or a mirror that stopped, keeps an index past its date; the pin says what is wanted.
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Acquire::Languages "none";
// Only the package index: no translations, no desktop metadata.
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;
"""


@dataclass(frozen=True)
class Package:
    """A .deb that is here and checked. `version` and `sha256` are of this file, whatever the pin said.

    `name` is with the architecture where the pin has one.
    """

    name: str
    version: str
    suite: str
    sha256: str
    deb: Path
    folder: str = ""


def fetch(pins: Iterable[Pin], into: Path, mirror: str | None = None, keyring: Path = KEYRING) -> list[Package]:
    """Return the pinned packages' files, from `into` where they already are, else from the mirror.

    Where the suite no longer has a pinned version, the newest that it has is taken, and said loudly.

    Args:
        pins: what to get.
        into: the directory of the .deb files and of apt's private root.
        mirror: the archive's base URI; by default the one that the user names, or the host's apt uses.
        keyring: the keys that the archive may be signed with.

    Raises:
        BuildError: no apt, no mirror, no network, a bad signature, or a file that isn't the pinned one.
    """
    pins = list(pins)
    into.mkdir(parents=True, exist_ok=True)
    with (into / "lock").open("w") as held:  # apt does not wait for another apt
        fcntl.flock(held, fcntl.LOCK_EX)
        return _fetch(pins, into, mirror, keyring)


def _fetch(pins: list[Pin], into: Path, mirror: str | None, keyring: Path) -> list[Package]:
    packages = {pin: _package(pin, pin.version, pin.sha256, into) for pin in pins}
    missing = [pin for pin, package in packages.items() if not _is_here(package)]
    if missing:
        if shutil.which("apt-get") is None:
            raise BuildError(f"no apt-get here to fetch {_names(missing)}: build on Debian, or in a Debian container")
        mirror = mirror or named_mirror() or host_mirror()
        config = _private_root(into / "apt", mirror, missing, keyring)
        say(f"package index of {', '.join(sorted({pin.suite for pin in missing}))}")
        _update(config, mirror)
        packages |= _download(_choose(missing, config), config, into)
    return [packages[pin] for pin in pins]


def unpack(package: Package, into: Path) -> Path:
    """Unpack a package's files below `into`, in its own folder if it has one; return where.

    Raises:
        BuildError: the file can't be unpacked.
    """
    into = into / package.folder
    command = ["dpkg-deb", "-x", str(package.deb), str(into)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if result.returncode:
        why = _first_error(result.stderr)
        raise no_space(into, result.stderr) or BuildError(
            f"can't unpack {package.deb.name} ({why}): delete it and build again"
        )
    return into


def named_mirror() -> str:
    """Return the archive's base URI as the environment's DEBIAN_MIRROR names it; empty if it names none.

    Raises:
        BuildError: it is no URI.
    """
    named = os.environ.get("DEBIAN_MIRROR", "")
    if named and not re.fullmatch(r"[a-z][a-z+]*:[!-Z^-~]+", named):
        raise BuildError(f'DEBIAN_MIRROR is no URI: "{named}": write it as in DEBIAN_MIRROR=http://MIRROR/debian')
    return named


def host_mirror() -> str:
    """Return the base URI of the Debian archive that the host's apt uses.

    Raises:
        BuildError: it uses none.
    """
    # REPO_URI is known before the first "apt-get update" on a new machine, ORIGIN only after it.
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
        "apt on this host names no Debian mirror: name one, as in make iso URL=... DEBIAN_MIRROR=http://MIRROR/debian, "
        "or build in a Debian container"
    )


def _private_root(root: Path, mirror: str, pins: Iterable[Pin], keyring: Path) -> Path:
    if not keyring.exists():
        raise BuildError(f"no {keyring} to check the archive's signature with: install debian-archive-keyring")
    root = root.resolve()
    for folder in ("lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # A package for all architectures is in the index of each: this host's is enough for those.
    native = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True)
    wanted: dict[str, set[str]] = {}
    for pin in pins:
        wanted.setdefault(pin.suite, {native.stdout.strip()}).update({pin.architecture} - {""})
    (root / "sources.list").write_text(
        "".join(
            f"deb [arch={','.join(sorted(architectures))} signed-by={keyring}] {mirror} {suite} main\n"
            for suite, architectures in sorted(wanted.items())
        )
    )
    config = root / "apt.conf"
    config.write_text(
        _APT_CONF.format(
            root=root,
            user=_owner(root),
            architectures=" ".join(f'"{name}";' for name in sorted(set().union(*wanted.values()))),
        )
    )
    return config


def _owner(directory: Path) -> str:
    try:
        return directory.owner()
    except KeyError:  # a container's user may have a number alone; apt wants a name when it runs as root
        return "root"


def _update(config: Path, mirror: str) -> None:
    result = subprocess.run(["apt-get", "-c", config, "update"], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise no_space(config.parent, result.stderr) or BuildError(
            f"can't fetch Debian's package index ({_first_error(result.stderr)}): "
            f"check the network and the mirror, {mirror}, then run this again"
        )


@dataclass(frozen=True)
class _Choice:
    """What the suite has for a pin: `wanted` is apt's word for it, `size` is in bytes."""

    wanted: str
    version: str
    sha256: str
    size: int


def _choose(pins: list[Pin], config: Path) -> dict[Pin, _Choice]:
    """Return what is to be fetched for each pin: its own version, else the newest that its suite has."""
    pinned = {pin: f"{pin.qualified_name}={pin.version}" for pin in pins if pin.version}
    choices = _show(pinned, config)
    for suite in sorted({pin.suite for pin in pins}):
        newest = {pin: f"{pin.qualified_name}/{suite}" for pin in pins if pin.suite == suite and pin not in choices}
        choices |= _show(newest, config)
    for pin in pins:
        if pin not in choices:
            raise BuildError(f"{pin.suite} has no package {pin.qualified_name}: pin another suite in the .toml file")
        choice = choices[pin]
        if is_older(choice.version, pin.version):
            raise BuildError(
                f"the newest {pin.qualified_name} that {pin.suite} has here, {choice.version}, is older than "
                f"the pinned {pin.version}: the mirror is out of date: use another one, as in DEBIAN_MIRROR=http://MIRROR/debian"
            )
        if pin.version not in ("", choice.version):
            _shout(
                f"{pin.suite} no longer has the pinned {pin.qualified_name} {pin.version}.\n"
                f"Taking the newest that it has, {choice.version}: signed by Debian, but not what was tested."
            )
        elif pin.version and choice.sha256 != pin.sha256:
            raise BuildError(
                f"{pin.suite} has another {pin.qualified_name} {choice.version} than the pinned one "
                f"(SHA-256 {choice.sha256}, not {pin.sha256}): if Debian says why, pin the new one in the .toml file"
            )
    return choices


def is_older(version: str, than: str) -> bool:
    """Return whether a package's version is an earlier one, as Debian counts; False if one of them is empty."""
    compare = ["dpkg", "--compare-versions", version, "lt", than]
    return bool(version and than) and subprocess.run(compare, check=False).returncode == 0


def _show(wanted: dict[Pin, str], config: Path) -> dict[Pin, _Choice]:
    """Return what the index has of apt's words for these pins, at most one of each package and architecture."""
    if not wanted:
        return {}
    # All at once: apt takes half a second to read its indexes. What it does not have it leaves out.
    command = ["apt-cache", "-c", str(config), "--no-all-versions", "show", *wanted.values()]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    choices = {}
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        for pin, word in wanted.items():
            other_version = "=" in word and fields.get("Version") != pin.version
            other_architecture = pin.architecture not in ("", fields.get("Architecture"))
            if fields.get("Package") == pin.name and not other_version and not other_architecture:
                choices[pin] = _Choice(word, fields["Version"], fields["SHA256"], int(fields["Size"]))
    return choices


def _download(choices: dict[Pin, _Choice], config: Path, into: Path) -> dict[Pin, Package]:
    """Fetch what was chosen and is not there yet."""
    packages = {pin: _package(pin, found.version, found.sha256, into) for pin, found in choices.items()}
    absent = {pin: found for pin, found in choices.items() if not _is_here(packages[pin])}
    for pin, found in absent.items():
        say(f"{pin.qualified_name} {found.version} ({pin.suite}, {found.size:,} bytes)")
    if not absent:
        return packages
    here = into / "arriving"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    try:
        command = ["apt-get", "-c", str(config), "-qq", "download", *(found.wanted for found in absent.values())]
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
        arrived = {_sha256(deb): deb for deb in here.glob("*.deb")}
        for package in (packages[pin] for pin in absent):
            if package.sha256 not in arrived:
                why = _first_error(result.stderr) if result.returncode else "what came has another SHA-256"
                raise no_space(into, result.stderr) or BuildError(
                    f"can't fetch {package.name} {package.version} ({why}): check the network, then run this again"
                )
            arrived[package.sha256].replace(package.deb)
        return packages
    finally:
        shutil.rmtree(here)


def _package(pin: Pin, version: str, sha256: str, into: Path) -> Package:
    return Package(pin.qualified_name, version, pin.suite, sha256, into / f"{pin.name}-{sha256[:16]}.deb", pin.folder)


def _is_here(package: Package) -> bool:
    return package.sha256 != "" and package.deb.exists() and _sha256(package.deb) == package.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _names(pins: Iterable[Pin]) -> str:
    return ", ".join(pin.qualified_name for pin in pins)


def _first_error(text: str) -> str:
    """Return the first error that apt or dpkg prints; later ones follow from it."""
    lines = [line for line in text.splitlines() if line.startswith("E:")] or text.splitlines() or ["no reason given"]
    return lines[0].removeprefix("E: ")


def _shout(text: str) -> None:
    bar = "!" * 78
    print(f"{bar}\n{text}\n{bar}", file=sys.stderr, flush=True)
