"""Boot many times in a row, and retry many times in one boot: python -m bench.soak, which make soak runs.

Without arguments it does all runs. Arguments select some of them, such as "bios http" or "bios 404".
"""

import itertools
import statistics
import sys
import tempfile
from pathlib import Path

from boots_from import boot_url, image
from lab import debian, machine
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import Lan
from lab.media import AHCI_CD

RUNS = ((BIOS, "http", 20), (UEFI, "http", 20), (BIOS, "nfs", 10), (UEFI, "nfs", 10))
TRIES = ((BIOS, "404", 200), (UEFI, "404", 200), (BIOS, "no DHCP", 40), (UEFI, "no DHCP", 40))
SCRIPT = "#!ipxe\necho the server's script runs\nsleep 600\n"


def boot(firmware: Firmware, transport: str, number: int) -> float:
    """Boot once on a new LAN; return the seconds from power-on to the script of the server."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        work = Path(name)
        with Lan(work, debian.unpack(debian.SERVER_PROGRAMS)) as lan:
            lan.segment()
            (lan.www / "boot").write_text(SCRIPT)
            if transport == "http":
                lan.http()
                url = "http://bty-server/boot"
            else:
                lan.nfs()
                url = "nfs://bty-server/export/boot"
            with lan.machine(firmware, url, f"soak-{firmware.name}-{transport}-{number}") as booted:
                return booted.wait_for("the server's script runs", firmware.seconds)


_HURRY = ((b"--timeout 10000 Try", b"--timeout 30 Try"), (b"sleep 26", b"sleep 1"), (b"sleep 4", b"sleep 0"))


def time_tries(firmware: Firmware, fault: str, count: int) -> list[float]:
    """Let a machine fail `count` times, then repair the fault and wait until it boots; return the seconds of each try.

    The machine runs the real boot script with shorter waits: 0.1 s before the next try and 1 s for a switch, instead of
    30 s each. DHCP tells iPXE not to wait for a proxyDHCP server (option 175.176), which would take most of the time.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        work = Path(name)
        with Lan(work, debian.unpack(debian.SERVER_PROGRAMS)) as lan:
            lan.segment(dhcp=fault != "no DHCP", options=("--dhcp-option=encap:175,176,1b",))
            lan.http()
            script = image.script_for(boot_url.parse("http://bty-server/boot"))
            hurried = script
            for wait, less in _HURRY:
                if wait not in hurried:
                    raise ValueError(f"boot.ipxe does not contain {wait!r}: update _HURRY")
                hurried = hurried.replace(wait, less)
            baked = image.fill(image.read_template(), hurried)
            log = f"soak-{firmware.name}-{fault.replace(' ', '-')}"
            with lan.machine_with(firmware, baked, AHCI_CD, log) as booted:
                ends = [booted.wait_for(machine.BANNER, firmware.seconds)]
                for number in range(1, count + 1):
                    ends.append(booted.wait_for(f"Try {number}. ", 90, may_fail=True))
                (lan.www / "boot").write_text(SCRIPT)
                if fault == "no DHCP":
                    lan.dhcp(0)
                booted.wait_for("the server's script runs", 90, may_fail=True)
                return [end.after(begin) for begin, end in itertools.pairwise(ends)]


def soak_tries(firmware: Firmware, fault: str, count: int) -> bool:
    """Print the seconds of the first and the last tries; return whether the machine booted and did not slow down."""
    try:
        seconds = time_tries(firmware, fault, count)
    except machine.BootError as error:
        print(error, file=sys.stderr)
        return False
    first, last = statistics.median(seconds[:5]), statistics.median(seconds[-5:])
    print(
        f"{firmware.name} {fault}: booted after {count} tries; median of the first five {first:.1f} s, "
        f"of the last five {last:.1f} s, all tries {min(seconds):.1f} to {max(seconds):.1f} s",
        flush=True,
    )
    return max(first, last) - min(first, last) < 1


def main() -> int:
    """Do the runs, and print counts and times; return 1 if one failed."""
    failed = 0
    selected = sys.argv[1:]
    for firmware, fault, count in TRIES:
        if not selected or f"{firmware.name} {fault}" in selected:
            failed += not soak_tries(firmware, fault, count)
    for firmware, transport, runs in RUNS:
        if selected and f"{firmware.name} {transport}" not in selected:
            continue
        times = []
        for number in range(runs):
            try:
                times.append(boot(firmware, transport, number))
            except machine.BootError as error:
                failed += 1
                print(error, file=sys.stderr)
        spread = f"{min(times):.1f} to {max(times):.1f} s, median {statistics.median(times):.1f} s" if times else "none"
        print(f"{firmware.name} {transport}: {len(times)} of {runs} booted, {spread}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
