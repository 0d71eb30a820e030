"""Each cause of a failed boot shows its reason and iPXE error code; real servers produce the causes."""

import datetime
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

import boots_from
from lab import debian, faulty_dhcp, faulty_dns
from lab.firmware import BIOS, UEFI, Firmware
from lab.lan import IQN, NAME, Lan, memory_in, trust_in_memory, trusting, with_root
from lab.machine import nonce_script
from tests.boot.conftest import BootFrom
from tests.boot.test_failure_screens import CANNOT, CARD, NO_ANSWER, diagnosis
from tests.boot.test_network import boot_and_read_report, serve_report

FAR = "10.99.0.1"  # an address of the host outside the LANs
SECOND = "10.0.0.2"  # a second address of the host in the first LAN
LOGIN_REFUSED = "login refused (401)"
NAME_UNKNOWN = "name not in DNS"
TODAY = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def start_nginx(lan: Lan) -> None:
    """Start nginx with one path for each way to refuse a request."""
    (lan.work / "passwords").write_text("operator:{PLAIN}hunter2\n")
    statuses = " ".join(f"location /{status} {{ return {status}; }}" for status in (403, 410, 429, 500, 502, 503))
    lan.http(
        f'location /401 {{ auth_basic "boot"; auth_basic_user_file {lan.work}/passwords; }} {statuses}'
        "location /closes { return 444; } location /loop { return 302 /loop; }"
        "location /busy { add_header Retry-After 1 always; return 503; }"
    )


def start_dns_server(lan: Lan, address: str, rcode: str) -> None:
    """Start a DNS server, on a new address of the host, that answers each query with `rcode`, or never if "silent"."""
    lan.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    lan.start(sys.executable, faulty_dns.__file__, address, rcode, name=f"dns-{address}").wait_for("ready")


def start_dhcp_server(lan: Lan, address: str, kind: str) -> None:
    """Start a faulty DHCP server on the first LAN."""
    lan.start(sys.executable, faulty_dhcp.__file__, "tap0", address, kind, name="faulty-dhcp").wait_for("ready")


def start_iscsi_server(lan: Lan, server_programs: Path) -> None:
    """Serve an empty disk as the target IQN, and again as the target IQN-chap, which requires a password."""
    disk = lan.work / "empty.img"
    disk.write_bytes(bytes(1 << 20))
    lan.iscsi("10.0.0.1", disk)
    for arguments in (
        f"--op=new --mode=target --tid=2 --targetname={IQN}-chap",
        f"--op=new --mode=logicalunit --tid=2 --lun=1 --backing-store={disk}",
        "--op=bind --mode=target --tid=2 --initiator-address=ALL",
        "--op=new --mode=account --user=operator --password=hunter2hunter2",
        "--op=bind --mode=account --tid=2 --user=operator",
    ):
        lan.run(*debian.program(server_programs, "usr/sbin/tgtadm"), "--lld=iscsi", *arguments.split())


def reasons_in_script() -> dict[str, str]:
    """Return the reason that the boot script shows for each error code."""
    script = Path(boots_from.__file__).with_name("boot.ipxe").read_text()
    return dict(re.findall(r"^set e([0-9a-f]{8}) (.*)$", script, re.MULTILINE))


