"""The command without an installation: `python3 src URL` in a checkout, and the start of boots-from.pyz.

Python looks for modules in the place of this file, and not in the current directory.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this line runs on those, too
    sys.stderr.write("boots-from: this needs Python 3.11 or newer, and is run by %s\n" % sys.version.split()[0])  # noqa: UP031
    sys.exit(2)

from boots_from.cli import main

sys.exit(main())
