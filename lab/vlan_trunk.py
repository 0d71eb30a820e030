"""The trunk port of a switch: python vlan_trunk.py TAG TAP, in the network namespace of the LAN. It prints "ready".

The card of the machine is a QEMU "-netdev socket", which sends each frame as a datagram. Frames with the VLAN tag TAG
are forwarded without it to the interface TAP of the host; frames from TAP get the tag. The VLAN support of Linux is not
used, because some kernels lack it.

Sources: IEEE 802.1Q; Linux, Documentation/networking/tuntap.rst.
"""

import fcntl
import os
import select
import socket
import struct
import sys

MACHINE, PORT = ("127.0.0.1", 7000), ("127.0.0.1", 7001)
NETDEV = f"socket,localaddr={MACHINE[0]}:{MACHINE[1]},udp={PORT[0]}:{PORT[1]}"

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def main() -> None:
    """Forward frames until killed."""
    number, name = sys.argv[1:]
    tag = struct.pack("!HH", 0x8100, int(number))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(PORT)
        print("ready", flush=True)
        while True:
            for readable in select.select([tap, port.fileno()], [], [])[0]:
                if readable == tap:
                    frame = os.read(tap, 2048)
                    port.sendto(frame[:12] + tag + frame[12:], MACHINE)
                else:
                    frame = port.recv(2048)
                    if frame[12:16] == tag:
                        os.write(tap, frame[:12] + frame[16:])


if __name__ == "__main__":
    main()
