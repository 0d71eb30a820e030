"""Sends Selenium commands to Firefox over Marionette, its remote protocol. Debian has no package of geckodriver.

A message is its length in bytes, ":" and a JSON array. Not handled: commands that the tests don't use.

Sources: https://firefox-source-docs.mozilla.org/testing/marionette/; W3C WebDriver, for the names of the commands.
"""

import json
import socket
from types import SimpleNamespace
from typing import Any

from selenium.webdriver.remote.command import Command

_COMMANDS = {
    Command.NEW_SESSION: "NewSession",
    Command.GET: "Navigate",
    Command.REFRESH: "Refresh",
    Command.GET_CURRENT_URL: "GetCurrentURL",
    Command.GET_TITLE: "GetTitle",
    Command.FIND_ELEMENT: "FindElement",
    Command.FIND_ELEMENTS: "FindElements",
    Command.CLEAR_ELEMENT: "ElementClear",
    Command.CLICK_ELEMENT: "ElementClick",
    Command.SEND_KEYS_TO_ELEMENT: "ElementSendKeys",
    Command.GET_ELEMENT_TEXT: "GetElementText",
    Command.GET_ELEMENT_TAG_NAME: "GetElementTagName",
    Command.GET_ELEMENT_PROPERTY: "GetElementProperty",
    Command.GET_ELEMENT_ARIA_ROLE: "GetComputedRole",
    Command.GET_ELEMENT_ARIA_LABEL: "GetComputedLabel",
    Command.IS_ELEMENT_ENABLED: "IsElementEnabled",
    Command.W3C_GET_ACTIVE_ELEMENT: "GetActiveElement",
    Command.W3C_EXECUTE_SCRIPT: "ExecuteScript",
    Command.W3C_EXECUTE_SCRIPT_ASYNC: "ExecuteAsyncScript",
    Command.SET_TIMEOUTS: "SetTimeouts",
    Command.SET_WINDOW_RECT: "SetWindowRect",
    Command.SWITCH_TO_FRAME: "SwitchToFrame",
    Command.SCREENSHOT: "TakeScreenshot",
    Command.PRINT_PAGE: "Print",
    Command.W3C_ACTIONS: "PerformActions",
}


class Marionette:
    """A connection to a running Firefox; a command executor in the terms of Selenium."""

    def __init__(self, port: int) -> None:
        """Connect to a port of 127.0.0.1; raise OSError if there is no answer."""
        self.client_config = SimpleNamespace(remote_server_addr=f"marionette://127.0.0.1:{port}", timeout=None)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream = self._socket.makefile("rb")
        self._count = 0
        self._read()  # the greeting

    def execute(self, command: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run a Selenium command; return its result in the form that Selenium expects."""
        if command == Command.QUIT:
            if not self._stream.closed:  # Selenium may quit twice
                self._ask("Marionette:Quit", {"flags": ["eForceQuit"]})
            return {"value": None}
        if command == Command.NEW_SESSION:
            params = params["capabilities"]["alwaysMatch"]
        elif command == Command.SCREENSHOT:
            params = {"full": False}
        elif command in (Command.W3C_EXECUTE_SCRIPT, Command.W3C_EXECUTE_SCRIPT_ASYNC):
            params = {**params, "newSandbox": False, "sandbox": None}
        error, result = self._ask(f"WebDriver:{_COMMANDS[command]}", params)
        if error:
            return {"status": 500, "value": json.dumps({"value": error})}
        return result if isinstance(result, dict) and result.keys() == {"value"} else {"value": result}

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()

    def _ask(self, name: str, params: dict[str, Any]) -> tuple[Any, Any]:
        """Send a command; return its error and its result, one of which is None."""
        self._count += 1
        message = json.dumps([0, self._count, name, params])
        self._socket.sendall(f"{len(message)}:{message}".encode())
        _, _, error, result = self._read()
        return error, result

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            if not (digit := self._stream.read(1)):
                raise ConnectionError("Firefox has ended")
            length += digit
        return json.loads(self._stream.read(int(length[:-1])))
