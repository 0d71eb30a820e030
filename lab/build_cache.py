"""What the tests fetch and make once, below the build directory, and again when what it is made from has changed."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

from template.paths import BUILD


def directory(name: str, made_from: str, make: Callable[[Path], object]) -> Path:
    """Return a directory that is made where it is not there yet; of several processes the first one does it.

    Args:
        name: the directory's, in the build directory.
        made_from: the text that it is made anew for when that changes.
        make: what makes it; the directory is not there then. What it raises goes on.
    """
    root = BUILD / name
    stamp = root / "made-from"
    BUILD.mkdir(exist_ok=True)
    with root.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == made_from):
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            stamp.write_text(made_from)
    return root
