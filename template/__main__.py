"""Build src/boots_from/template.iso: run python -m template in the checkout."""

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
    # As an exception, SIGTERM also runs the handlers that remove a half-written template.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("template: error: terminated by SIGTERM"))
    try:
        print("Packages", flush=True)
        files = overrides.load(PACKAGES)
        packages = apt.fetch(load_pins(PACKAGES), CACHE)
        print("Template", flush=True)
        with tempfile.TemporaryDirectory(prefix=WORK) as work:
            build.build(packages, files, TEMPLATE, Path(work))
    except BuildError as error:
        print(f"template: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        file = Path(error.filename2 or error.filename or TEMPLATE)
        reason = (error.strerror or str(error)).lower()
        message = (
            no_space(file.parent, reason) or f"can't write {file} ({reason}): use a checkout that you can write to"
        )
        print(f"template: error: {message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
