"""QEMU's monitor, QMP: commands to a running machine, and their replies. See QEMU's interop/qmp-spec."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class MonitorClosedError(Exception):
    """QEMU has ended, or was never there."""


class Monitor:
    """A connection to QEMU's monitor; one thread uses it."""

    def __init__(self, path: Path, ended: Callable[[], bool]) -> None:
        """Connect, as soon as QEMU listens.

        Args:
            path: the monitor's socket.
            ended: whether QEMU has ended, so that waiting for it is no use.

        Raises:
            MonitorClosedError: it has.
        """
        self._socket = socket.socket(socket.AF_UNIX)
        self._replies = self._socket.makefile("r")
        while True:
            try:
                self._socket.connect(str(path))
                self._replies.readline()
                break
            except OSError:  # it does not listen yet, or has ended
                if ended():
                    self.close()
                    raise MonitorClosedError from None
                time.sleep(0.01)
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: object) -> Any:
        """Return what a command returns.

        Raises:
            AssertionError: QEMU refuses it.
            MonitorClosedError: QEMU has ended.
        """
        reply: dict[str, Any] = {"event": ""}
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            while "event" in reply:
                reply = json.loads(self._replies.readline())
        except (OSError, ValueError):
            raise MonitorClosedError from None
        assert "return" in reply, reply
        return reply["return"]

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()
