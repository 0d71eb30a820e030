"""Fresh checkouts for tests: what a clone holds, and nothing that was made here."""

import shutil
import subprocess
from pathlib import Path

from template.paths import CACHE, CHECKOUT


def copy(place: Path, *, packages: bool = False) -> Path:
    """Copy the files under version control to `place`, and return it.

    Args:
        place: a directory; made if it is not there.
        packages: whether Debian's packages come along, so that nothing has to be fetched.
    """
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    for name in tracked.stdout.rstrip("\0").split("\0"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, place / name)
    if packages:
        shutil.copytree(CACHE, place / "build/packages", ignore=shutil.ignore_patterns("apt"))
    return place
