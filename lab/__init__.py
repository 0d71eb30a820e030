"""Emulated machines and LANs, for everything that boots: tests, bench, docgen and make update-packages.

    with Lan(work, debian.unpack(debian.SERVER_PROGRAMS)) as lan:  # an isolated network with real servers
        lan.segment()                                              # a LAN with DHCP, DNS and TFTP, and a card on it
        lan.http()                                                 # nginx
        with lan.machine(BIOS, "http://bty-server/boot", "name-of-the-log") as machine:
            machine.wait_for("Hello", 60)

Machines: firmware.py (kinds of machines), media.py (CDs, sticks and disks), machine.py (runs one), qmp.py (its
monitor), mok_manager.py (drives MokManager), boot_matrix.py (all kinds of machines and media).
Networks: lan.py (LANs and their servers), link.py (slow links), vlan_trunk.py (a VLAN), faulty_*.py (servers with
faults), recording_server.py (HTTP for machines without a LAN), namespaces.py (isolation).
Browsers: browser.py, marionette.py, page_observer.py.
Downloads, each installed once (build_cache.py): debian.py (packages in packages/*.toml), pypi.py and npm.py (lock files
in requirements/).
"""
