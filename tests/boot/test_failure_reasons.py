"""Each cause of a failed boot has its words and its error code, from real servers that refuse for that cause."""

import datetime
import re
import secrets
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
from tests.boot.conftest import Boot
from tests.boot.test_failure_screens import CANNOT, CARD, NO_ANSWER, diagnosis
from tests.boot.test_network import seen, serve

FAR = "10.99.0.1"  # an address of the host, outside of each LAN
SECOND = "10.0.0.2"  # another address of the host, in the first LAN
LOGIN_REFUSED = "login refused (401)"
NAME_UNKNOWN = "name not in DNS"
TODAY = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def nginx(lan: Lan) -> None:
    """Start nginx, with a path for each way in which it refuses."""
    (lan.work / "passwords").write_text("operator:{PLAIN}hunter2\n")
    statuses = " ".join(f"location /{status} {{ return {status}; }}" for status in (403, 410, 429, 500, 502, 503))
    lan.http(
        f'location /401 {{ auth_basic "boot"; auth_basic_user_file {lan.work}/passwords; }} {statuses}'
        "location /closes { return 444; } location /loop { return 302 /loop; }"
        "location /busy { add_header Retry-After 1 always; return 503; }"
    )


def dns(lan: Lan, address: str, rcode: str) -> None:
    """Start a DNS server that refuses all, on another address of the host, which dnsmasq leaves alone."""
    lan.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    lan.start(sys.executable, faulty_dns.__file__, address, rcode, name=f"dns-{address}").wait_for("ready")


def dhcp(lan: Lan, address: str, kind: str) -> None:
    """Start a DHCP server with a fault, on the first LAN."""
    lan.start(sys.executable, faulty_dhcp.__file__, "tap0", address, kind, name="faulty-dhcp").wait_for("ready")


def iscsi(lan: Lan, servers: Path) -> None:
    """Serve an empty disk as IQN, and as a second target, IQN-chap, that wants a password."""
    disk = lan.work / "empty.img"
    disk.write_bytes(bytes(1 << 20))
    lan.iscsi("10.0.0.1", disk)
    for words in (
        f"--op=new --mode=target --tid=2 --targetname={IQN}-chap",
        f"--op=new --mode=logicalunit --tid=2 --lun=1 --backing-store={disk}",
        "--op=bind --mode=target --tid=2 --initiator-address=ALL",
        "--op=new --mode=account --user=operator --password=hunter2hunter2",
        "--op=bind --mode=account --tid=2 --user=operator",
    ):
        lan.run(*debian.program(servers, "usr/sbin/tgtadm"), "--lld=iscsi", *words.split())


def words_of_the_script() -> dict[str, str]:
    """Return what the boot script says for each error code."""
    script = Path(boots_from.__file__).with_name("boot.ipxe").read_text()
    return dict(re.findall(r"^set e([0-9a-f]{8}) (.*)$", script, re.MULTILINE))


# Commands that fail; their error codes on BIOS and UEFI; the words for them. The LAN has no router.
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
    # TFTP does not learn that the name is unknown, or that there is no route.
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
    # What an unknown command fails with, at which the script starts the ECDSA iPXE, or says what is missing.
    ("nosuchcommand", "2e022001", "2e022081", ""),
]


@pytest.mark.thorough("uefi")
def test_failures_have_their_codes_and_words(lan: Lan, boot: Boot, servers: Path, firmware: Firmware) -> None:
    """All in one boot, by the server's script."""
    lan.segment(router=None)
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    nginx(lan)
    (lan.www / "denied").touch(mode=0o600)
    lan.faulty("#!ipxe\n# a comment\n", "dies")
    iscsi(lan, servers)
    lan.nfs()
    lines = [f"{command} || echo failed {n} ${{errno:hexraw}}." for n, (command, *_) in enumerate(FAILURES)]
    (lan.www / "boot").write_text("\n".join(["#!ipxe", *lines, "echo that was all", "sleep 600"]))
    booted = boot("http://10.0.0.1/boot")
    booted.wait_for("that was all", 60)
    came = re.findall(r"failed (\d+) ([0-9a-f]{8})\.", booted.console.replace("\r", "").replace("\n", ""))
    codes = {int(n): code for n, code in came}
    words = words_of_the_script()
    wrong = []
    for n, (command, bios, uefi, expected) in enumerate(FAILURES):
        code, said = codes.get(n, "did not fail"), words.get(codes.get(n, ""), "")
        if code != (bios if firmware is BIOS else uefi) or (expected and said != expected):
            wrong.append(f'{command}: {code} "{said}", expected "{expected}"')
    assert not wrong, "\n".join(wrong)


@dataclass(frozen=True)
class Cause:
    """Why a machine does not boot, and what its screen has to say.

    `prepare` makes it so and returns the URL; `codes` are iPXE's on BIOS and UEFI; `seconds` is the limit from the
    banner to the diagnosis.
    """

    prepare: Callable[[Lan, Path], str]
    words: str
    codes: tuple[str, str]
    seconds: float = 20


def http(path: str, host: str = "10.0.0.1") -> Callable[[Lan, Path], str]:
    def prepare(lan: Lan, servers: Path) -> str:
        lan.segment()
        nginx(lan)
        return f"http://{host}/{path}"

    return prepare


def busy(lan: Lan, servers: Path) -> str:
    lan.segment()
    lan.faulty("#!ipxe\n", "busy 600")
    return "http://10.0.0.1:8080/boot"


def no_router(lan: Lan, servers: Path) -> str:
    lan.segment(router=None)
    return f"http://{FAR}/boot"


