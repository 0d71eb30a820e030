"""Make src/boots_from/template.iso: python -m template, in the checkout."""

import sys
import tempfile
from pathlib import Path

from template import archive, build, own
from template.checkout import CACHE, FIRMWARE, TEMPLATE
from template.tool import BuildError


def main() -> int:
    """Build the template; return the exit status."""
    try:
        print("Firmware", flush=True)
        files = own.load(FIRMWARE)
        packages = archive.fetch(archive.load_pins(FIRMWARE), CACHE)
        print("Template", flush=True)
        with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
            build.build(packages, files, TEMPLATE, Path(work))
    except BuildError as error:
        print(f"template: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        why = f"can't write {error.filename} ({(error.strerror or str(error)).lower()})"
        print(f"template: {why}: build in a checkout that you may write to", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
