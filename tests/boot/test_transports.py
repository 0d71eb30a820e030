"""Every transport boots from a real server: a script, then 20 MB as the second stage."""

import datetime
import os
import re
import secrets
import shutil
import uuid
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

import boots_from
from lab import debian
from lab.firmware import ARM64, BIOS, UEFI, Firmware
from lab.lan import IQN, Lan, memory_in, trust_in_memory, trusting, with_root
from lab.machine import BANNER, Machine, ipxe, usb_keyboard
from lab.media import SCSI_CD
from template import esp, iso
from template.paths import PACKAGES
from tests.boot.conftest import BootFrom
from tests.boot.test_failure_screens import ENDED, PROMPT_AND_MENU, ipxe_disk, type_at_prompt_menu_and_shell
from tests.boot.test_network import no_route_to_server, silent
from tests.unit.test_image import longest

SECONDS = 60


def write_two_stages(folder: Path, name: str = "boot") -> str:
    """Write a script that loads 20 MB by a relative path and then prints a nonce, and the 20 MB; return the nonce."""
    nonce = secrets.token_hex(8)
    (folder / name).write_text(f"#!ipxe\nimgfetch second-stage && echo {nonce} || echo no second stage\nsleep 600\n")
    (folder / "second-stage").write_bytes(os.urandom(20_000_000))
    return nonce


def wait_for_second_stage(booted: Machine, nonce: str) -> None:
    """Wait until the script of `write_two_stages` has loaded its 20 MB."""
    first = booted.wait_for("starting it", SECONDS)
    print(f"20 MB in {booted.wait_for(nonce, SECONDS) - first:.1f} s")


