"""Namespaces of a test's own: root makes them directly, others inside a user namespace."""

import os
import subprocess
from functools import cache

import pytest

# The last words are for the operator: a container's default seccomp profile and capabilities forbid it.
LEFT_OUT = "no namespaces to be had here: in a container run it with --privileged"


def unshare(*kinds: str) -> list[str]:
    """Return the words that run a command in new namespaces, such as "net" and "mount".

    Where this host gives none, the test that asks is left out.
    """
    if not _are_to_be_had():
        pytest.skip(LEFT_OUT)
    return _words(*kinds)


def _words(*kinds: str) -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, *(f"--{kind}" for kind in kinds)]


@cache
def _are_to_be_had() -> bool:
    """Try what the tests do: file systems and network cards of their own."""
    script = "mount -t tmpfs none /run && ip tuntap add dev test0 mode tap"
    command = [*_words("net", "mount"), "sh", "-ec", script]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
