"""With Secure Boot on, the operator enrolls this iPXE once on a machine, which then boots from every URL."""

import importlib.resources
import lzma
import secrets
import shutil
import uuid
from pathlib import Path

import pytest
import trustme

import boots_from
from boots_from import image
from lab import debian, machine, mok_manager
from lab.boot_matrix import boot
from lab.firmware import ARM64_SECURE, UEFI_SECURE, Firmware, write_variables
from lab.lan import Lan, trusting
from lab.machine import BootError, Machine
from lab.media import SCSI_CD, XHCI_STICK
from lab.recording_server import RecordingServer
from template.paths import PACKAGES
from tests.boot.conftest import EnrolledVariables
from tests.boot.test_local_disk import SANBOOT, installed_disk
from tests.boot.test_transports import ECDSA, RSA

FIRMWARES = pytest.mark.parametrize("firmware", [UEFI_SECURE, ARM64_SECURE], ids=lambda firmware: firmware.name)


def bake(url: str, work: Path) -> Path:
    """Write the image for a URL to `work`; return its path."""
    iso = work / "boots-from.iso"
    iso.write_bytes(boots_from.bake(url))
    return iso


def power_on(firmware: Firmware, work: Path, name: str, controller: str = "qemu-xhci") -> Machine:
    """Power on a machine with the image in `work` in its CD drive, and a USB keyboard."""
    media = [*SCSI_CD.arguments(work / "boots-from.iso"), *mok_manager.keyboard(firmware, controller)]
    return Machine(firmware, media, work, f"{firmware.name}-{name}")


def trust_microsoft(work: Path, trusts: str, revokes_2011: bool = False) -> None:
    """Write the UEFI variables of a machine with Secure Boot on.

    Args:
        work: the directory for the UEFI variables.
        trusts: the Microsoft CAs in db, by the names of virt-fw-vars.
        revokes_2011: whether dbx contains the Microsoft UEFI CA of 2011.
    """
    code, variables = UEFI_SECURE.pflash
    options = ["--enroll-redhat", "--microsoft-db", trusts, "--secure-boot"]
    if revokes_2011:
        certificate = importlib.resources.files("virt.firmware") / "certs/microsoft.com/ms-uefi-2011.pem"
        options += ["--add-dbx-cert", str(uuid.uuid4()), str(certificate)]
    write_variables(code.with_name("OVMF_VARS_4M.fd"), work / variables.name, *options)


def enroll(firmware: Firmware, work: Path, name: str, controller: str = "qemu-xhci") -> str:
    """Enroll the hash of the image in `work` on the machine whose UEFI variables are there; return the hash."""
    with power_on(firmware, work, name, controller) as running:
        return mok_manager.enroll(running)


@FIRMWARES
@pytest.mark.thorough
def test_first_boot_waits_for_operator(firmware: Firmware, tmp_path: Path) -> None:
    bake("http://boot.example.com/boot", tmp_path)
    with power_on(firmware, tmp_path, "refused") as running:
        running.wait_for(mok_manager.REFUSED, firmware.seconds, may_fail=True)
        assert running.is_idle_for(15)
        running.press("ret", shows="Booting in 1 second")  # MokManager counts from 10
        running.wait_for(mok_manager.REFUSED, 20, may_fail=True, since=running.console.index("Booting in 1 second"))
        assert running.is_idle_for(5)
        running.press("ret", shows="BdsDxe: ")  # the firmware continues with the next boot device
        assert "iPXE" not in running.console
    with power_on(firmware, tmp_path, "refused-again") as running:
        running.wait_for(mok_manager.REFUSED, firmware.seconds, may_fail=True)


@FIRMWARES
@pytest.mark.thorough("uefi-arm64")
def test_enrolled_machine_boots_any_url(
    firmware: Firmware, enrolled_variables: EnrolledVariables, recording_server: RecordingServer, tmp_path: Path
) -> None:
    """From a CD and from a USB stick, with URLs other than the one at enrolment."""
    shutil.copy(enrolled_variables(firmware), tmp_path)
    for medium in (SCSI_CD, XHCI_STICK):
        path = f"/{secrets.token_hex(8)}"
        iso = bake(f"http://{machine.HOST}:{recording_server.port}{path}", tmp_path)
        recording_server.requests.clear()
        name = f"{firmware.name}-{medium.name}"
        # If MokManager asked, the boot would fail, because nobody answers.
        seconds = boot(firmware, medium.arguments(iso), recording_server, path, tmp_path, name)
        print(f"{name}: {seconds:.1f} s to the request")


