"""Directories below build/ that are made once, and made again when their inputs change."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

from template.paths import BUILD


def directory(name: str, made_from: str, make: Callable[[Path], object]) -> Path:
    """Return a directory, which is made first if it is missing or outdated. Other processes wait for that.

    Args:
        name: the path of the directory in build/. The directory is deleted when it is made again, so nothing else may
            write to it.
        made_from: a text that describes the inputs; when it changes, the directory is made again.
        make: makes the directory, which does not exist when this is called; its exceptions are passed on.
    """
    root = BUILD / name
    stamp = root / "made-from"
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == made_from):
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            stamp.write_text(made_from)
    return root
