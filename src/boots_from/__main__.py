"""`python -m boots_from URL`."""

from boots_from.cli import main

raise SystemExit(main())