# Commands that fail, their error codes on BIOS and UEFI, and the reasons shown. The LAN has no router.
FAILURES = [
    ("imgfetch http://10.0.0.1/401", "0243613c", "0243618f", LOGIN_REFUSED),
    ("imgfetch http://operator:wrong@10.0.0.1/401", "020c613c", "020c618f", LOGIN_REFUSED),
    ("imgfetch http://10.0.0.1/403", "410c613c", "410c618f", "forbidden (403)"),
    ("imgfetch http://10.0.0.1/404", "2d0c613b", "2d0c618e", "not found (404)"),
    ("imgfetch http://10.0.0.1/410", "1d0c6439", "1d0c6498", "HTTP error 4xx"),
    ("imgfetch http://10.0.0.1/429", "1d0c6439", "1d0c6498", "HTTP error 4xx"),
    ("imgfetch http://10.0.0.1/500", "1d0c6539", "1d0c6598", "HTTP error 5xx"),
    ("imgfetch http://10.0.0.1/502", "1d0c6539", "1d0c6598", "HTTP error 5xx"),
    ("imgfetch http://10.0.0.1/503", "1d0c6539", "1d0c6598", "HTTP error 5xx"),
    ("imgfetch --timeout 2000 http://10.0.0.1/busy", "4c072035", "4c072092", NO_ANSWER),
    ("imgfetch --timeout 500 http://10.0.0.1/loop", "4c072035", "4c072092", NO_ANSWER),
    ("imgfetch --timeout 500 http://10.0.0.77/", "4c072035", "4c072092", NO_ANSWER),
    # iPXE does not tell TFTP that a name is unknown or that there is no route.
    ("imgfetch --timeout 500 tftp://nosuchname/boot", "4c072035", "4c072092", NO_ANSWER),
    (f"imgfetch --timeout 500 tftp://{FAR}/boot", "4c072035", "4c072092", NO_ANSWER),
    ("imgfetch http://10.0.0.1/closes", "420c6001", "420c6095", "closed without an answer"),
    ("imgfetch https://10.0.0.1:80/", "420c6001", "420c6095", "closed without an answer"),
    ("imgfetch http://10.0.0.1:8080/", "1d0c6239", "1d0c6298", "transfer cut off"),
    ("imgfetch http://10.0.0.1:81/", "0f0a6039", "0f0a6095", "port is closed"),
    (f"imgfetch http://{FAR}/", "280a6011", "280a6090", "no route to the server"),
    ("imgfetch http://nosuchname/", "3e11613b", "3e11618e", NAME_UNKNOWN),
    ("imgfetch tftp://10.0.0.1/missing", "2d12613b", "2d12618e", "not found"),
    ("imgfetch tftp://10.0.0.1/denied", "0212603c", "0212608f", "access denied"),
    ("imgfetch nfs://10.0.0.1/export/missing", "2d33603b", "2d33608e", "not found"),
    ("imgfetch nfs://10.0.0.1/missing/boot", "0235603c", "0235608f", "access denied, or no such export"),
    (f"sanboot iscsi:10.0.0.1:::1:{IQN}-chap", "430d6601", "430d6698", "iSCSI target needs CHAP login"),
    (f"sanboot iscsi:10.0.0.1:::1:{IQN}-missing", "2c0d603b", "2c0d6087", "no such iSCSI target, or no access"),
    (f"sanboot iscsi:10.0.0.1:::7:{IQN}", "1d704039", "1d704098", "no such LUN"),
    (f"sanboot iscsi:10.0.0.1:::1:{IQN}", "1d852039", "3d222083", "no boot loader on the disk"),
    (f"sanboot iscsi:10.0.0.1::3261:1:{IQN}", "0f0a6039", "0f0a6095", "port is closed"),
    # After this error the script starts the ECDSA iPXE, or reports that iPXE lacks the command.
    ("nosuchcommand", "2e022001", "2e022081", ""),
]


@pytest.mark.thorough("uefi")
def test_each_failure_has_code_and_reason(
    lan: Lan, boot_from: BootFrom, server_programs: Path, firmware: Firmware
) -> None:
    """One boot: the script of the server runs all the commands."""
    lan.segment(router=None)
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    start_nginx(lan)
    (lan.www / "denied").touch(mode=0o600)
    lan.faulty("#!ipxe\n# a comment\n", "dies")
    start_iscsi_server(lan, server_programs)
    lan.nfs()
    lines = [f"{command} || echo failed {n} ${{errno:hexraw}}." for n, (command, *_) in enumerate(FAILURES)]
    (lan.www / "boot").write_text("\n".join(["#!ipxe", *lines, "echo that was all", "sleep 600"]))
    booted = boot_from("http://10.0.0.1/boot")
    booted.wait_for("that was all", 60)
    failed = re.findall(r"failed (\d+) ([0-9a-f]{8})\.", booted.console.replace("\r", "").replace("\n", ""))
    codes = {int(n): code for n, code in failed}
    reasons = reasons_in_script()
    wrong = []
    for n, (command, bios, uefi, expected) in enumerate(FAILURES):
        code, reason = codes.get(n, "did not fail"), reasons.get(codes.get(n, ""), "")
        if code != (bios if firmware is BIOS else uefi) or (expected and reason != expected):
            wrong.append(f'{command}: {code} "{reason}", expected "{expected}"')
    assert not wrong, "\n".join(wrong)


@dataclass(frozen=True)
class Cause:
    """A cause of a failed boot, and what the screen must show.

    `prepare` sets up the LAN and returns the URL to boot from. `reason` and `codes`, for BIOS and UEFI, are what the
    screen shows. `seconds` is the limit from the banner to the diagnosis.
    """

    prepare: Callable[[Lan, Path], str]
    reason: str
    codes: tuple[str, str]
    seconds: float = 20


