"""The recording server: an HTTP server on loopback that serves files from memory and records all requests."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """A request; `at` is time.monotonic() when it arrived."""

    path: str
    user_agent: str
    at: float


@dataclass
class RecordingServer:
    """A running server: `files` maps a path to its content, `headers` to additional header fields."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[RecordingServer]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # one connection for the many small requests with which iPXE reads a disk

        def do_GET(self) -> None:
            state.requests.append(Request(self.path, self.headers.get("User-Agent", ""), time.monotonic()))
            path = re.sub(r"^http://[^/]*", "", self.path).partition("?")[0]  # clients may use it as a proxy
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
            """Print nothing, because the requests are recorded."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = RecordingServer(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
