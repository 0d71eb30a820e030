"""Write the release files to ./dist: python -m release, which make release runs."""

import shutil
import sys

from boots_from.errors import BootsFromError
from release import artifacts
from template.build_tools import BuildError
from template.paths import DIST


def main() -> int:
    """Replace ./dist; return the exit status."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    print("Release", flush=True)
    try:
        artifacts.write(DIST)
    except (BuildError, BootsFromError) as error:
        print(f"release: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
