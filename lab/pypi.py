"""Programs from PyPI that the tests use without installing them: an environment for each, below the build directory."""

import subprocess
import sys
from pathlib import Path

from lab import once
from template.checkout import CHECKOUT


def environment(name: str) -> Path:
    """Install what a lock names into an environment of its own, once; return where that is.

    Args:
        name: the lock, requirements/NAME.txt, which holds all that is to be installed, with hashes.

    Raises:
        subprocess.CalledProcessError: it can't be had; pip has said why.
    """
    lock = CHECKOUT / "requirements" / f"{name}.txt"

    def make(root: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", root], check=True)
        pip = [str(root / "bin" / "pip"), "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "--requirement", str(lock)], check=True)

    return once.made(name, lock.read_text(), make)
