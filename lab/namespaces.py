"""Namespaces of one's own: root makes them directly, others inside a user namespace."""

import os
import subprocess
from functools import cache


class NoNamespacesError(Exception):
    """None are to be had on this host; `str()` is what unshare(1) says of it."""


def unshare(*kinds: str) -> list[str]:
    """Return the words that run a command in new namespaces, such as "net" and "mount".

    Raises:
        NoNamespacesError: this host gives none.
    """
    _require()
    return _words(*kinds)


def as_user(number: int) -> list[str]:
    """Return the words that run a command as a user who has a number alone; raise as `unshare` does."""
    _require()
    return ["unshare", "--user", f"--map-user={number}", f"--map-group={number}"]


def _require() -> None:
    if why_not := _why_not():
        raise NoNamespacesError(why_not)


def _words(*kinds: str) -> list[str]:
    # --map-auto: rpcbind becomes another user, which takes more users than one. See newuidmap(1), subuid(5).
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    return ["unshare", *user, *(f"--{kind}" for kind in kinds)]


@cache
def _why_not() -> str:
    """Try what the tests do, file systems and network cards of their own; return what failed, if anything."""
    script = "mount -t tmpfs none /run && ip tuntap add dev test0 mode tap"
    result = subprocess.run([*_words("net", "mount"), "sh", "-ec", script], capture_output=True, text=True, check=False)
    return (result.stderr.strip() or "no reason given").splitlines()[-1] if result.returncode else ""