@FIRMWARES
@pytest.mark.parametrize("kind", [RSA, ECDSA], ids=["RSA", "ECDSA"])
@pytest.mark.thorough
def test_https_with_ecdsa_needs_ecdsa_ipxe_enrolled(
    firmware: Firmware, kind: trustme.KeyType, enrolled_variables: EnrolledVariables, lan: Lan, tmp_path: Path
) -> None:
    """Until then the main iPXE asks for it. With RSA it needs no other build."""
    shutil.copy(enrolled_variables(firmware), tmp_path)
    ca = trustme.CA(key_type=kind)
    lan.segment()
    nonce = lan.write_script()
    lan.http(lan.https_directives(ca.issue_cert("bty-server", key_type=kind)))

    def power_on(name: str) -> Machine:
        trusts = trusting([ca], tmp_path, firmware)
        keyboard = mok_manager.keyboard(firmware)
        name = f"{firmware.name}-https-{name}"
        return lan.machine(trusts, "https://bty-server/boot", name, *keyboard, medium=SCSI_CD)

    if kind is ECDSA:
        with power_on("refused") as running:
            screen = running.wait_for_diagnosis(firmware.seconds)
            assert "Verification failed: Security Policy Violation" in running.console
            file = {UEFI_SECURE: "ecdsa-ipxe-x86_64.efi", ARM64_SECURE: "ecdsa-ipxe-arm64.efi"}[firmware]
            assert f"virtio-net: Secure Boot: enroll {file}\n" in screen
            running.open_shell(lambda: running.press("s"))
            shown = mok_manager.enroll_another(running, "ecdsa-ipxe")
        assert f"EFI/BOOT/{file} {shown}" in "\n".join(image.hashes_to_enroll(image.read_template()))
    with power_on("boots") as running:
        running.wait_for(nonce, firmware.seconds)


@FIRMWARES
@pytest.mark.thorough
def test_sanboot_boots_disk_when_hash_of_mark_is_enrolled_last(
    firmware: Firmware, enrolled_variables: EnrolledVariables, lan: Lan, tmp_path: Path
) -> None:
    """Otherwise the image, the first disk with a boot loader, starts again, and no message mentions the mark."""
    shutil.copy(enrolled_variables(firmware), lan.work)
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\n{SANBOOT}\n")
    (lan.www / "fails").write_text("#!ipxe\nchain missing\n")
    lan.http()
    hardware = (*installed_disk(tmp_path, firmware, "virtio-blk-pci"), *mok_manager.keyboard(firmware))

    def power_on(path: str, name: str) -> Machine:
        iso = boots_from.bake(f"http://bty-server/{path}")
        return lan.machine_with(firmware, iso, SCSI_CD, f"{firmware.name}-mark-{name}", *hardware)

    with power_on("boot", "not-enrolled") as running:
        running.wait_for("starting it", firmware.seconds)
        running.wait_for("boots-from: booting from", firmware.seconds, since=len(running.console))
        assert "mark" not in running.console
        assert "Verification failed" not in running.console
    with power_on("fails", "enroll") as running:
        running.wait_for_diagnosis(firmware.seconds)
        running.open_shell(lambda: running.press("s"))
        shown = mok_manager.enroll_another(running, "mark-running")
    assert f" {shown} " in "\n".join(image.hashes_to_enroll(image.read_template()))
    with power_on("boot", "enrolled") as running:
        running.wait_for("the installed disk has booted", 2 * firmware.seconds)


@pytest.mark.thorough
def test_usb_2_keyboard_enrolls_hash(tmp_path: Path) -> None:
    bake("http://boot.example.com/boot", tmp_path)
    enroll(UEFI_SECURE, tmp_path, "usb2", "usb-ehci")
    with pytest.raises(BootError, match="could NOT boot"), power_on(UEFI_SECURE, tmp_path, "usb2") as running:
        running.wait_for("never", 60)


@pytest.mark.thorough
def test_updated_ipxe_needs_enrolment_again(
    enrolled_variables: EnrolledVariables, recording_server: RecordingServer, tmp_path: Path
) -> None:
    """An iPXE with another version is another program, with another hash."""
    shutil.copy(enrolled_variables(UEFI_SECURE), tmp_path)
    iso = bake(f"http://{machine.HOST}:{recording_server.port}/boot", tmp_path)
    iso.write_bytes(iso.read_bytes().replace(b"ipxe.efi,1.21", b"ipxe.efi,1.22"))
    shown = enroll(UEFI_SECURE, tmp_path, "update")
    assert shown not in {line.split()[1] for line in image.hashes_to_enroll(image.read_template())}
    boot(UEFI_SECURE, SCSI_CD.arguments(iso), recording_server, "/boot", tmp_path, "updated")