def http(path: str, host: str = "10.0.0.1") -> Callable[[Lan, Path], str]:
    """Return a function that starts nginx and returns the URL of one of its paths."""

    def prepare(lan: Lan, server_programs: Path) -> str:
        lan.segment()
        start_nginx(lan)
        return f"http://{host}/{path}"

    return prepare


def busy(lan: Lan, server_programs: Path) -> str:
    lan.segment()
    lan.faulty("#!ipxe\n", "busy 600")
    return "http://10.0.0.1:8080/boot"


def no_router(lan: Lan, server_programs: Path) -> str:
    lan.segment(router=None)
    return f"http://{FAR}/boot"


def first_dns_server(rcode: str) -> Callable[[Lan, Path], str]:
    """Return a function that puts a refusing DNS server first: iPXE takes its answer and asks no other."""

    def prepare(lan: Lan, server_programs: Path) -> str:
        start_dns_server(lan, SECOND, rcode)
        lan.segment(options=(f"--dhcp-option=option:dns-server,{SECOND},10.0.0.1",))
        start_nginx(lan)
        return "http://bty-server/boot"

    return prepare


def iscsi_disk(target: str, lun: int = 1) -> Callable[[Lan, Path], str]:
    """Return a function that starts the iSCSI server and returns the URL of a target's LUN."""

    def prepare(lan: Lan, server_programs: Path) -> str:
        lan.segment()
        start_iscsi_server(lan, server_programs)
        return f"iscsi:10.0.0.1:::{lun}:{target}"

    return prepare


_TIMED_OUT = ("4c072035", "4c072092")
_NO_NAME = ("3e11613b", "3e11618e")

CAUSES = {
    "password needed": Cause(http("401"), LOGIN_REFUSED, ("0243613c", "0243618f")),
    "password wrong": Cause(http("401", "operator:x@10.0.0.1"), LOGIN_REFUSED, ("020c613c", "020c618f")),
    "403": Cause(http("403"), "forbidden (403)", ("410c613c", "410c618f")),
    "410": Cause(http("410"), "HTTP error 4xx", ("1d0c6439", "1d0c6498")),
    "502": Cause(http("502"), "HTTP error 5xx", ("1d0c6539", "1d0c6598")),
    "503 with Retry-After": Cause(busy, NO_ANSWER, _TIMED_OUT, 45),
    "endless redirect": Cause(http("loop"), NO_ANSWER, _TIMED_OUT, 45),
    "no router": Cause(no_router, "no route to the server", ("280a6011", "280a6090")),
    "first DNS server says REFUSED": Cause(first_dns_server("5"), NAME_UNKNOWN, _NO_NAME),
    "first DNS server says SERVFAIL": Cause(first_dns_server("2"), NAME_UNKNOWN, _NO_NAME),
    "first DNS server says NXDOMAIN": Cause(first_dns_server("3"), NAME_UNKNOWN, _NO_NAME),
    "iSCSI password needed": Cause(
        iscsi_disk(f"{IQN}-chap"), "iSCSI target needs CHAP login", ("430d6601", "430d6698")
    ),
    "iSCSI target unknown": Cause(
        iscsi_disk(f"{IQN}-missing"), "no such iSCSI target, or no access", ("2c0d603b", "2c0d6087")
    ),
    "iSCSI LUN missing": Cause(iscsi_disk(IQN, 7), "no such LUN", ("1d704039", "1d704098")),
}


@pytest.mark.parametrize("name", CAUSES)
@pytest.mark.thorough(but=("bios-no router",))
def test_failure_screen_shows_reason_and_code(
    lan: Lan, boot_from: BootFrom, server_programs: Path, firmware: Firmware, name: str
) -> None:
    cause = CAUSES[name]
    url = cause.prepare(lan, server_programs)
    screen = diagnosis(boot_from(url), cause.seconds)
    code = cause.codes[firmware is not BIOS]
    assert f"{CARD}{cause.reason}, https://ipxe.org/{code}\n" in screen.partition(CANNOT)[2]
    if name == "endless redirect":
        print(f"{len(lan.requests())} requests")


@pytest.mark.thorough
def test_second_dns_server_replaces_silent_first(lan: Lan, boot_from: BootFrom) -> None:
    start_dns_server(lan, SECOND, "silent")
    lan.segment(options=(f"--dhcp-option=option:dns-server,{SECOND},10.0.0.1",))
    boot_and_read_report(boot_from, "http://bty-server/boot", serve_report(lan), 8)


