"""Programs from PyPI that the tests use without installing them: an environment for each, below the build directory."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from template.checkout import BUILD, CHECKOUT


def environment(name: str) -> Path:
    """Install what a lock names into an environment of its own, once; return where that is.

    Args:
        name: the lock, requirements/NAME.txt, which holds all that is to be installed, with hashes.

    Raises:
        subprocess.CalledProcessError: it can't be had; pip has said why.
    """
    lock, root = CHECKOUT / "requirements" / f"{name}.txt", BUILD / name
    stamp = root / lock.name
    BUILD.mkdir(exist_ok=True)
    with root.with_suffix(".lock").open("w") as held:  # the first of several workers does it
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
            shutil.rmtree(root, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", root], check=True)
            pip = [str(root / "bin" / "pip"), "install", "--quiet", "--no-deps", "--require-hashes"]
            subprocess.run([*pip, "--requirement", str(lock)], check=True)
            shutil.copyfile(lock, stamp)
    return root
