"""Programs from PyPI that the tests use without installing them: an environment for each, below the build directory."""

import subprocess
import sys
from pathlib import Path

from lab import build_cache
from template.paths import CHECKOUT


def environment(name: str) -> Path:
    """Install what a lock names into an environment of its own, once; return where that is.

    Args:
        name: the lock, requirements/NAME.txt, which holds all that is to be installed, with hashes.

    Raises:
        subprocess.CalledProcessError: it can't be had; pip has said why.
    """

    def make(root: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", root], check=True)
        install(name, root / "bin" / "python")

    return build_cache.directory(name, lock(name).read_text(), make)


def install(name: str, python: str | Path, *words: str) -> None:
    """Install what a lock names, as it stands.

    Args:
        name: the lock's.
        python: whose pip does it.
        words: more options of pip's.

    Raises:
        subprocess.CalledProcessError: it can't be had; pip has said why.
    """
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", *words]
    subprocess.run([*pip, "--requirement", lock(name)], check=True)


def lock(name: str) -> Path:
    """Return a lock's file."""
    return CHECKOUT / "requirements" / f"{name}.txt"
