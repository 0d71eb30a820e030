"""The Linux that servers send in these tests: Debian's installer, as its package for boot servers has it.

That is 145 MB: what `make test` runs does without it.
"""

from pathlib import Path

from lab import debian

PLACEHOLDER = b"what no machine starts"


def installer() -> Path:
    """Return its tree, as a TFTP server has it."""
    return debian.unpack(debian.INSTALLER) / "usr/lib/debian-installer/images/13/amd64/text"


def kernel() -> Path:
    """Return its kernel."""
    return installer() / "debian-installer/amd64/linux"


def initrd() -> Path:
    """Return its initrd."""
    return installer() / "debian-installer/amd64/initrd.gz"
