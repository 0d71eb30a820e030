"""The command without an installation: `python3 src URL` in a checkout, and the entry point of boots-from.pyz.

Python looks for modules beside this file, not in the current directory.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older versions run this line
    version = sys.version.split()[0]
    sys.stderr.write("boots-from: error: Python %s is too old: use Python 3.11 or newer\n" % version)  # noqa: UP031
    sys.exit(2)

from boots_from.cli import main

sys.exit(main())
