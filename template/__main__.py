"""Make src/boots_from/template.iso: python -m template, in the checkout."""

import signal
import sys
import tempfile
from pathlib import Path

from template import apt, build, overrides
from template.build_tools import WORK, BuildError, no_space
from template.paths import CACHE, PACKAGES, TEMPLATE
from template.pins import load_pins


def main() -> int:
    """Build the template; return the exit status."""
    # So that what is half written is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("template: ended by SIGTERM"))
    try:
        print("Firmware", flush=True)
        files = overrides.load(PACKAGES)
        packages = apt.fetch(load_pins(PACKAGES), CACHE)
        print("Template", flush=True)
        with tempfile.TemporaryDirectory(prefix=WORK) as work:
            build.build(packages, files, TEMPLATE, Path(work))
    except BuildError as error:
        print(f"template: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = Path(error.filename2 or error.filename or TEMPLATE)
        why = (error.strerror or str(error)).lower()
        refusal = f"can't write {place} ({why}): build in a checkout that you may write to"
        print(f"template: {no_space(place.parent, why) or refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
