"""Write ./dist, all that a release consists of: python -m release, which make release runs."""

import shutil
import sys

from boots_from.errors import BootsFromError
from release import files
from template.checkout import DIST
from template.tool import BuildError


def main() -> int:
    """Replace ./dist; return the exit status."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    print("Release", flush=True)
    try:
        files.write(DIST)
    except (BuildError, BootsFromError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
