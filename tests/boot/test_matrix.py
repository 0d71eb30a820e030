"""Every machine boots from every medium: its server sees the request, then it runs the server's script."""

import re
import secrets
import subprocess
from pathlib import Path

import pytest

import boots_from
from tests.boot import machine
from tests.boot.machine import Firmware, Machine, Medium
from tests.boot.server import BootServer

X86_MEDIA = (machine.USB_STICK, machine.USB_CD, machine.VIRTIO_DISK, machine.SATA_DISK, machine.NVME_DISK)
MATRIX: list[tuple[Firmware | str, Medium]] = [
    # The slow ones first, so that none is left to run alone at the end.
    ("riscv64", machine.SCSI_CD),
    ("loongarch64", machine.SCSI_CD),
    (machine.ARM64, machine.SCSI_CD),
    (machine.ARM64, machine.XHCI_CD),
    (machine.ARM64, machine.USB_STICK),
    (machine.UEFI_PC, machine.IDE_CD),
    (machine.UEFI, machine.AHCI_CD),
    *((machine.UEFI, medium) for medium in X86_MEDIA),
    (machine.BIOS_PC, machine.IDE_CD),
    (machine.BIOS, machine.AHCI_CD),
    *((machine.BIOS, medium) for medium in X86_MEDIA),
]


def _name(cell: Firmware | str | Medium) -> str:
    return cell if isinstance(cell, str) else cell.name


def boot(firmware: Firmware, media: list[str], server: BootServer, path: str, work: Path, name: str) -> float:
    """Boot, and return the seconds from power on to the request; the image's URL is `path` on the server."""
    nonce = f"nonce {secrets.token_hex(8)}"
    # The pause keeps what follows off the console until the nonce was read.
    server.files[path.partition("?")[0]] = f"#!ipxe\necho {nonce}\nsleep 600\n".encode()
    with Machine(firmware, media, work, name) as running:
        running.wait_for(nonce, firmware.seconds)
        assert [request.path for request in server.requests] == [path]
        assert re.match(r"iPXE/2\.", server.requests[0].user_agent)
        return server.requests[0].at - running.started


@pytest.mark.parametrize("firmware", [machine.ARM64, machine.UEFI], ids=_name)
def test_boots_from_a_fat_stick_with_the_isos_files(
    firmware: Firmware, boot_server: BootServer, tmp_path: Path
) -> None:
    """What Rufus makes in ISO mode, or a person with a file manager."""
    image = tmp_path / "boots-from.iso"
    image.write_bytes(boots_from.bake(f"http://{machine.HOST}:{boot_server.port}/stick"))
    stick, tree = tmp_path / "stick.img", tmp_path / "tree"
    for command in (
        ["xorriso", "-no_rc", "-osirrox", "on", "-indev", image, "-extract", "/", tree],
        ["mformat", "-C", "-i", stick, "-T", "65536", "-h", "64", "-s", "32", "::"],
        ["mcopy", "-s", "-i", stick, tree / "EFI", tree / "boot", tree / "firmware.txt", "::"],
    ):
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    seconds = boot(
        firmware, machine.USB_STICK.arguments(stick), boot_server, "/stick", tmp_path, f"{firmware.name}-fat-stick"
    )
    print(f"{firmware.name} FAT stick: {seconds:.1f} s to the request")


@pytest.mark.parametrize(("firmware", "medium"), MATRIX, ids=_name)
def test_boots(
    firmware: Firmware | str, medium: Medium, boot_server: BootServer, tmp_path: Path, machines: Path
) -> None:
    if isinstance(firmware, str):
        firmware = {"riscv64": machine.riscv64, "loongarch64": machine.loongarch64}[firmware](machines)
    path = f"/boot/{medium.name}?firmware={firmware.name}&again=1"
    image = tmp_path / "boots-from.iso"
    image.write_bytes(boots_from.bake(f"http://{machine.HOST}:{boot_server.port}{path}"))
    seconds = boot(firmware, medium.arguments(image), boot_server, path, tmp_path, f"{firmware.name}-{medium.name}")
    print(f"{firmware.name} {medium.name}: {seconds:.1f} s to the request")
