"""Debian packages that the tests use without installing them."""

import fcntl
import shutil
from pathlib import Path

from template import archive
from template.__main__ import CACHE, CHECKOUT


def unpack(pins: Path) -> Path:
    """Fetch and unpack packages, once; return where they lie.

    Args:
        pins: a TOML file that says what and why.

    Raises:
        BuildError: it can't be had.
    """
    root = CHECKOUT / "build" / pins.stem
    stamp = root / pins.name
    root.parent.mkdir(exist_ok=True)
    with root.with_suffix(".lock").open("w") as held:  # the first of several workers does it
        fcntl.flock(held, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != pins.read_bytes():
            shutil.rmtree(root, ignore_errors=True)
            for package in archive.fetch(archive.load_pins(pins), CACHE):
                archive.unpack(package, root)
            shutil.copyfile(pins, stamp)
    return root
