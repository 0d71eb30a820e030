"""The page about iPXE's commands: python -m docgen.ipxe_commands, which make commands runs.

Boots each build of the image, has it list its commands, and writes the tables of docs/reference/ipxe-commands.md.
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

# The ECDSA iPXE reads the same script: what "file:" names there is not the medium, and so it does not start itself.
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


def listed(firmware: Firmware, ecdsa: bool) -> list[set[str]]:
    """Return the commands of the main iPXE and, if there is one, of the ECDSA iPXE of a kind of machine."""
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
    """Return the tables, in Markdown, of the commands of each build."""
    everywhere = set.intersection(*builds.values())
    rows = [f"| command | {' | '.join(builds)} |", f"| --- |{' --- |' * len(builds)}"]
    for command in sorted(set.union(*builds.values()) - everywhere):
        cells = ("yes" if command in commands else "" for commands in builds.values())
        rows.append(f"| `{command}` | {' | '.join(cells)} |")
    words = ", ".join(f"`{command}`" for command in sorted(everywhere))
    return "\n".join(["In every build:", "", words, "", "In some builds:", "", *rows, ""])


def builds() -> Commands:
    """Boot all of them; return the commands of each by its name on the page."""
    commands: Commands = {}
    for name in BUILDS:
        main_build, *ecdsa = listed(COLUMNS[name](), name in ECDSA)
        commands[name] = main_build
        if ecdsa:
            commands[f"{name}, ECDSA"] = ecdsa[0]
        print(name, flush=True)
    return commands


def main() -> int:
    """Write the page's tables."""
    PAGE.write_text(between_marks(PAGE.read_text(), tables(builds()), "commands"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
