"""The Linux that servers send in these tests: Debian's installer, as its package for boot servers has it."""

from lab import debs

_ROOT = debs.unpack(debs.INSTALLER)
INSTALLER = _ROOT / "usr/lib/debian-installer/images/13/amd64/text"
KERNEL = INSTALLER / "debian-installer/amd64/linux"
INITRD = INSTALLER / "debian-installer/amd64/initrd.gz"
