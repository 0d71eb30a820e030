"""Programs from PyPI for the tests, each in a separate environment below build/, as locked in requirements/."""

import subprocess
import sys
from pathlib import Path

from lab import build_cache
from template.paths import CHECKOUT


def environment(name: str) -> Path:
    """Install locked packages into a new environment, once; return its directory.

    Args:
        name: the lock file, requirements/NAME.txt, which lists all packages with hashes.

    Raises:
        subprocess.CalledProcessError: pip failed and has printed the reason.
    """

    def make(root: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", root], check=True)
        install(name, root / "bin" / "python")

    return build_cache.directory(name, lock(name).read_text(), make)


def install(name: str, python: str | Path, *options: str) -> None:
    """Install locked packages.

    Args:
        name: the lock file, requirements/NAME.txt.
        python: the Python whose pip installs them.
        options: additional options of pip.

    Raises:
        subprocess.CalledProcessError: pip failed and has printed the reason.
    """
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", *options]
    subprocess.run([*pip, "--requirement", lock(name)], check=True)


def lock(name: str) -> Path:
    """Return the path of a lock file."""
    return CHECKOUT / "requirements" / f"{name}.txt"
