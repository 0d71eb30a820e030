"""Debian packages that the tests use without installing them.

What is unpacked brings its libraries along, down to libc, so that it is the same on every host.
"""

from pathlib import Path

from lab import build_cache
from template import apt
from template.paths import CACHE
from template.pins import load_pins

_HERE = Path(__file__).parent / "packages"
ASSEMBLERS = _HERE / "assemblers.toml"  # and linkers, for each kind of UEFI machine
COMPILER = _HERE / "compiler.toml"
FAI = _HERE / "fai.toml"
INSTALLER = _HERE / "installer.toml"  # Debian's
LOADERS = _HERE / "loaders.toml"  # boot loaders of a disk
LTSP = _HERE / "ltsp.toml"
MACHINES = _HERE / "machines.toml"  # QEMU and firmware for what Debian 12 lacks
LATEST_FIRMWARE = _HERE / "latest-firmware.toml"  # firmware that no release has yet
PXE = _HERE / "pxe.toml"  # PXE boot programs
READERS = _HERE / "readers.toml"  # programs that read an ISO
SERVER_PROGRAMS = _HERE / "server-programs.toml"
SIGNED = _HERE / "signed.toml"  # what Debian has signed for Secure Boot

_VERSIONS = "versions.txt"


def unpack(pins: Path) -> Path:
    """Fetch and unpack packages, once; return where they lie.

    Args:
        pins: a TOML file that says what and why.

    Raises:
        BuildError: it can't be had.
    """

    def make(root: Path) -> None:
        packages = apt.fetch(load_pins(pins), CACHE)
        for package in packages:
            apt.unpack(package, root)
        (root / _VERSIONS).write_text("".join(f"{package.name} {package.version}\n" for package in packages))

    return build_cache.directory(pins.stem, pins.read_text(), make)


def program(root: Path, path: str) -> list[str]:
    """Return the words that run an unpacked program with the unpacked libraries, and none of the host's.

    Args:
        root: what `unpack` returned.
        path: the program below it.
    """
    folders = sorted({str(library.parent) for library in root.glob("usr/lib/*/lib*.so*")})
    # The cache names the host's libraries: ld.so(8).
    words = ["--inhibit-cache", "--library-path", ":".join(folders)]
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), *words, str(root / path)]


def versions(root: Path) -> list[str]:
    """Return "package version" of all that was unpacked below `root`."""
    return (root / _VERSIONS).read_text().splitlines()
