"""Emulated machines: firmware, boot medium, and what stands on the console.

A machine is QEMU with software emulation. Its console is the serial port, to which every firmware
here copies what it shows on the screen.
"""

import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from template import archive

CHECKOUT = Path(__file__).resolve().parents[2]
LOGS = CHECKOUT / "build" / "boot-logs"
PINS = Path(__file__).with_name("machines.toml")

# A machine that says one of these will not boot from the image any more: no need to wait for the time-out.
GIVEN_UP = re.compile(
    r"No bootable device|No bootable option or device was found|Failed to load ldlinux\.c32|Could not find kernel image"
    r"|isolinux\.bin missing or corrupt|Image checksum error|Boot failed: not a bootable disk|UEFI Interactive Shell"
    r"|>>Start (?:PXE|HTTP)|could not boot from|Synchronous Exception|X64 Exception"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>A-Z])|[\x00\x08\x0f]")


@dataclass(frozen=True)
class Firmware:
    """What a machine is before it has a boot medium.

    `usb` and `cd` are the devices that give it USB and a CD drive, `seconds` the time-out from power
    on to the server's script, three times and more what it takes on two busy cores.
    """

    name: str
    command: tuple[str, ...]
    pflash: tuple[Path, ...] = ()
    seconds: float = 60


_OVMF = Path("/usr/share/OVMF")
_AAVMF = Path("/usr/share/AAVMF")


def _x86(*words: str) -> tuple[str, ...]:
    return ("qemu-system-x86_64", "-m", "512", *words)