@pytest.mark.thorough
def test_retry_after_is_honoured_within_one_try(lan: Lan, boot_from: BootFrom) -> None:
    """iPXE waits as long as the Retry-After header of a 503 says, and repeats the request."""
    lan.segment()
    nonce, script = nonce_script()
    server = lan.faulty(script, "busy 2")
    booted = boot_from("http://10.0.0.1:8080/boot")
    assert booted.wait_for(nonce, 20).after(booted.banner) <= 9
    assert server.output().count("GET /boot") == 3


class TestCertificates:
    """HTTPS with a private CA: enrolled in the firmware on UEFI, written into the memory of the machine on BIOS."""

    @pytest.fixture
    def ca(self) -> trustme.CA:
        return trustme.CA(key_type=trustme.KeyType.RSA)

    @pytest.fixture(params=[UEFI, BIOS], ids=lambda firmware: firmware.name)
    def firmware(self, request: pytest.FixtureRequest, ca: trustme.CA, tmp_path: Path) -> Firmware:
        return BIOS if request.param is BIOS else trusting([ca], tmp_path)

    @pytest.mark.parametrize(
        ("begins", "ends", "clock", "shown"),
        [(-1, 30, "2000-01-01", 2000), (-30, -1, "utc", TODAY.year)],
        ids=["clock wrong", "expired"],
    )
    @pytest.mark.thorough("uefi", "bios-expired")
    def test_certificate_outside_its_dates_shows_clock(
        self,
        lan: Lan,
        boot_from: BootFrom,
        ca: trustme.CA,
        firmware: Firmware,
        begins: int,
        ends: int,
        clock: str,
        shown: int,
    ) -> None:
        """The reason is the same for both causes; the clock on the screen tells them apart."""
        lan.segment()
        leaf = ca.issue_cert(
            NAME, not_before=TODAY + begins * DAY, not_after=TODAY + ends * DAY, key_type=trustme.KeyType.RSA
        )
        lan.http(lan.https_directives(with_root(leaf, ca)))
        memory = lan.work / "memory"
        booted = boot_from("https://bty-server/boot", *memory_in(memory), "-rtc", f"base={clock}")
        if firmware is BIOS:
            trust_in_memory(booted, ca, memory)
        screen = diagnosis(booted, 20)
        code = "0216e43c" if firmware is BIOS else "0216e48f"
        assert f"{CARD}cert expired, or clock wrong, https://ipxe.org/{code}\n" in screen
        assert re.search(rf"clock: .* {shown}\.\n", screen)


# Static routes without a default route. RFC 3442 says that a client must then ignore the gateway option.
ROUTES = (f"--address=/{NAME}/{FAR}", "--dhcp-option-force=121,10.9.0.0/16,10.0.0.1")


@pytest.mark.thorough
def test_main_ipxe_ignores_static_routes(lan: Lan, boot_from: BootFrom) -> None:
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    lan.segment(options=ROUTES)
    boot_and_read_report(boot_from, "http://bty-server/boot", serve_report(lan), 8)


@pytest.mark.thorough
def test_ecdsa_ipxe_with_static_routes_reports_no_route(lan: Lan, tmp_path: Path) -> None:
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    lan.segment(options=ROUTES)
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    lan.http(lan.https_directives(ca.issue_cert(NAME, key_type=trustme.KeyType.ECDSA)))
    with lan.machine(trusting([ca], tmp_path), f"https://{NAME}/boot", "ecdsa-ipxe-no-route") as booted:
        screen = booted.wait_for_diagnosis(UEFI.seconds)
    assert re.search(r"net0 52:54:00:00:00:01 .*: no route to the server, https://ipxe\.org/280a6090\n", screen)
    assert "gateway none in use DNS 10.0.0.1" in screen


@pytest.mark.thorough
def test_two_dhcp_refusals_still_boot(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(dhcp=False)
    start_dhcp_server(lan, "10.0.0.1", "nak2")
    boot_and_read_report(boot_from, "http://10.0.0.1/boot", serve_report(lan), 12)


@pytest.mark.thorough
def test_pxeclient_option_without_boot_server_boots(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment(options=("--dhcp-option-force=60,PXEClient",))
    boot_and_read_report(boot_from, "http://bty-server/boot", serve_report(lan), 12)


@pytest.mark.thorough
def test_silent_proxydhcp_server_still_boots(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    lan.run("ip", "address", "add", f"{SECOND}/24", "dev", "tap0")
    start_dhcp_server(lan, SECOND, "silent-proxy")
    boot_and_read_report(boot_from, "http://bty-server/boot", serve_report(lan), 12)
