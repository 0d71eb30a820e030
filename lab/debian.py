"""Debian packages that the tests unpack and use without installing them.

Programs come with all their libraries, including libc, so that they are the same on every host.
"""

from pathlib import Path

from lab import build_cache
from template import apt
from template.paths import CACHE
from template.pins import load_pins

_HERE = Path(__file__).parent / "packages"
ASSEMBLERS = _HERE / "assemblers.toml"  # assemblers and linkers for each architecture with UEFI
COMPILER = _HERE / "compiler.toml"
FAI = _HERE / "fai.toml"
INSTALLER = _HERE / "installer.toml"  # the Debian installer
LOADERS = _HERE / "loaders.toml"  # boot loaders for disks
LTSP = _HERE / "ltsp.toml"
MACHINES = _HERE / "machines.toml"  # QEMU and firmware for architectures that Debian 12 does not support
LATEST_FIRMWARE = _HERE / "latest-firmware.toml"  # firmware newer than in any Debian release
PXE = _HERE / "pxe.toml"  # PXE boot programs
READERS = _HERE / "readers.toml"  # programs that read an ISO
SERVER_PROGRAMS = _HERE / "server-programs.toml"
SIGNED = _HERE / "signed.toml"  # programs signed by Debian for Secure Boot

_VERSIONS = "versions.txt"


def unpack(pins: Path) -> Path:
    """Download and unpack packages, once; return the directory.

    Args:
        pins: the TOML file that lists the packages.

    Raises:
        BuildError: a package can't be downloaded or unpacked.
    """

    def make(root: Path) -> None:
        packages = apt.fetch(load_pins(pins), CACHE)
        for package in packages:
            apt.unpack(package, root)
        (root / _VERSIONS).write_text("".join(f"{package.name} {package.version}\n" for package in packages))

    return build_cache.directory(f"debian/{pins.stem}", pins.read_text(), make)


def program(root: Path, path: str) -> list[str]:
    """Return the command line that runs an unpacked program with the unpacked libraries instead of those of the host.

    Args:
        root: the directory that `unpack` returned.
        path: the path of the program below it.
    """
    folders = sorted({str(library.parent) for library in root.glob("usr/lib/*/lib*.so*")})
    # --inhibit-cache: the ld.so cache lists the libraries of the host (see ld.so(8)).
    options = ["--inhibit-cache", "--library-path", ":".join(folders)]
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), *options, str(root / path)]


def versions(root: Path) -> list[str]:
    """Return "PACKAGE VERSION" for each package that was unpacked into `root`."""
    return (root / _VERSIONS).read_text().splitlines()