@pytest.mark.thorough
def test_unsigned_program_is_refused_and_signed_one_runs(
    enrolled_variables: EnrolledVariables, recording_server: RecordingServer, tmp_path: Path
) -> None:
    """The enrolled hash of iPXE does not cover programs that its server sends."""
    shutil.copy(enrolled_variables(UEFI_SECURE), tmp_path)
    unsigned = debian.unpack(PACKAGES) / "usr/lib/ipxe/snponly.efi"
    grub = debian.unpack(debian.SIGNED) / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
    recording_server.files["/unsigned.efi"] = unsigned.read_bytes()
    recording_server.files["/signed.efi"] = grub.read_bytes()
    recording_server.files["/boot"] = b"#!ipxe\nchain unsigned.efi || echo it was refused\nchain signed.efi\n"
    bake(f"http://{machine.HOST}:{recording_server.port}/boot", tmp_path)
    with power_on(UEFI_SECURE, tmp_path, "unsigned") as running:
        running.wait_for("GNU GRUB", 60)
        assert "Verification failed: Security Policy Violation" in running.console
        assert "it was refused" in running.console


@pytest.mark.parametrize(
    ("trusts", "revokes_2011", "shows"),
    [
        ("uefi11", False, mok_manager.REFUSED),  # machines from before 2023
        ("uefi23", False, mok_manager.REFUSED),  # machines made without the CA of 2011
        ("win23", False, "Access Denied"),  # machines with only Windows keys
        ("uefi23", True, "Access Denied"),  # one revoked signature is enough
    ],
    ids=["2011", "2023", "neither", "2011 revoked"],
)
@pytest.mark.thorough(but=("2011 revoked",))
def test_shim_needs_trusted_and_unrevoked_microsoft_cas(
    trusts: str, revokes_2011: bool, shows: str, tmp_path: Path
) -> None:
    trust_microsoft(tmp_path, trusts, revokes_2011)
    bake("http://boot.example.com/boot", tmp_path)
    with power_on(UEFI_SECURE, tmp_path, f"trusts-{trusts}{'-revokes-2011' * revokes_2011}") as running:
        running.wait_for(shows, 60, may_fail=True)


# The init of a Linux that tells shim, through mokutil, to delete a hash at the next boot.
INIT = """\
#!/bin/busybox sh
busybox mount -t devtmpfs none /dev
busybox mount -t proc none /proc
busybox mount -t sysfs none /sys
busybox insmod /efivarfs.ko
busybox mount -t efivarfs none /sys/firmware/efi/efivars
export LD_LIBRARY_PATH=/lib
mokutil --sb-state
mokutil --list-enrolled
printf '{password}\\n{password}\\n' | mokutil --delete-hash {sha256}
busybox sync
busybox reboot -f
"""


def serve_signed_linux(server: RecordingServer, init: str) -> None:
    """Serve a script at /boot that boots the signed Linux from Debian, with mokutil in its initrd."""
    root = debian.unpack(debian.SIGNED)
    lib = root / "usr/lib/x86_64-linux-gnu"
    files = {"bin/busybox": root / "usr/bin/busybox", "bin/mokutil": root / "usr/bin/mokutil"}
    files["lib64/ld-linux-x86-64.so.2"] = lib / "ld-linux-x86-64.so.2"
    for name in (
        "crypto.so.3",
        "z.so.1",
        "zstd.so.1",
        "c.so.6",
        "efivar.so.1",
        "dl.so.2",
        "keyutils.so.1",
        "crypt.so.1",
    ):
        files[f"lib/lib{name}"] = lib / f"lib{name}"
    contents = {name: file.read_bytes() for name, file in files.items()}
    contents["efivarfs.ko"] = lzma.decompress(next(root.rglob("efivarfs.ko.xz")).read_bytes())
    contents["init"] = init.encode()
    contents |= {f"{folder}/placeholder": b"\n" for folder in ("dev", "proc", "sys")}
    server.files |= {f"/{name}": content for name, content in contents.items()}
    server.files["/vmlinuz"] = next(root.glob("boot/vmlinuz*")).read_bytes()
    initrds = "".join(f"initrd {name} /{name} mode=755 mkdir=-1\n" for name in contents)
    server.files["/boot"] = f"#!ipxe\nkernel vmlinuz console=ttyS0 rdinit=/init\n{initrds}boot\n".encode()


@pytest.mark.thorough
def test_mokutil_in_signed_linux_deletes_hash(
    enrolled_variables: EnrolledVariables, recording_server: RecordingServer, tmp_path: Path
) -> None:
    shutil.copy(enrolled_variables(UEFI_SECURE), tmp_path)
    bake(f"http://{machine.HOST}:{recording_server.port}/boot", tmp_path)
    sha256 = image.hashes_to_enroll(image.read_template())[0].split()[1]
    password = "once2026"
    serve_signed_linux(recording_server, INIT.format(password=password, sha256=sha256))
    with power_on(UEFI_SECURE, tmp_path, "linux") as running:
        running.wait_for_end(90)
        assert "SecureBoot enabled" in running.console
        assert sha256 in running.console
    with power_on(UEFI_SECURE, tmp_path, "undo") as running:
        mok_manager.delete(running, password)
        assert running.is_idle_for(3)
    with power_on(UEFI_SECURE, tmp_path, "undone") as running:
        running.wait_for(mok_manager.REFUSED, 60, may_fail=True)
