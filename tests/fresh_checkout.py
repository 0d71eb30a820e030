"""Fresh checkouts for tests: only files under version control, as after git clone."""

import shutil
import subprocess
from pathlib import Path

from template.paths import CACHE, CHECKOUT


def copy(place: Path, *, packages: bool = False) -> Path:
    """Copy the files under version control to `place`, and return it.

    Args:
        place: a directory; it is made if it does not exist.
        packages: whether to copy the downloaded Debian packages also, so that nothing is downloaded again.
    """
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    for name in tracked.stdout.rstrip("\0").split("\0"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, place / name)
    if packages:
        shutil.copytree(CACHE, place / "build/packages", ignore=shutil.ignore_patterns("apt"))
    return place
