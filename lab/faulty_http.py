"""An HTTP server with one fault: python faulty_http.py PORT FILE KIND [NUMBER].

The server answers each request with the content of FILE. KIND is the fault:

    slow    answers after NUMBER seconds
    mute    accepts connections, but never answers
    stalls  sends half of the body, then nothing
    dies    sends half of the body, then closes the connection
    status  answers with status 500
    busy    answers the first NUMBER requests with status 503 and "Retry-After: 1"
    empty   answers with an empty body
    html    no fault of the server: FILE is a web page

The server prints "ready", then a line for each request.
"""

import socket
import sys
import time
from pathlib import Path


def answer(connection: socket.socket, content: bytes, kind: str, number: float, answered: int) -> None:
    """Read a request and answer it with the fault `kind`; `answered` is the number of earlier requests."""
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
    if kind == "busy" and answered < number:
        status = "503 Service Unavailable\r\nRetry-After: 1"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    if kind == "slow":
        time.sleep(number)
    if kind == "mute":
        time.sleep(600)
    elif kind in ("stalls", "dies"):
        connection.sendall(head + content[: len(content) // 2])
        time.sleep(600 if kind == "stalls" else 0.2)
    else:
        connection.sendall(head + content)


def main() -> None:
    """Serve until killed, one connection at a time."""
    port, file, kind, *number = sys.argv[1:]
    answered = 0
    with socket.create_server(("", int(port))) as listening:
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                answer(connection, Path(file).read_bytes(), kind, float(number[0]) if number else 0, answered)
            answered += 1


if __name__ == "__main__":
    main()
