"""The kinds of machines: QEMU with BIOS or UEFI, by architecture and Secure Boot, without a boot medium."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import debian


@dataclass(frozen=True)
class Firmware:
    """A kind of machine.

    `command` is the QEMU command line. `pflash` are the UEFI code and an empty variable store. `seconds` is the timeout
    from power-on to the script of the server, at least three times what that takes on two busy cores. `secure_boot` is
    true if the machine enforces Secure Boot.
    """

    name: str
    command: tuple[str, ...]
    pflash: tuple[Path, ...] = ()
    seconds: float = 60
    secure_boot: bool = False


_OVMF = Path("/usr/share/OVMF")
_AAVMF = Path("/usr/share/AAVMF")


# Without a source of random numbers iPXE measures the jitter of a timer for 4 s before it shows its banner. Real PCs
# have had RDRAND since 2013, but the default CPU of QEMU lacks it ("max" has it). Other machines get a virtio device.
_RANDOM = ("-device", "virtio-rng-pci")


def _x86(*arguments: str, cpu: str = "max") -> tuple[str, ...]:
    return ("qemu-system-x86_64", "-cpu", cpu, "-m", "512", *arguments)


# graphics=off makes SeaBIOS copy the text screen to the serial port.
BIOS = Firmware("bios", _x86("-machine", "q35,graphics=off"))
BIOS_PC = Firmware("bios-pc", _x86("-machine", "pc,graphics=off"))
_OVMF_FILES = (_OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd")
UEFI = Firmware("uefi-x86_64", _x86("-machine", "q35"), _OVMF_FILES, 120)
UEFI_OLD_CPU = Firmware("uefi-x86_64-old-cpu", _x86("-machine", "q35", cpu="qemu64"), _OVMF_FILES, 120)
UEFI_PC = Firmware("uefi-x86_64-pc", _x86("-machine", "pc"), _OVMF_FILES, 120)
ARM64 = Firmware(
    "uefi-arm64",
    ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-m", "512", *_RANDOM),
    (_AAVMF / "AAVMF_CODE.fd", _AAVMF / "AAVMF_VARS.fd"),
    300,
)
# Secure Boot is on, with the Microsoft keys enrolled as on a new machine. smm: only the firmware can write the
# variables, otherwise they would not be protected.
UEFI_SECURE = Firmware(
    "uefi-x86_64-secure",
    _x86(
        *("-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-global", "ICH9-LPC.disable_s3=1"),
    ),
    (_OVMF / "OVMF_CODE_4M.secboot.fd", _OVMF / "OVMF_VARS_4M.ms.fd"),
    120,
    secure_boot=True,
)
ARM64_SECURE = Firmware(
    "uefi-arm64-secure", ARM64.command, (_AAVMF / "AAVMF_CODE.ms.fd", _AAVMF / "AAVMF_VARS.ms.fd"), 300, True
)


def write_variables(store: Path, target: Path, *options: str | Path) -> None:
    """Write a file of UEFI variables.

    Args:
        store: the variables to begin with.
        target: the file to write; it may be `store`.
        options: what to change, as options of virt-fw-vars.
    """
    program = Path(sys.executable).with_name("virt-fw-vars")
    subprocess.run([program, "--input", store, *options, "--output", target], check=True, capture_output=True)


def riscv64(root: Path) -> Firmware:
    """Return the RISC-V machine; `root` is the directory of the unpacked packages."""
    opensbi = root / "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"
    machine = ("-machine", "virt", "-m", "512", "-bios", str(opensbi), *_RANDOM)
    uefi = root / "usr/share/qemu-efi-riscv64"
    files = (uefi / "RISCV_VIRT_CODE.fd", uefi / "RISCV_VIRT_VARS.fd")
    return Firmware("uefi-riscv64", (*_unpacked(root, "qemu-system-riscv64"), *machine), files, 300)


def loongarch64(root: Path) -> Firmware:
    """Return the LoongArch machine; `root` is the directory of the unpacked packages."""
    machine = ("-machine", "virt", "-cpu", "la464", "-m", "1G", *_RANDOM)
    uefi = root / "usr/share/qemu-efi-loongarch64"
    files = (uefi / "QEMU_EFI.fd", uefi / "QEMU_VARS.fd")
    return Firmware("uefi-loongarch64", (*_unpacked(root, "qemu-system-loongarch64"), *machine), files, 300)


def _unpacked(root: Path, qemu: str) -> tuple[str, ...]:
    return (*debian.program(root, f"usr/bin/{qemu}"), "-L", str(root / "usr/share/qemu"))
