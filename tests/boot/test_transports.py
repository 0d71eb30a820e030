"""Every transport boots from a real server: its script, then 20 MB as the second stage."""

import os
import re
import secrets
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

import boots_from
from template import esp, iso
from template.__main__ import FIRMWARE
from tests import debs
from tests.boot.conftest import Boot
from tests.boot.lan import IQN, Lan
from tests.boot.machine import BANNER, UEFI, Firmware, Machine
from tests.unit.test_image import longest

SECONDS = 60


def serve(folder: Path, name: str = "boot") -> str:
    """Put a script that loads 20 MB, by a relative path, then shows a nonce; return the nonce."""
    nonce = secrets.token_hex(8)
    (folder / name).write_text(f"#!ipxe\nimgfetch second-stage && echo {nonce} || echo no second stage\nsleep 600\n")
    (folder / "second-stage").write_bytes(os.urandom(20_000_000))
    return nonce


def second_stage(booted: Machine, nonce: str) -> None:
    first = booted.wait_for("running it", SECONDS)
    print(f"20 MB in {booted.wait_for(nonce, SECONDS) - first:.1f} s")


def test_http(lan: Lan, boot: Boot) -> None:
    lan.segment()
    nonce = serve(lan.www)
    lan.http()
    second_stage(boot("http://bty-server/boot"), nonce)
    assert [request[0] for request in lan.requests()] == ["/boot", "/second-stage"]


def test_tftp(lan: Lan, boot: Boot) -> None:
    lan.segment()
    second_stage(boot("tftp://bty-server/boot"), serve(lan.www))


def test_nfs(lan: Lan, boot: Boot) -> None:
    lan.segment()
    nonce = serve(lan.www)
    lan.nfs(lan.www)
    second_stage(boot(f"nfs://bty-server{lan.www}/boot"), nonce)


@pytest.fixture(scope="session")
def lib() -> Path:
    """Return /usr/lib of the firmware packages."""
    return debs.unpack(FIRMWARE) / "usr/lib"


def lun(lan: Lan, work: Path) -> Path:
    """Return a disk whose own boot loader fetches /from-the-disk: the image itself, with that URL."""
    disk = work / "lun.img"
    disk.write_bytes(boots_from.bake("http://bty-server/from-the-disk"))
    (lan.www / "from-the-disk").write_text("#!ipxe\necho the disk has booted\nsleep 600\n")
    lan.http()
    return disk


def test_iscsi(lan: Lan, boot: Boot, tmp_path: Path) -> None:
    lan.segment()
    lan.iscsi("10.0.0.1", lun(lan, tmp_path))
    booted = boot(f"iscsi:bty-server:::1:{IQN}")
    booted.wait_for("the disk has booted", 120)
    assert [request[0] for request in lan.requests()] == ["/from-the-disk"]


def test_iscsi_after_a_failed_try(lan: Lan, boot: Boot, tmp_path: Path) -> None:
    lan.segment()
    disk = lun(lan, tmp_path)
    booted = boot(f"iscsi:bty-server:::1:{IQN}")
    assert "could NOT boot" in booted.shows_shell(60)
    lan.iscsi("10.0.0.1", disk)
    booted.enter_text("exit\r")
    booted.wait_for("the disk has booted", 120, may_fail=True)


