"""Boot many times in a row: python -m tests.boot.soak, which make soak runs."""

import statistics
import sys
import tempfile
from pathlib import Path

from tests import debs
from tests.boot import machine
from tests.boot.lan import Lan
from tests.boot.machine import BIOS, UEFI, Firmware

RUNS = ((BIOS, "http", 20), (UEFI, "http", 20), (BIOS, "nfs", 10), (UEFI, "nfs", 10))
SCRIPT = "#!ipxe\necho the server's script runs\nsleep 600\n"


def boot(firmware: Firmware, transport: str, number: int) -> float:
    """Boot once on a LAN of its own; return the seconds from power on to the server's script."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        work = Path(name)
        with Lan(work, debs.unpack(machine.SERVERS)) as lan:
            lan.segment()
            (lan.www / "boot").write_text(SCRIPT)
            if transport == "http":
                lan.http()
                url = "http://bty-server/boot"
            else:
                export = lan.nfs()
                (export / "boot").write_text(SCRIPT)
                url = f"nfs://bty-server{export}/boot"
            with lan.machine(firmware, url, f"soak-{firmware.name}-{transport}-{number}") as booted:
                return booted.wait_for("the server's script runs", firmware.seconds)


def main() -> int:
    """Run them all and print the counts and the spread of the times; return 1 if one failed."""
    failed = 0
    for firmware, transport, runs in RUNS:
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
