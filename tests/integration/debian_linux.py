"""The Linux that servers send in these tests: the Debian installer, from its package for boot servers.

The package has 145 MB, so the tests that `make test` runs do without it.
"""

from pathlib import Path

from lab import debian

PLACEHOLDER = b"a kernel or initrd that no machine starts"


def installer() -> Path:
    """Return the directory for a TFTP server."""
    return debian.unpack(debian.INSTALLER) / "usr/lib/debian-installer/images/13/amd64/text"


def kernel() -> Path:
    """Return the kernel of the installer."""
    return installer() / "debian-installer/amd64/linux"


def initrd() -> Path:
    """Return the initrd of the installer."""
    return installer() / "debian-installer/amd64/initrd.gz"
