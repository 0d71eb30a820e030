"""Drives MokManager with the keyboard of a machine, as the operator does once for each machine with Secure Boot."""

import re
from collections.abc import Callable
from pathlib import Path

import boots_from
from boots_from import image
from lab.firmware import UEFI_SECURE, Firmware
from lab.machine import Machine, usb_keyboard
from lab.media import SCSI_CD
from template import contents

# The message of shim about a program whose hash is not enrolled; shim waits for Enter.
REFUSED = "Verification failed: (0x1A) Security Violation"
COUNTDOWN = "Press any key to perform MOK management"


_ROW = r"((?:[0-9A-F]{2} ){15}[0-9A-F]{2})"


def keyboard(firmware: Firmware, controller: str = "qemu-xhci") -> list[str]:
    """Return QEMU arguments for a machine whose only keyboard is on USB, as on a BMC.

    Such a PC can't reset itself, because OVMF resets it through the PS/2 controller.
    """
    return usb_keyboard(controller, pc=firmware is UEFI_SECURE)


def enroll(running: Machine, picture: Callable[[str], None] = lambda name: None) -> str:
    """Enroll the hash of iPXE on a machine that has just been powered on, up to its reset.

    Args:
        running: the machine, which boots from an image with any URL.
        picture: called with a name for each screen, while the screen is shown.

    Returns:
        The SHA-256 that MokManager showed, in hexadecimal.

    Raises:
        BootError: the machine shows something unexpected.
    """
    running.wait_for(REFUSED, running.firmware.seconds, may_fail=True)
    picture("refused")
    running.press("ret", shows=COUNTDOWN)
    picture("countdown")
    return _choose(running, "grubx64.efi" if _is_pc(running) else "grubaa64.efi", picture)


def enroll_another(running: Machine, name: str) -> str:
    """Enroll the hash of another file, from the iPXE shell, because shim does not ask for it.

    Args:
        running: the machine, at the prompt of the iPXE shell.
        name: the start of the file name, such as "ecdsa-ipxe" or "mark-running"; the architecture follows it.

    Returns:
        The SHA-256 that MokManager showed, in hexadecimal.

    Raises:
        BootError: the machine shows something unexpected.
    """
    since = len(running.console)
    running.enter_text(f"chain file:/EFI/BOOT/{'mmx64' if _is_pc(running) else 'mmaa64'}.efi\r")
    running.wait_for(COUNTDOWN, 20, may_fail=True, since=since)
    return _choose(running, f"{name}-{'x86_64' if _is_pc(running) else 'arm64'}.efi")


def _is_pc(running: Machine) -> bool:
    return running.firmware.name == UEFI_SECURE.name


def _choose(running: Machine, file: str, picture: Callable[[str], None] = lambda name: None) -> str:
    """Enroll the hash of a file in EFI/BOOT, starting at the countdown of MokManager."""
    # MokManager lists "../", then the files in the order of writing.
    down = 1 + [row.path for row in contents.ROWS if row.where == contents.ESP].index(f"EFI/BOOT/{file}")
    running.press("ret", shows="Enroll hash from disk")
    running.press("down", "down")
    picture("menu")
    running.press("ret", shows="BOOTS-FROM")
    picture("volume")
    running.press("ret", shows="EFI/")
    running.press("ret", shows="BOOT/")
    running.press("down", "ret", shows=file)
    since = len(running.console)
    running.press(*["down"] * down)
    picture("file")
    running.press("ret", shows="View key 0")
    running.press("ret", shows="SHA256 hash")
    picture("hash")
    running.press("ret", shows="View key 0")
    running.press("down", "ret", shows="Enroll the key(s)?")
    running.press("down")
    picture("yes")
    running.press("ret", shows="Reboot")
    picture("reboot")
    running.press("ret")
    shown = re.search(rf"SHA256 hash.*?{_ROW}.*?{_ROW}", running.console[since:], re.DOTALL)
    assert shown
    return bytes.fromhex(f"{shown[1]} {shown[2]}").hex()


def boot_and_enroll(firmware: Firmware, work: Path) -> Path:
    """Enroll the hash of iPXE on a new machine; return the file with its UEFI variables, in `work`."""
    iso = work / "boots-from.iso"
    iso.write_bytes(boots_from.bake("http://boot.example.com/boot"))
    with Machine(firmware, [*SCSI_CD.arguments(iso), *keyboard(firmware)], work, f"{firmware.name}-enroll") as running:
        shown = enroll(running)
    # The operator can compare the hash in MokManager with the list.
    assert shown in {line.split()[1] for line in image.hashes_to_enroll(image.read_template())}
    return work / firmware.pflash[1].name


def delete(running: Machine, password: str) -> None:
    """Delete the hash that was marked for deletion with mokutil in the operating system; up to the reset.

    Args:
        running: the machine, which has just been powered on.
        password: the password that was given to mokutil.

    Raises:
        BootError: the machine shows something unexpected.
    """
    running.wait_for(COUNTDOWN, running.firmware.seconds, may_fail=True)
    running.press("ret", shows="Delete MOK")
    running.press("down", "ret", shows="View key 0")
    running.press("down", "ret", shows="Delete the key(s)?")
    running.press("down", "ret", shows="Password:")
    running.press(*password, "ret", shows="Reboot")
    running.press("ret")
