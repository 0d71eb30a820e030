"""List the commands of each build of iPXE: python -m docgen.ipxe_commands, which make commands runs.

Boots each build, runs its command "help", and writes the tables in docs/reference/ipxe-commands.md.
"""

import re
import tempfile
from pathlib import Path

from boots_from import image
from docgen.layout_tables import between_marks
from lab.boot_matrix import COLUMNS
from lab.firmware import Firmware
from lab.machine import USER_NETWORK, Machine
from lab.media import SCSI_CD
from template.paths import CHECKOUT

PAGE = CHECKOUT / "docs/reference/ipxe-commands.md"
BUILDS = ("BIOS", "UEFI", "ARM64", "RISC-V 64", "LoongArch64")
ECDSA = ("UEFI", "ARM64")

# Both builds run this script. In the ECDSA iPXE "file:" does not mean the medium, so it does not start itself again.
_SCRIPT = b"""\
#!ipxe
echo LIST
help
echo END
ifopen
imgselect file:/EFI/BOOT/ecdsa-ipxe-${buildarch}.efi || goto end
imgfetch --name autoexec.ipxe file:/EFI/BOOT/autoexec.ipxe || goto end
imgexec
:end
sleep 600
"""

Commands = dict[str, set[str]]


def list_commands(firmware: Firmware, ecdsa: bool) -> list[set[str]]:
    """Boot a machine; return the commands of the main iPXE and, if `ecdsa` is true, of the ECDSA iPXE."""
    with tempfile.TemporaryDirectory(prefix="commands-") as work:
        iso = Path(work, "boots-from.iso")
        iso.write_bytes(image.fill(image.read_template(), _SCRIPT))
        name = f"commands-{firmware.name}"
        with Machine(firmware, SCSI_CD.arguments(iso), Path(work), name, USER_NETWORK) as booted:
            seconds = booted.wait_for("LIST", firmware.seconds)
            booted.wait_for("END", seconds)
            if ecdsa:
                since = len(booted.console)
                booted.wait_for("LIST", firmware.seconds, since=since)
                booted.wait_for("END", seconds, since=since)
            lists = re.findall(r"LIST\r?\n(.*?)END", booted.console, re.DOTALL)
    return [set(text.partition("Available commands:")[2].split('Type "')[0].split()) for text in lists]


def tables(builds: Commands) -> str:
    """Return the Markdown tables of the commands of each build."""
    everywhere = set.intersection(*builds.values())
    rows = [f"| command | {' | '.join(builds)} |", f"| --- |{' --- |' * len(builds)}"]
    for command in sorted(set.union(*builds.values()) - everywhere):
        cells = ("yes" if command in commands else "" for commands in builds.values())
        rows.append(f"| `{command}` | {' | '.join(cells)} |")
    names = ", ".join(f"`{command}`" for command in sorted(everywhere))
    return "\n".join(["In every build:", "", names, "", "In some builds:", "", *rows, ""])


def boot_builds() -> Commands:
    """Boot all builds; return their commands by the name of the build on the page."""
    commands: Commands = {}
    for name in BUILDS:
        main_build, *ecdsa = list_commands(COLUMNS[name](), name in ECDSA)
        commands[name] = main_build
        if ecdsa:
            commands[f"{name}, ECDSA"] = ecdsa[0]
        print(name, flush=True)
    return commands


def main() -> int:
    """Boot all builds, and write the tables into the page."""
    PAGE.write_text(between_marks(PAGE.read_text(), tables(boot_builds()), "commands"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
