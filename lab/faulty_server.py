"""An HTTP server that does one thing wrong: python faulty_server.py PORT FILE KIND [SECONDS].

KIND: slow (answers after SECONDS), mute (accepts, never answers), stalls (in mid-body), dies (in
mid-body), status (500), empty, html. It prints "ready", then a line for each request.
"""

import socket
import sys
import time
from pathlib import Path


def answer(connection: socket.socket, content: bytes, kind: str, seconds: float) -> None:
    """Read a request and treat it as `kind` says."""
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(4096)
        if not part:
            return
        request += part
    print(request.split(b"\r\n")[0].decode(), flush=True)
    status = "500 Internal Server Error" if kind == "status" else "200 OK"
    if kind == "empty":
        content = b""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    if kind == "slow":
        time.sleep(seconds)
    if kind == "mute":
        time.sleep(600)
    elif kind in ("stalls", "dies"):
        connection.sendall(head + content[: len(content) // 2])
        time.sleep(600 if kind == "stalls" else 0.2)
    else:
        connection.sendall(head + content)


def main() -> None:
    """Serve one connection after another."""
    port, file, kind, *seconds = sys.argv[1:]
    with socket.create_server(("", int(port))) as listening:
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                answer(connection, Path(file).read_bytes(), kind, float(seconds[0]) if seconds else 0)


if __name__ == "__main__":
    main()