def test_http_loads_second_stage(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http()
    wait_for_second_stage(boot_from("http://bty-server/boot"), nonce)
    assert [request[0] for request in lan.requests()] == ["/boot", "/second-stage"]


@pytest.mark.thorough("uefi")
def test_tftp_loads_second_stage(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    wait_for_second_stage(boot_from("tftp://bty-server/boot"), write_two_stages(lan.www))


@pytest.mark.thorough("uefi")
def test_nfs_loads_second_stage(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.nfs()
    wait_for_second_stage(boot_from("nfs://bty-server/export/boot"), nonce)


@pytest.fixture(scope="session")
def lib() -> Path:
    """Return the directory usr/lib of the unpacked packages in the image."""
    return debian.unpack(PACKAGES) / "usr/lib"


def make_network_disk(lan: Lan, work: Path) -> Path:
    """Return a disk whose boot loader boots /from-the-disk, and serve that: the disk is an image for this URL."""
    disk = work / "lun.img"
    disk.write_bytes(boots_from.bake("http://bty-server/from-the-disk"))
    (lan.www / "from-the-disk").write_text("#!ipxe\necho the disk has booted\nsleep 600\n")
    lan.http()
    return disk


@pytest.mark.thorough("uefi")
def test_iscsi_disk_boots(lan: Lan, boot_from: BootFrom, tmp_path: Path) -> None:
    lan.segment()
    lan.iscsi("10.0.0.1", make_network_disk(lan, tmp_path))
    booted = boot_from(f"iscsi:bty-server:::1:{IQN}")
    booted.wait_for("the disk has booted", 120)
    assert [request[0] for request in lan.requests()] == ["/from-the-disk"]


@pytest.mark.thorough
def test_iscsi_disk_boots_after_failed_try(lan: Lan, boot_from: BootFrom, tmp_path: Path) -> None:
    lan.segment()
    disk = make_network_disk(lan, tmp_path)
    booted = boot_from(f"iscsi:bty-server:::1:{IQN}")
    assert "could NOT boot" in booted.wait_for_diagnosis(60)
    lan.iscsi("10.0.0.1", disk)
    booted.open_shell(lambda: booted.enter_text("s"))
    booted.enter_text("exit\r")
    booted.wait_for("the disk has booted", 120, may_fail=True)


def make_two_stage_disk(work: Path, lib: Path, nonce: str) -> Path:
    """Return a disk whose boot loader, for BIOS and for UEFI, reads 20 MB from the disk and then prints a nonce."""
    stage, tree = work / "second-stage", work / "tree"
    stage.write_bytes(os.urandom(20_000_000))
    script, loader = work / "script.ipxe", work / "loader.efi"
    script.write_text(f"#!ipxe\necho {nonce}\nsleep 600\n")
    # On BIOS ISOLINUX loads the script and the 20 MB as one initrd. On UEFI the 20 MB are part of the program, because
    # UEFI loads the whole file before it starts. The started program takes over the network card, so the disk is gone.
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


@pytest.mark.thorough("uefi")
def test_iscsi_disk_loads_second_stage(lan: Lan, boot_from: BootFrom, tmp_path: Path, lib: Path) -> None:
    lan.segment()
    nonce = secrets.token_hex(8)
    lan.iscsi("10.0.0.1", make_two_stage_disk(tmp_path, lib, nonce))
    booted = boot_from(f"iscsi:bty-server:::1:{IQN}")
    registered = booted.wait_for("Registered SAN device", SECONDS)
    print(f"20 MB, and the boot loader, in {booted.wait_for(nonce, 120) - registered:.1f} s")


RSA, ECDSA = trustme.KeyType.RSA, trustme.KeyType.ECDSA


@pytest.fixture
def ca(request: pytest.FixtureRequest) -> trustme.CA:
    """Return a CA with the key type that the test is parametrized with, ECDSA by default."""
    return trustme.CA(key_type=getattr(request, "param", ECDSA))


with_rsa = pytest.mark.parametrize("ca", [RSA], ids=["RSA"], indirect=True)


class TestHttpsWithEnrolledCa:
    """HTTPS from a server with a private CA, which is enrolled in the TLS store of UEFI.

    If all certificates are RSA, the main iPXE boots. Otherwise it starts the ECDSA iPXE.
    """

    @pytest.fixture
    def firmware(self, ca: trustme.CA, tmp_path: Path) -> Firmware:
        return trusting([ca], tmp_path)

    @pytest.mark.parametrize(
        ("ca", "leaf", "curve", "by_ecdsa_ipxe"),
        [
            pytest.param(RSA, RSA, "", False, id="RSA"),
            pytest.param(ECDSA, ECDSA, "SECP256R1", True, id="P-256"),
            pytest.param(ECDSA, ECDSA, "SECP384R1", True, id="P-384"),
            pytest.param(ECDSA, RSA, "", True, id="RSA from ECDSA CA"),
        ],
        indirect=["ca"],
    )
    @pytest.mark.thorough("P-384", "RSA from")
    def test_https_loads_second_stage(
        self,
        lan: Lan,
        boot_from: BootFrom,
        ca: trustme.CA,
        leaf: trustme.KeyType,
        curve: str,
        by_ecdsa_ipxe: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if curve:
            monkeypatch.setattr(ec, "SECP256R1", getattr(ec, curve))  # trustme uses no other curve
        lan.segment()
        nonce = write_two_stages(lan.www)
        lan.http(lan.https_directives(ca.issue_cert("bty-server", key_type=leaf)))
        wait_for_second_stage(boot_from("https://bty-server/boot"), nonce)
        assert {request[1] for request in lan.requests()} == {ipxe()[by_ecdsa_ipxe]}

    @pytest.mark.thorough
    def test_redirect_from_http_is_followed(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        lan.segment()
        nonce = write_two_stages(lan.www)
        lan.http(
            lan.https_directives(ca.issue_cert("bty-server"))
            + "if ($scheme = http) { return 301 https://$host$request_uri; }"
        )
        boot_from("http://bty-server/boot?x=1").wait_for(nonce, SECONDS)
        assert [request[2] for request in lan.requests()][:3] == ["301", "301", "200"]  # both builds ask

    @pytest.mark.parametrize(
        ("ca", "kind", "fault"),
        [(kind, kind, fault) for fault in ("expired", "another name") for kind in (RSA, ECDSA)],
        ids=["RSA-expired", "ECDSA-expired", "RSA-another name", "ECDSA-another name"],
        indirect=["ca"],
    )
    @pytest.mark.thorough("RSA-another name", "ECDSA-expired", "RSA-expired")
    def test_bad_certificate_is_refused(
        self, lan: Lan, boot_from: BootFrom, ca: trustme.CA, kind: trustme.KeyType, fault: str
    ) -> None:
        lan.segment()
        write_two_stages(lan.www)
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
        name, end = ("bty-server", past) if fault == "expired" else ("other.example", None)
        lan.http(lan.https_directives(ca.issue_cert(name, not_after=end, key_type=kind)))
        assert_blames_the_certificate(boot_from("https://bty-server/boot"))

    @pytest.mark.thorough
    def test_last_of_three_cards_boots(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        no_route_to_server(lan)
        silent(lan)
        lan.segment()
        nonce = lan.write_script("${mac} ${netX/mac}")
        lan.http(lan.https_directives(ca.issue_cert("bty-server")))
        boot_from("https://bty-server/boot").wait_for(f"{nonce} {lan.mac(2)} {lan.mac(2)}", SECONDS)

    @pytest.mark.thorough
    def test_other_card_boots_after_ecdsa_ipxe_fails(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        """The ECDSA iPXE shows the reason, waits 30 s and returns to the main iPXE, which tries the other cards."""
        lan.segment()
        lan.segment()
        nonce = write_two_stages(lan.www)
        lan.http(lan.https_directives(ca.issue_cert("bty-server")) + "if ($server_addr = 10.0.0.1) { return 404; }")
        booted = boot_from("https://bty-server/boot")
        assert "not found (404)" in booted.wait_for_diagnosis(SECONDS)
        booted.wait_for(nonce, SECONDS + 30, may_fail=True)
        assert {request[3].rpartition(".")[0] for request in lan.requests()} == {"10.0.0", "10.0.1"}

    @pytest.mark.thorough
    def test_failure_of_ecdsa_ipxe_is_reported_among_cards(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        lan.segment()
        lan.segment(dhcp=False)
        lan.http(lan.https_directives(ca.issue_cert("bty-server")))
        booted = boot_from("https://bty-server/boot")
        while "net1" not in (screen := booted.wait_for_diagnosis(200, since=len(booted.console))):
            assert "not found (404)" in screen
        assert "ECDSA iPXE also failed: see above\n" in screen
        assert "no DHCP answer: check VLAN and server\n" in screen

    @pytest.mark.parametrize("end", ["exit", "exit 1"])
    @pytest.mark.thorough("exit 1")
    def test_script_end_boots_next_device(
        self, lan: Lan, boot_from: BootFrom, ca: trustme.CA, tmp_path: Path, end: str
    ) -> None:
        """The ECDSA iPXE returns to the main iPXE, which exits."""
        lan.segment()
        (lan.www / "boot").write_text(f"#!ipxe\necho here\n{end}\n")
        lan.http(lan.https_directives(ca.issue_cert("bty-server")))
        booted = boot_from("https://bty-server/boot", *ipxe_disk(tmp_path))
        booted.wait_for("the second disk has booted", SECONDS)
        assert booted.console.count(ENDED) == 2
        assert len(lan.requests()) == 1

    @pytest.mark.thorough
    def test_failed_script_is_reported(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        lan.segment()
        (lan.www / "boot").write_text("#!ipxe\necho here\nchain missing\n")
        lan.http(lan.https_directives(ca.issue_cert("bty-server")))
        booted = boot_from("https://bty-server/boot")
        assert "the server's script FAILED: see the error above" in booted.wait_for_diagnosis(SECONDS)
        assert [request[0] for request in lan.requests()].count("/boot") == 1
        # After exit in the shell, the ECDSA iPXE retries.
        booted.open_shell(lambda: booted.enter_text("s"))
        booted.enter_text("exit\r")
        booted.wait_for("here", SECONDS, may_fail=True, since=len(booted.console))

    @pytest.mark.thorough
    def test_usb_keyboard_types_at_prompt_menu_and_shell(self, lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
        """The ECDSA iPXE also leaves USB to the firmware."""
        lan.segment()
        (lan.www / "boot").write_text(PROMPT_AND_MENU)
        lan.http(lan.https_directives(ca.issue_cert("bty-server")))
        booted = boot_from("https://bty-server/boot", *usb_keyboard("qemu-xhci"))
        type_at_prompt_menu_and_shell(booted)


@pytest.mark.parametrize("firmware", [ARM64], ids=["uefi-arm64"], indirect=True)
@pytest.mark.parametrize("kind", [RSA, ECDSA], ids=["RSA", "ECDSA"])
@pytest.mark.thorough
def test_arm64_https_loads_second_stage(lan: Lan, kind: trustme.KeyType, tmp_path: Path, firmware: Firmware) -> None:
    lan.segment()
    ca = trustme.CA(key_type=kind)
    nonce = write_two_stages(lan.www)
    lan.http(lan.https_directives(ca.issue_cert("bty-server", key_type=kind)))
    arm64 = trusting([ca], tmp_path, firmware)
    with lan.machine(arm64, "https://bty-server/boot", f"https-arm64-{kind.name}", medium=SCSI_CD) as booted:
        booted.wait_for(BANNER, arm64.seconds)
        wait_for_second_stage(booted, nonce)
    assert {request[1] for request in lan.requests()} == {ipxe()[kind is ECDSA]}


@with_rsa
@pytest.mark.thorough
def test_https_with_rsa_ca_after_ecdsa_ca_boots(lan: Lan, ca: trustme.CA, tmp_path: Path) -> None:
    """The main iPXE reads the TLS store of the firmware only up to the first CA with ECDSA."""
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http(lan.https_directives(ca.issue_cert("bty-server", key_type=RSA)))
    trusts = trusting([trustme.CA(), ca], tmp_path)
    with lan.machine(trusts, "https://bty-server/boot", "https-two-cas") as booted:
        wait_for_second_stage(booted, nonce)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
@with_rsa
def test_bios_https_loads_second_stage(lan: Lan, boot_from: BootFrom, ca: trustme.CA, tmp_path: Path) -> None:
    """The CA of the test is written into the memory of the machine, in place of the CA that iPXE trusts there."""
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http(lan.https_directives(with_root(ca.issue_cert("bty-server", key_type=RSA), ca)))
    memory = tmp_path / "memory"
    booted = boot_from("https://bty-server/boot", *memory_in(memory))
    trust_in_memory(booted, ca, memory)
    wait_for_second_stage(booted, nonce)


@pytest.mark.parametrize("firmware", [BIOS], ids=["bios"], indirect=True)
def test_bios_https_with_ecdsa_is_reported(lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
    lan.segment()
    lan.http(lan.https_directives(ca.issue_cert("bty-server")))
    screen = boot_from("https://bty-server/boot").wait_for_diagnosis(SECONDS)
    assert "https://bty-server/boot... Operation not permitted" in screen
    assert ": no common TLS: use RSA and TLS 1.2, https://ipxe.org/410de13c\n" in screen


def assert_blames_the_certificate(booted: Machine) -> None:
    screen = booted.wait_for_diagnosis(60)
    assert re.search(r"https://bty-server/boot\.* Permission denied \(https://ipxe\.org/\w+\)", screen), screen
    words = "(cert not trusted|cert expired, or clock wrong|name not in cert)"
    assert re.search(rf": {words}, https://ipxe\.org/0216e", screen)


@with_rsa
@pytest.mark.thorough("uefi")
def test_https_with_unknown_ca_is_refused(lan: Lan, boot_from: BootFrom, ca: trustme.CA) -> None:
    lan.segment()
    write_two_stages(lan.www)
    lan.http(lan.https_directives(ca.issue_cert("bty-server", key_type=RSA)))
    assert_blames_the_certificate(boot_from("https://bty-server/boot"))
    assert lan.requests() == []


@pytest.mark.thorough("uefi")
def test_http_redirects_are_followed(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http("location /old { return 302 /older; } location /older { return 301 http://bty-server/boot; }")
    boot_from("http://bty-server/old").wait_for(nonce, SECONDS)
    assert [request[2] for request in lan.requests()][:3] == ["302", "301", "200"]


@pytest.mark.thorough("uefi")
def test_basic_auth_from_url_hides_password(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    passwords = lan.work / "passwords"
    passwords.write_text("operator:{PLAIN}hunter/2\n")
    lan.http(f'auth_basic "boot"; auth_basic_user_file {passwords};')
    booted = boot_from("http://operator:hunter%2F2@bty-server/boot")
    booted.wait_for(nonce, SECONDS)
    assert "200" in [request[2] for request in lan.requests()]
    assert "hunter" not in booted.console


@pytest.mark.thorough("uefi")
def test_query_port_and_settings_reach_server(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http("listen 8080;")
    boot_from(
        "http://bty-server:8080/boot?a=1&b=&&c='x'&mac=${net0/mac}&uuid=${uuid}", "-uuid", str(uuid.UUID(int=7))
    ).wait_for(nonce, SECONDS)
    query = f"a=1&b=&&c='x'&mac={lan.mac(0)}&uuid={uuid.UUID(int=7)}"
    assert lan.requests()[0][0].replace("%27", "'") == f"/boot?{query}"


@pytest.mark.thorough("uefi")
def test_longest_url_reaches_server(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    nonce = write_two_stages(lan.www)
    lan.http("large_client_header_buffers 4 16k; client_header_buffer_size 16k;")
    url = longest("http://bty-server/boot?")
    boot_from(url).wait_for(nonce, SECONDS)
    assert lan.requests()[0][0] == url.removeprefix("http://bty-server")


def test_script_runs_kernel_or_efi_program(lan: Lan, boot_from: BootFrom, firmware: Firmware, lib: Path) -> None:
    """A kernel with an initrd on BIOS, an EFI program on UEFI; the script gives relative paths."""
    lan.segment()
    lan.http()
    if firmware is UEFI:
        shutil.copy(lib / "ipxe/ipxe-amd64.efi", lan.www / "program.efi")
        (lan.www / "boot").write_text("#!ipxe\nchain program.efi\n")
        booted = boot_from("http://bty-server/boot")
        booted.wait_for(BANNER, SECONDS, since=len(booted.console))
    else:
        shutil.copy(lib / "ipxe/ipxe.lkrn", lan.www / "kernel")
        (lan.www / "initrd").write_text("#!ipxe\necho the initrd is there\nsleep 600\n")
        (lan.www / "boot").write_text("#!ipxe\nkernel kernel\ninitrd initrd\nboot\n")
        boot_from("http://bty-server/boot").wait_for("the initrd is there", SECONDS)


def test_url_of_kernel_or_efi_program_runs_it(lan: Lan, boot_from: BootFrom, firmware: Firmware, lib: Path) -> None:
    lan.segment()
    lan.http()
    shutil.copy(lib / "ipxe" / ("ipxe-amd64.efi" if firmware is UEFI else "ipxe.lkrn"), lan.www / "program")
    booted = boot_from("http://bty-server/program")
    booted.wait_for(BANNER, SECONDS, since=len(booted.console))
