"""A DNS server that refuses every question: python faulty_dns.py ADDRESS RCODE.

It answers on UDP port 53 of ADDRESS. RCODE is the number in its answers: 2 for SERVFAIL, 3 for NXDOMAIN, 5 for REFUSED;
with "silent" it never answers. It prints "ready", and then a line for each question. Source: RFC 1035, section 4.1.
"""

import socket
import sys


def name_of(query: bytes) -> str:
    """Return the name that a query asks for."""
    labels, rest = [], query[12:]
    while rest[0]:
        labels.append(rest[1 : 1 + rest[0]].decode())
        rest = rest[1 + rest[0] :]
    return ".".join(labels)


def refusal(query: bytes, rcode: int) -> bytes:
    """Return the answer to a query: its question, and no record."""
    end = query.index(0, 12) + 5  # the name, which no label's length or letter ends early, its type and class
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
