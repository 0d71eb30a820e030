"""A DHCP server with one fault: python faulty_dhcp.py TAP ADDRESS KIND.

The server answers on the interface TAP, with its address ADDRESS. KIND is the fault:

    nak2          refuses the first two requests (DHCPNAK), then leases the address that ends with .100
    silent-proxy  a proxyDHCP server that offers neither an address nor a boot file, and never answers on port 4011

The server prints "ready", then a line for each packet.

Sources: RFC 2131; RFC 2132; PXE specification 2.1, sections 2.2.2 and 2.2.3.
"""

import select
import socket
import sys
from enum import IntEnum


class Message(IntEnum):
    """DHCP message types; NOTHING stands for no message."""

    NOTHING, DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(9)


_COOKIE = bytes([99, 130, 83, 99])
_END, _PAD = 255, 0
_NETMASK, _ROUTER, _LEASE, _TYPE, _SERVER, _CLASS = 1, 3, 51, 53, 54, 60  # options


def message_type(packet: bytes) -> Message:
    """Return the message type of a packet."""
    options = packet.partition(_COOKIE)[2]
    while options and options[0] != _END:
        if options[0] == _TYPE:
            return Message(options[2])
        options = options[1:] if options[0] == _PAD else options[2 + options[1] :]
    return Message.NOTHING


def reply(request: bytes, kind: Message, server: str, client: str, options: dict[int, bytes]) -> bytes:
    """Return the reply to a request; `client` is the address for the client."""
    addresses = bytes(4) + socket.inet_aton(client) + socket.inet_aton(server) + bytes(4)
    head = bytes([2]) + request[1:8] + bytes(2) + request[10:12] + addresses + request[28:44] + bytes(192)
    options = {_TYPE: bytes([kind]), _SERVER: socket.inet_aton(server)} | options
    return head + _COOKIE + b"".join(bytes([code, len(value)]) + value for code, value in options.items()) + b"\xff"


class Nak2:
    """The fault "nak2"."""

    def __init__(self, server: str) -> None:
        """Start with two refusals; the leased address is in the same /24 as the server."""
        self._server = server
        self._naks = 2

    def answer(self, request: bytes) -> bytes:
        """Return the reply, or nothing."""
        lease = {
            _NETMASK: socket.inet_aton("255.255.255.0"),
            _ROUTER: socket.inet_aton(self._server),
            _LEASE: (3600).to_bytes(4, "big"),
        }
        client = self._server.rpartition(".")[0] + ".100"
        if message_type(request) == Message.DISCOVER:
            return reply(request, Message.OFFER, self._server, client, lease)
        if message_type(request) != Message.REQUEST:
            return b""
        if self._naks:
            self._naks -= 1
            return reply(request, Message.NAK, self._server, "0.0.0.0", {})  # noqa: S104
        return reply(request, Message.ACK, self._server, client, lease)


class SilentProxy:
    """The fault "silent-proxy"."""

    def __init__(self, server: str) -> None:
        """Keep the address of the server."""
        self._server = server

    def answer(self, request: bytes) -> bytes:
        """Return the reply, or nothing."""
        if message_type(request) != Message.DISCOVER:
            return b""
        return reply(request, Message.OFFER, self._server, "0.0.0.0", {_CLASS: b"PXEClient"})  # noqa: S104


def udp(tap: str, address: str, port: int) -> socket.socket:
    """Return a UDP socket on an interface; other servers on the host may use the same port."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, tap.encode())
    opened.bind((address, port))
    return opened


def main() -> None:
    """Serve until killed."""
    tap, address, kind = sys.argv[1:]
    kinds: dict[str, type[Nak2] | type[SilentProxy]] = {"nak2": Nak2, "silent-proxy": SilentProxy}
    server = kinds[kind](address)
    receiver, sender, boot_server = udp(tap, "", 67), udp(tap, address, 67), udp(tap, address, 4011)
    print("ready", flush=True)
    while True:
        for readable in select.select([receiver, boot_server], [], [])[0]:
            request = readable.recv(2048)
            answer = b"" if readable is boot_server else server.answer(request)
            if answer:
                sender.sendto(answer, ("255.255.255.255", 68))
            received, sent = message_type(request).name, message_type(answer).name
            print(f"port {readable.getsockname()[1]}: {received}, answer: {sent}", flush=True)


if __name__ == "__main__":
    main()
