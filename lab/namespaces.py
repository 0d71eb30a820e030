"""New namespaces for tests; for users other than root they are inside a user namespace."""

import os
import subprocess
from functools import cache


class NoNamespacesError(Exception):
    """The host does not allow new namespaces; `str()` is the error message of unshare(1)."""


def unshare(*kinds: str) -> list[str]:
    """Return the command line that runs a command in new namespaces.

    Args:
        kinds: the kinds of namespaces, such as "net" and "mount".

    Raises:
        NoNamespacesError: this host does not allow them.
    """
    _require_namespaces()
    return _command(*kinds)


def as_user(number: int) -> list[str]:
    """Return the command line that runs a command under a user ID without passwd entry.

    Args:
        number: the ID of the user and of the group.

    Raises:
        NoNamespacesError: this host does not allow new namespaces.
    """
    _require_namespaces()
    return ["unshare", "--user", f"--map-user={number}", f"--map-group={number}"]


def _require_namespaces() -> None:
    if error := _error():
        raise NoNamespacesError(error)


def _command(*kinds: str) -> list[str]:
    # --map-auto: maps several users, because rpcbind switches to another one. See newuidmap(1), subuid(5).
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    return ["unshare", *user, *(f"--{kind}" for kind in kinds)]


@cache
def _error() -> str:
    """Mount a file system and create a network card in new namespaces, as the tests do; return the error, or ""."""
    script = "mount -t tmpfs none /run && ip tuntap add dev test0 mode tap"
    command = [*_command("net", "mount"), "sh", "-ec", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stderr.strip() or "no reason given").splitlines()[-1] if result.returncode else ""
