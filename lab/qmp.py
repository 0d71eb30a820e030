"""The QEMU monitor protocol (QMP): sends commands to a running machine. Source: QEMU, interop/qmp-spec."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class MonitorClosedError(Exception):
    """QEMU has ended, or did not start."""


class Monitor:
    """A connection to the QEMU monitor, for use by one thread."""

    def __init__(self, path: Path, ended: Callable[[], bool]) -> None:
        """Wait until QEMU listens, and connect.

        Args:
            path: the socket of the monitor.
            ended: returns whether QEMU has ended, so that it will never listen.

        Raises:
            MonitorClosedError: QEMU has ended.
        """
        self._socket = socket.socket(socket.AF_UNIX)
        self._replies = self._socket.makefile("r")
        while True:
            try:
                self._socket.connect(str(path))
                self._replies.readline()
                break
            except OSError:  # QEMU does not listen yet, or has ended
                if ended():
                    self.close()
                    raise MonitorClosedError from None
                time.sleep(0.01)
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: object) -> Any:
        """Run a command; return its result.

        Raises:
            AssertionError: QEMU refuses the command.
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
