"""A DNS server that refuses every question: python faulty_dns.py ADDRESS RCODE.

The server answers on UDP port 53 of ADDRESS. RCODE is the response code: 2 for SERVFAIL, 3 for NXDOMAIN, 5 for REFUSED.
If it is "silent", the server never answers. The server prints "ready", then the name in each question.

Source: RFC 1035, section 4.1.
"""

import socket
import sys


def name_of(query: bytes) -> str:
    """Return the name in the question of a query."""
    labels, rest = [], query[12:]
    while rest[0]:
        labels.append(rest[1 : 1 + rest[0]].decode())
        rest = rest[1 + rest[0] :]
    return ".".join(labels)


def refusal(query: bytes, rcode: int) -> bytes:
    """Return a response with the question and without records."""
    end = query.index(0, 12) + 5  # a zero byte ends the name, because labels contain none; then type and class
    return query[:2] + bytes([0x81, 0x80 | rcode]) + query[4:6] + bytes(6) + query[12:end]


def main() -> None:
    """Serve until killed."""
    address, rcode = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((address, 53))
        print("ready", flush=True)
        while True:
            query, client = bound.recvfrom(2048)
            print(name_of(query), flush=True)
            if rcode != "silent":
                bound.sendto(refusal(query, int(rcode)), client)


if __name__ == "__main__":
    main()
