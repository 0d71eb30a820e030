"""Machines and LANs, for all that boots one: tests, bench, the documents, the bump of the firmware.

    with Lan(work, debs.unpack(SERVER_PROGRAMS)) as lan:                 # a network of its own, with real servers in it
        lan.segment()                                            # a LAN with DHCP, DNS and TFTP, and a card on it
        lan.http()                                               # nginx
        with lan.machine(BIOS, "http://bty-server/boot", "name of its log") as machine:
            machine.wait_for("Hello", 60)

firmware.py and media.py say which machines there are, and what they get the image as; machine.py runs one; lan.py has
the servers of a LAN, trunk.py a VLAN's port, server.py a server for a machine without a LAN. mok.py drives MokManager,
browser.py a browser. debs.py unpacks what is not installed, as the TOML files say, and pypi.py installs what a lock
says, each once (once.py); namespaces.py makes room for a LAN.
"""