def disk_with_a_second_stage(work: Path, lib: Path, nonce: str) -> Path:
    """Return a disk whose boot loader, BIOS or UEFI, reads 20 MB of it and then shows a nonce."""
    stage, tree = work / "second-stage", work / "tree"
    stage.write_bytes(os.urandom(20_000_000))
    script, loader = work / "script.ipxe", work / "loader.efi"
    script.write_text(f"#!ipxe\necho {nonce}\nsleep 600\n")
    # On BIOS ISOLINUX loads the 20 MB behind the script, as one initrd. UEFI loads a program's whole
    # file, so they are appended to it: the program takes the network card, which ends the disk.
    loader.write_bytes((lib / "ipxe/ipxe-amd64.efi").read_bytes() + stage.read_bytes())
    config = work / "isolinux.cfg"
    config.write_text("DEFAULT x\nLABEL x\n  LINUX /boot/isolinux/ipxe.lkrn\n  INITRD /script,/second-stage\n")
    for name, file in {
        "boot/isolinux/isolinux.bin": lib / "ISOLINUX/isolinux.bin",
        "boot/isolinux/ldlinux.c32": lib / "syslinux/modules/bios/ldlinux.c32",
        "boot/isolinux/ipxe.lkrn": lib / "ipxe/ipxe.lkrn",
        "boot/isolinux/isolinux.cfg": config,
        "script": script,
        "second-stage": stage,
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tree / name)
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null"}
    esp.make({"EFI/BOOT/BOOTX64.EFI": loader, "EFI/BOOT/autoexec.ipxe": script}, work / "esp.img", env)
    disk = work / "lun.img"
    iso.make(tree, work / "esp.img", lib / "ISOLINUX/isohdpfx.bin", disk, "20260101000000", env)
    return disk


def test_iscsi_second_stage(lan: Lan, boot: Boot, tmp_path: Path, lib: Path) -> None:
    lan.segment()
    nonce = secrets.token_hex(8)
    lan.iscsi("10.0.0.1", disk_with_a_second_stage(tmp_path, lib, nonce))
    booted = boot(f"iscsi:bty-server:::1:{IQN}")
    registered = booted.wait_for("Registered SAN device", SECONDS)
    print(f"20 MB, and the boot loader, in {booted.wait_for(nonce, 120) - registered:.1f} s")


# An EFI_SIGNATURE_LIST with one X.509 certificate (UEFI 2.10, section 32.4.1).
_X509_GUID = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le


def trusting(ca: trustme.CA, work: Path) -> Firmware:
    """Return UEFI with the CA enrolled in its TLS store, as a set-up menu or BMC would do it."""
    certificate = work / "ca.pem"
    ca.cert_pem.write_to_path(certificate)
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    sizes = (28 + 16 + len(der), 0, 16 + len(der))
    enrolled = work / "cacerts"
    enrolled.write_bytes(_X509_GUID + b"".join(size.to_bytes(4, "little") for size in sizes) + bytes(16) + der)
    options = ("-fw_cfg", f"name=etc/edk2/https/cacerts,file={enrolled}")
    return replace(UEFI, command=(*UEFI.command, *options))


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


class TestHttpsWithTheCaEnrolled:
    """UEFI's own TLS store: unmodified iPXE boots from a server with a private CA."""

    @pytest.fixture
    def firmware(self, ca: trustme.CA, tmp_path: Path) -> Firmware:
        return trusting(ca, tmp_path)

    def test_boots(self, lan: Lan, boot: Boot, ca: trustme.CA) -> None:
        lan.segment()
        nonce = serve(lan.www)
        lan.http(lan.https(ca.issue_cert("bty-server")))
        second_stage(boot("https://bty-server/boot"), nonce)

    def test_follows_a_redirect_from_http(self, lan: Lan, boot: Boot, ca: trustme.CA) -> None:
        lan.segment()
        nonce = serve(lan.www)
        lan.http(
            lan.https(ca.issue_cert("bty-server")) + "if ($scheme = http) { return 301 https://$host$request_uri; }"
        )
        boot("http://bty-server/boot?x=1").wait_for(nonce, SECONDS)
        assert [request[2] for request in lan.requests()][:2] == ["301", "200"]

    @pytest.mark.parametrize("fault", ["expired", "another name"])
    def test_refuses(self, lan: Lan, boot: Boot, ca: trustme.CA, fault: str) -> None:
        import datetime

        lan.segment()
        serve(lan.www)
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
        name, end = ("bty-server", past) if fault == "expired" else ("other.example", None)
        lan.http(lan.https(ca.issue_cert(name, not_after=end)))
        assert_blames_the_certificate(boot("https://bty-server/boot"))


