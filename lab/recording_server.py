"""The boot server of the tests: real HTTP, on loopback, which remembers who asked for what."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """A request as it came in; `at` is time.monotonic()."""

    path: str
    user_agent: str
    at: float


@dataclass
class RecordingServer:
    """A running server: `files` maps a path to what is served there, `headers` to header fields that go with it."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[RecordingServer]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # iPXE reads a disk by many small requests: one connection for them

        def do_GET(self) -> None:
            state.requests.append(Request(self.path, self.headers.get("User-Agent", ""), time.monotonic()))
            path = re.sub(r"^http://[^/]*", "", self.path).partition("?")[0]  # from a client that takes it for a proxy
            content = state.files.get(path)
            if content is None:
                self.send_error(404)
                return
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if part:
                first, last = int(part[1]), int(part[2])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                content = content[first : last + 1]
            else:
                self.send_response(200)
            for name, value in state.headers.get(path, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the requests are in the list."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = RecordingServer(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
