"""MokManager, driven by the machine's keyboard: what the operator does once for each machine with Secure Boot on."""

import re
from collections.abc import Callable
from pathlib import Path

import boots_from
from boots_from import image
from lab.firmware import UEFI_SECURE, Firmware
from lab.machine import Machine, usb_keyboard
from lab.media import SCSI_CD

# What shim says of a program whose hash nobody has enrolled, and where it waits for Enter.
REFUSED = "Verification failed: (0x1A) Security Violation"
COUNTDOWN = "Press any key to perform MOK management"

# Other files than the main iPXE, by what is before the machine in their names: how far down the list they are.
OTHERS = {"ecdsa-ipxe": 4, "mark-running": 12}

_ROW = r"((?:[0-9A-F]{2} ){15}[0-9A-F]{2})"


def keyboard(firmware: Firmware, controller: str = "qemu-xhci") -> list[str]:
    """Return QEMU's arguments for a machine whose only keyboard is on USB, as a BMC's is.

    A PC then can't reset itself: OVMF does that by the controller of the PS/2 keyboard.
    """
    return usb_keyboard(controller, pc=firmware is UEFI_SECURE)


def enroll(running: Machine, picture: Callable[[str], None] = lambda name: None) -> str:
    """Enroll iPXE's hash on a machine that has just been powered on, up to its reset.

    Args:
        running: the machine, with the image for any URL as its boot medium.
        picture: is called with a name for each screen, when it stands there.

    Returns:
        The SHA-256 that MokManager showed, in hexadecimal.

    Raises:
        BootError: it shows something else.
    """
    running.wait_for(REFUSED, running.firmware.seconds, may_fail=True)
    picture("refused")
    running.press("ret", shows=COUNTDOWN)
    picture("countdown")
    # How far down the list the file is, behind "../" and the one that says which to take.
    return _choose(running, *(("grubx64.efi", 2) if _is_pc(running) else ("grubaa64.efi", 3)), picture)


def enroll_another(running: Machine, name: str) -> str:
    """Enroll the hash of another file, from the iPXE shell: shim does not ask for it. Else as `enroll`.

    Args:
        running: the machine, at the prompt of the iPXE shell.
        name: of OTHERS.
    """
    since = len(running.console)
    running.enter_text(f"chain file:/EFI/BOOT/{'mmx64' if _is_pc(running) else 'mmaa64'}.efi\r")
    running.wait_for(COUNTDOWN, 20, may_fail=True, since=since)
    machine, down = ("x86_64", 0) if _is_pc(running) else ("arm64", 1)
    return _choose(running, f"{name}-{machine}.efi", OTHERS[name] + down)


def _is_pc(running: Machine) -> bool:
    return running.firmware.name == UEFI_SECURE.name


def _choose(running: Machine, file: str, down: int, picture: Callable[[str], None] = lambda name: None) -> str:
    """Enroll the hash of a file of the image, so far down in the list, from where MokManager counts down."""
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
    """Return the UEFI variables, in `work`, of a machine on which iPXE's hash has been enrolled."""
    iso = work / "boots-from.iso"
    iso.write_bytes(boots_from.bake("http://bootserver/boot"))
    with Machine(firmware, [*SCSI_CD.arguments(iso), *keyboard(firmware)], work, f"{firmware.name}-enroll") as running:
        shown = enroll(running)
    # What MokManager shows is what the operator can compare with.
    assert shown in {line.split()[1] for line in image.hashes_to_enroll(image.read_template())}
    return work / firmware.pflash[1].name


def delete(running: Machine, password: str) -> None:
    """Delete the hash that mokutil, in the system that ran before, was told to delete; up to the reset.

    Args:
        running: the machine, which has just been powered on.
        password: what mokutil was given.
    """
    running.wait_for(COUNTDOWN, running.firmware.seconds, may_fail=True)
    running.press("ret", shows="Delete MOK")
    running.press("down", "ret", shows="View key 0")
    running.press("down", "ret", shows="Delete the key(s)?")
    running.press("down", "ret", shows="Password:")
    running.press(*password, "ret", shows="Reboot")
    running.press("ret")