def assert_blames_the_certificate(booted: Machine) -> None:
    screen = booted.shows_shell(60)
    assert re.search(r"https://bty-server/boot\.* Permission denied \(https://ipxe\.org/\w+\)", screen), screen
    assert "Permission denied: its certificate is untrusted, expired, or of another name." in screen


def test_https_of_an_unknown_ca_is_refused(lan: Lan, boot: Boot, ca: trustme.CA) -> None:
    lan.segment()
    serve(lan.www)
    lan.http(lan.https(ca.issue_cert("bty-server")))
    assert_blames_the_certificate(boot("https://bty-server/boot"))
    assert lan.requests() == []


def test_redirects(lan: Lan, boot: Boot) -> None:
    lan.segment()
    nonce = serve(lan.www)
    lan.http("location /old { return 302 /older; } location /older { return 301 http://bty-server/boot; }")
    boot("http://bty-server/old").wait_for(nonce, SECONDS)
    assert [request[2] for request in lan.requests()][:3] == ["302", "301", "200"]


def test_basic_auth_by_user_information(lan: Lan, boot: Boot) -> None:
    """And the password is never on the screen."""
    lan.segment()
    nonce = serve(lan.www)
    passwords = lan.work / "passwords"
    passwords.write_text("operator:{PLAIN}hunter/2\n")
    lan.http(f'auth_basic "boot"; auth_basic_user_file {passwords};')
    booted = boot("http://operator:hunter%2F2@bty-server/boot")
    booted.wait_for(nonce, SECONDS)
    assert "200" in [request[2] for request in lan.requests()]
    assert "hunter" not in booted.console


def test_query_port_and_settings_reach_the_server(lan: Lan, boot: Boot) -> None:
    lan.segment()
    nonce = serve(lan.www)
    lan.http("listen 8080;")
    boot(
        "http://bty-server:8080/boot?a=1&b=&&c='x'&mac=${net0/mac}&uuid=${uuid}", "-uuid", str(uuid.UUID(int=7))
    ).wait_for(nonce, SECONDS)
    query = f"a=1&b=&&c='x'&mac={lan.mac(0)}&uuid={uuid.UUID(int=7)}"
    assert lan.requests()[0][0].replace("%27", "'") == f"/boot?{query}"


def test_url_of_the_greatest_length(lan: Lan, boot: Boot) -> None:
    lan.segment()
    nonce = serve(lan.www)
    lan.http("large_client_header_buffers 4 16k; client_header_buffer_size 16k;")
    url = longest("http://bty-server/boot?")
    boot(url).wait_for(nonce, SECONDS)
    assert lan.requests()[0][0] == url.removeprefix("http://bty-server")


def test_runs_a_kernel_with_an_initrd_or_an_efi_program(lan: Lan, boot: Boot, firmware: Firmware, lib: Path) -> None:
    """By a relative path in the server's script."""
    lan.segment()
    lan.http()
    if firmware is UEFI:
        shutil.copy(lib / "ipxe/ipxe-amd64.efi", lan.www / "program.efi")
        (lan.www / "boot").write_text("#!ipxe\nchain program.efi\n")
        booted = boot("http://bty-server/boot")
        booted.wait_for(BANNER, SECONDS, since=len(booted.console))
    else:
        shutil.copy(lib / "ipxe/ipxe.lkrn", lan.www / "kernel")
        (lan.www / "initrd").write_text("#!ipxe\necho the initrd is there\nsleep 600\n")
        (lan.www / "boot").write_text("#!ipxe\nkernel kernel\ninitrd initrd\nboot\n")
        boot("http://bty-server/boot").wait_for("the initrd is there", SECONDS)


def test_runs_an_efi_program_or_a_kernel_that_the_url_names(
    lan: Lan, boot: Boot, firmware: Firmware, lib: Path
) -> None:
    lan.segment()
    lan.http()
    shutil.copy(lib / "ipxe" / ("ipxe-amd64.efi" if firmware is UEFI else "ipxe.lkrn"), lan.www / "program")
    booted = boot("http://bty-server/program")
    booted.wait_for(BANNER, SECONDS, since=len(booted.console))
