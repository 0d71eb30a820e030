"""Namespaces of a test's own: root makes them directly, others inside a user namespace."""

import os
import subprocess
from functools import cache

import pytest

LEFT_OUT = "no namespaces to be had here"


def unshare(*kinds: str) -> list[str]:
    """Return the words that run a command in new namespaces, such as "net" and "mount".

    Where this host gives none, the test that asks is left out.
    """
    _leave_out()
    return _words(*kinds)


def as_user(number: int) -> list[str]:
    """Return the words that run a command as a user who has a number alone; leave the test out as `unshare` does."""
    _leave_out()
    return ["unshare", "--user", f"--map-user={number}", f"--map-group={number}"]


def _leave_out() -> None:
    if why_not := _why_not():
        # A container's default capabilities and seccomp profile forbid it.
        pytest.skip(f"{LEFT_OUT} ({why_not}): in a container run it with --privileged")


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