def first_dns_server(rcode: str) -> Callable[[Lan, Path], str]:
    """The second DNS server knows the name, but iPXE takes the first answer."""

    def prepare(lan: Lan, servers: Path) -> str:
        dns(lan, SECOND, rcode)
        lan.segment(options=(f"--dhcp-option=option:dns-server,{SECOND},10.0.0.1",))
        nginx(lan)
        return "http://bty-server/boot"

    return prepare


def iscsi_disk(target: str, lun: int = 1) -> Callable[[Lan, Path], str]:
    def prepare(lan: Lan, servers: Path) -> str:
        lan.segment()
        iscsi(lan, servers)
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
def test_cause_is_named_on_the_screen(lan: Lan, boot: Boot, servers: Path, firmware: Firmware, name: str) -> None:
    cause = CAUSES[name]
    url = cause.prepare(lan, servers)
    said = diagnosis(boot(url), cause.seconds)
    code = cause.codes[firmware is not BIOS]
    assert f"{CARD}{cause.words}, https://ipxe.org/{code}\n" in said.partition(CANNOT)[2]
    if name == "endless redirect":
        print(f"{len(lan.requests())} requests")


@pytest.mark.thorough
def test_first_dns_server_is_silent_the_second_is_asked(lan: Lan, boot: Boot) -> None:
    dns(lan, SECOND, "silent")
    lan.segment(options=(f"--dhcp-option=option:dns-server,{SECOND},10.0.0.1",))
    seen(boot, "http://bty-server/boot", serve(lan), 8)


@pytest.mark.thorough
def test_server_that_is_busy_twice_is_asked_again_at_once(lan: Lan, boot: Boot) -> None:
    """Retry-After: iPXE waits that long by itself, within the same try."""
    lan.segment()
    nonce = secrets.token_hex(8)
    server = lan.faulty(f"#!ipxe\necho {nonce}\nsleep 600\n", "busy 2")
    booted = boot("http://10.0.0.1:8080/boot")
    assert booted.wait_for(nonce, 20).after(booted.banner) <= 9
    assert server.output().count("GET /boot") == 3


class TestCertificates:
    """On UEFI the CA is in the firmware's store; on BIOS it is written into the running machine's memory."""

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
    def test_dates_of_certificate_and_clock_disagree(
        self, lan: Lan, boot: Boot, ca: trustme.CA, firmware: Firmware, begins: int, ends: int, clock: str, shown: int
    ) -> None:
        """The words are the same; the clock that is shown tells which one it is."""
        lan.segment()
        leaf = ca.issue_cert(
            NAME, not_before=TODAY + begins * DAY, not_after=TODAY + ends * DAY, key_type=trustme.KeyType.RSA
        )
        lan.http(lan.https_directives(with_root(leaf, ca)))
        memory = lan.work / "memory"
        booted = boot("https://bty-server/boot", *memory_in(memory), "-rtc", f"base={clock}")
        if firmware is BIOS:
            trust_in_memory(ca, memory)
        said = diagnosis(booted, 20)
        code = "0216e43c" if firmware is BIOS else "0216e48f"
        assert f"{CARD}cert expired, or clock wrong, https://ipxe.org/{code}\n" in said
        assert re.search(rf"clock: .* {shown}\.\n", said)


# Static routes, none of them the default one: RFC 3442 says that they count instead of the gateway.
ROUTES = (f"--address=/{NAME}/{FAR}", "--dhcp-option-force=121,10.9.0.0/16,10.0.0.1")


@pytest.mark.thorough
def test_static_routes_beside_a_gateway_are_ignored(lan: Lan, boot: Boot) -> None:
    """By the main iPXE."""
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    lan.segment(options=ROUTES)
    seen(boot, "http://bty-server/boot", serve(lan), 8)


@pytest.mark.thorough
def test_static_routes_without_the_default_one_leave_the_ecdsa_ipxe_no_route(lan: Lan, tmp_path: Path) -> None:
    lan.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")
    lan.segment(options=ROUTES)
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    lan.http(lan.https_directives(ca.issue_cert(NAME, key_type=trustme.KeyType.ECDSA)))
    with lan.machine(trusting([ca], tmp_path), f"https://{NAME}/boot", "ecdsa-ipxe-no-route") as booted:
        screen = booted.wait_for_diagnosis(UEFI.seconds)
    assert re.search(r"net0 52:54:00:00:00:01 .*: no route to the server, https://ipxe\.org/280a6090\n", screen)
    assert "gateway none in use DNS 10.0.0.1" in screen


@pytest.mark.thorough("uefi")
def test_dhcp_server_that_refuses_two_requests_boots(lan: Lan, boot: Boot) -> None:
    lan.segment(dhcp=False)
    dhcp(lan, "10.0.0.1", "nak2")
    seen(boot, "http://10.0.0.1/boot", serve(lan), 12)


@pytest.mark.thorough
def test_dhcp_server_that_says_pxeclient_without_boot_server_boots(lan: Lan, boot: Boot) -> None:
    lan.segment(options=("--dhcp-option-force=60,PXEClient",))
    seen(boot, "http://bty-server/boot", serve(lan), 12)


@pytest.mark.thorough
def test_proxydhcp_server_that_is_silent_boots(lan: Lan, boot: Boot) -> None:
    lan.segment()
    lan.run("ip", "address", "add", f"{SECOND}/24", "dev", "tap0")
    dhcp(lan, SECOND, "silent-proxy")
    seen(boot, "http://bty-server/boot", serve(lan), 12)