# graphics=off: SeaBIOS then copies the text screen to the serial port.
BIOS = Firmware("bios", _x86("-machine", "q35,graphics=off"))
BIOS_PC = Firmware("bios-pc", _x86("-machine", "pc,graphics=off"))
_OVMF_FILES = (_OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd")
UEFI = Firmware("uefi-x86_64", _x86("-machine", "q35"), _OVMF_FILES, 120)
UEFI_PC = Firmware("uefi-x86_64-pc", _x86("-machine", "pc"), _OVMF_FILES, 120)
ARM64 = Firmware(
    "uefi-arm64",
    ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-m", "512"),
    (_AAVMF / "AAVMF_CODE.fd", _AAVMF / "AAVMF_VARS.fd"),
    300,
)


def riscv64(root: Path) -> Firmware:
    """Return the RISC-V machine from its packages, unpacked below `root`."""
    opensbi = root / "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"
    machine = ("-machine", "virt", "-m", "512", "-bios", str(opensbi))
    uefi = root / "usr/share/qemu-efi-riscv64"
    files = (uefi / "RISCV_VIRT_CODE.fd", uefi / "RISCV_VIRT_VARS.fd")
    return Firmware("uefi-riscv64", (*_unpacked(root, "qemu-system-riscv64"), *machine), files, 300)


def loongarch64(root: Path) -> Firmware:
    """Return the LoongArch machine from its packages, unpacked below `root`."""
    machine = ("-machine", "virt", "-cpu", "la464", "-m", "1G")
    uefi = root / "usr/share/qemu-efi-loongarch64"
    files = (uefi / "QEMU_EFI.fd", uefi / "QEMU_VARS.fd")
    return Firmware("uefi-loongarch64", (*_unpacked(root, "qemu-system-loongarch64"), *machine), files, 300)


def _unpacked(root: Path, qemu: str) -> tuple[str, ...]:
    return (str(root / "usr/bin" / qemu), "-L", str(root / "usr/share/qemu"))


def unpack_machines() -> Path:
    """Fetch and unpack QEMU and UEFI for RISC-V and LoongArch, once; return where they lie.

    Raises:
        BuildError: they can't be had.
    """
    root = CHECKOUT / "build" / "machines"
    stamp = root / "pins.toml"
    if not stamp.exists() or stamp.read_bytes() != PINS.read_bytes():
        shutil.rmtree(root, ignore_errors=True)
        for package in archive.fetch(archive.load_pins(PINS), CHECKOUT / "build" / "packages"):
            archive.unpack(package, root)
        shutil.copyfile(PINS, stamp)
    return root


@dataclass(frozen=True)
class Medium:
    """How the machine sees the image: QEMU devices on a drive named "boot"."""

    name: str
    devices: tuple[str, ...]
    is_cd: bool = False

    def arguments(self, image: Path) -> list[str]:
        """Return QEMU's arguments for this medium; the image file itself is never written."""
        drive = f"if=none,id=boot,format=raw,file={image}"
        drive += ",media=cdrom,readonly=on" if self.is_cd else ",snapshot=on"
        arguments = ["-drive", drive]
        for device in self.devices:
            arguments += ["-device", device]
        return arguments


_BOOT = "drive=boot,bootindex=0"
# On "pc" the IDE controller is parallel IDE, on "q35" it is AHCI.
IDE_CD = Medium("ide-cd", (f"ide-cd,{_BOOT}",), is_cd=True)
AHCI_CD = Medium("ahci-cd", (f"ide-cd,{_BOOT}",), is_cd=True)
SCSI_CD = Medium("scsi-cd", ("virtio-scsi-pci", f"scsi-cd,{_BOOT}"), is_cd=True)
# What a BMC's virtual media are to the machine: a USB 2.0 CD drive with bulk-only transport.
USB_CD = Medium("usb-cd", ("usb-ehci", "usb-bot,id=bot", f"scsi-cd,bus=bot.0,scsi-id=0,lun=0,{_BOOT}"), is_cd=True)
XHCI_CD = Medium("usb-cd", ("qemu-xhci", "usb-bot,id=bot", f"scsi-cd,bus=bot.0,scsi-id=0,lun=0,{_BOOT}"), is_cd=True)
USB_STICK = Medium("usb-stick", ("qemu-xhci", f"usb-storage,removable=on,{_BOOT}"))
VIRTIO_DISK = Medium("virtio-disk", (f"virtio-blk-pci,{_BOOT}",))
SATA_DISK = Medium("sata-disk", (f"ide-hd,{_BOOT}",))
NVME_DISK = Medium("nvme-disk", (f"nvme,serial=1,{_BOOT}",))

# QEMU's user network: the host is 10.0.2.2. romfile=: without the card's own boot ROM, or QEMU's
# built-in iPXE would take over when ours fails, and look like success.
HOST = "10.0.2.2"
USER_NETWORK = ("-netdev", "user,id=lan0", "-device", "virtio-net-pci,netdev=lan0,romfile=")


class BootError(AssertionError):
    """The machine didn't show what was waited for; the message ends with its console."""


class Machine:
    """A running machine; a context manager that ends it."""

    def __init__(
        self, firmware: Firmware, media: list[str], work: Path, name: str, network: tuple[str, ...] = USER_NETWORK
    ) -> None:
        """Power the machine on.

        Args:
            firmware: what it is.
            media: QEMU's arguments for its drives.
            work: a directory for its own copy of the UEFI variables.
            name: names the console's log file.
            network: QEMU's arguments for its network cards.
        """
        self.firmware = firmware
        self.console = ""
        self._changed = threading.Condition()
        self._ended = False
        LOGS.mkdir(parents=True, exist_ok=True)
        self._log = (LOGS / f"{name}.log").open("wb")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [*firmware.command, *self._pflash(work), *media, *network, *self._ports()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _pflash(self, work: Path) -> list[str]:
        arguments = []
        for unit, file in enumerate(self.firmware.pflash):
            drive = f"if=pflash,format=raw,unit={unit}"
            if unit == 0:
                drive += f",readonly=on,file={file}"
            else:
                own = work / file.name
                shutil.copyfile(file, own)
                drive += f",file={own}"
            arguments += ["-drive", drive]
        return arguments

    def _ports(self) -> list[str]:
        return [
            "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            # A machine that resets itself has failed.
            "-no-reboot",
        ]  # fmt: skip

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read1(65536):  # type: ignore[attr-defined]
            self._log.write(chunk)
            self._log.flush()
            with self._changed:
                self.console += _ESCAPES.sub("", chunk.decode("utf-8", "replace"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str, seconds: float) -> float:
        """Wait until the console shows `text`; return the seconds since power on.

        Raises:
            BootError: it doesn't in that time, the machine gave up, or it ended.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while text not in self.console:
                if gave_up := GIVEN_UP.search(self.console):
                    raise self._error(f'said "{gave_up[0]}" before "{text}"')
                if self._ended:
                    raise self._error(f'ended before "{text}"')
                if not self._changed.wait(end - time.monotonic()):
                    raise self._error(f'did not show "{text}" in {seconds:.0f} s')
        return time.monotonic() - self.started

    def _error(self, what: str) -> BootError:
        lines = [line for line in self.console.splitlines() if line.strip()]
        tail = "\n".join(lines[-40:])
        return BootError(f"{self.firmware.name} {what}; log: {self._log.name}\n{tail}")

    def __enter__(self) -> "Machine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream:
                stream.close()
