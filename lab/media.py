"""The media that the image can be on: CDs, sticks and disks, by their controllers."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Medium:
    """A medium with the image: the QEMU devices for a drive named "boot"."""

    name: str
    devices: tuple[str, ...]
    is_cd: bool = False

    def arguments(self, image: Path) -> list[str]:
        """Return the QEMU arguments for this medium; QEMU never writes to the image file."""
        drive = f"if=none,id=boot,format=raw,file={image}"
        drive += ",media=cdrom,readonly=on" if self.is_cd else ",snapshot=on"
        arguments = ["-drive", drive]
        for device in self.devices:
            arguments += ["-device", device]
        return arguments


_BOOT = "drive=boot,bootindex=0"


def _medium(name: str, *devices: str, is_cd: bool = False) -> Medium:
    """Return a medium to boot from; the last device is the drive."""
    return Medium(name, (*devices[:-1], f"{devices[-1]},{_BOOT}"), is_cd)


# The virtual CD of a BMC is a USB drive with bulk-only transport.
_USB_BOT = ("usb-bot,id=bot", "scsi-cd,bus=bot.0,scsi-id=0,lun=0")
_STICK = "usb-storage,removable=on"

_AHCI = "ahci,id=sata"

# Parallel IDE, which only the machine "pc" has.
IDE_CD = _medium("ide-cd", "ide-cd", is_cd=True)
AHCI_CD = _medium("ahci-cd", _AHCI, "ide-cd,bus=sata.0", is_cd=True)
SCSI_CD = _medium("scsi-cd", "virtio-scsi-pci", "scsi-cd", is_cd=True)
LSI_CD = _medium("lsi-cd", "lsi53c895a", "scsi-cd", is_cd=True)
PVSCSI_CD = _medium("pvscsi-cd", "pvscsi", "scsi-cd", is_cd=True)
UHCI_CD = _medium("usb1-cd", "piix3-usb-uhci", *_USB_BOT, is_cd=True)
EHCI_CD = _medium("usb2-cd", "usb-ehci", *_USB_BOT, is_cd=True)
XHCI_CD = _medium("usb3-cd", "qemu-xhci", *_USB_BOT, is_cd=True)
UHCI_STICK = _medium("usb1-stick", "piix3-usb-uhci", _STICK)
EHCI_STICK = _medium("usb2-stick", "usb-ehci", _STICK)
XHCI_STICK = _medium("usb3-stick", "qemu-xhci", _STICK)
UAS_STICK = _medium("uas-stick", "usb-ehci", "usb-uas,id=uas", "scsi-hd,bus=uas.0,scsi-id=0,lun=0")
IDE_DISK = _medium("ide-disk", "ide-hd")
SATA_DISK = _medium("sata-disk", _AHCI, "ide-hd,bus=sata.0")
NVME_DISK = _medium("nvme-disk", "nvme,serial=1")
VIRTIO_DISK = _medium("virtio-disk", "virtio-blk-pci")
SCSI_DISK = _medium("scsi-disk", "virtio-scsi-pci", "scsi-hd")
SECTORS_4K_DISK = _medium("4k-disk", "virtio-blk-pci,logical_block_size=4096,physical_block_size=4096")
SD_CARD = Medium("sd-card", ("sdhci-pci", "sd-card,drive=boot"))  # sd-card has no property bootindex
