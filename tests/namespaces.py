"""Namespaces of a test's own: root makes them directly, others inside a user namespace."""

import os


def unshare(*kinds: str) -> list[str]:
    """Return the words that run a command in new namespaces, such as "net" and "mount"."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, *(f"--{kind}" for kind in kinds)]
