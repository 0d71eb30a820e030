"""The checks of URLs agree with iPXE: a refused URL is one that iPXE can't boot from or takes for something else.

For ib_srp only the parsing of the fields is compared, because QEMU has no InfiniBand.

Not compared: DEL (0x7f), which iPXE sends as %7F and nobody means, and spaces and control characters, which would begin
another word or line of the script.
"""

import re
import socket
from pathlib import Path

import pytest

from boots_from import boot_url, image
from boots_from.errors import UrlError
from lab.firmware import BIOS, Firmware
from lab.lan import IQN, Lan
from lab.machine import HOST, Machine
from lab.media import SCSI_CD
from lab.recording_server import RecordingServer
from tests.boot.conftest import BootFrom
from tests.boot.test_transports import make_network_disk


def ib_srp(sgid: str = "", dgid: str = "0" * 32, pkey: str = "", lun: str = "", ioc: str = "0" * 16) -> str:
    """Return an ib_srp URL with these fields."""
    return f"ib_srp:{sgid}:::{dgid}:{pkey}:{'0' * 16}:{lun}:{'0' * 16}:{ioc}"


# Refused: iPXE takes a URL without a scheme for a path beside the script (UEFI) or on the TFTP server of DHCP (BIOS).
PATHS = ("//{http}/x", "{http}/x", "<http://{http}/x>", "'http://{http}/x'", '"http://{http}/x"')
# Refused: iPXE gets nothing. `{http}` is the address and port of a server, `{tcp}` a port on which nothing listens.
NEVER = (
    "http:/{http}/x", "http:{http}/x", "htpp://{http}/x", "ftp://{http}/x", "fcp:50:00:00:00:00:00:00:01:0",
    "http://[::1/x", "http://" + HOST + ":/x", "http://" + HOST + ":0/x", "http://" + HOST + ":0{port}/x",
    "tftp://" + HOST, "nfs://" + HOST, "nfs://" + HOST + "/", "nfs://" + HOST + "/d/",
    "http://[::ffff:" + HOST + "]:{port}/x", "http://[1:2:3:4:5:6:7::]/x", "http://[::2:3:4:5:6:7:8]/x",
    "http://10.0.514:{port}/x", "http://" + HOST + ".:{port}/x", "http://....:{port}/x", "http://*:{port}/x",
    "http://" + HOST + "%20:{port}/x",
    "iscsi:" + HOST, "iscsi:" + HOST + "::{tcp}:1", "iscsi://" + HOST + ":{tcp}/x", "iscsi:" + HOST + "::{tcp}:xyz:x",
    "iscsi:" + HOST + "::{tcp}:0x1:x", "iscsi:" + HOST + "::{tcp}:1-0-0-0-0:x", "aoe:0.1", "aoe:e0", "aoe:ex.y",
    "ib_srp:::", ib_srp(sgid="1"), ib_srp(dgid=""), ib_srp(dgid="g" * 32), ib_srp(pkey="xyz"), ib_srp(lun="1-0-0-0-0"),
    ib_srp(ioc="0" * 16 + ":"),
)  # fmt: skip
# Refused: iPXE connects to another port, or requests another path, than the URL says.
MISREAD = (
    "http://" + HOST + ":{more}/x", "http://" + HOST + ":{port}o/x", "http://" + HOST + ":{hex}/x",
    "http://" + HOST + ":0{octal}/x", "http://{http}/\u00fc", "http://" + HOST + "%00x:{port}/x",
    "http://u%00:p@{http}/x",
)  # fmt: skip
# Accepted: iPXE gets the file.
FETCHED = (
    "http://{http}/x", "HTTP://{http}/x", "http://user:pass@{http}/x", "http://{http}/x#dropped", "http://{http}/x?a={{mac}}",
    "http://012.0.2.2:{port}/x", "http://%31%30.0.2.2:{port}/x", "http://${{next-server}}:{port}/x",
    "http://${{net${{i${{j}}}}/next-server}}:{port}/x",
)  # fmt: skip
# Accepted: iPXE recognises an IPv6 address, to which it has no route here.
IPV6 = ("http://[1:2:3:4:5:6::8]/x", "http://[::2:3:4:5:6:7]/x", "http://[::ffff:a00:202]/x")
# Accepted: iPXE tries to connect.
TRIED = (
    "iscsi:" + HOST + "::{tcp}::iqn.target", "iscsi:" + HOST + ":7:{tcp}:1:x", "iscsi:" + HOST + "::{tcp}:00001:x",
    "iscsi:" + HOST + "::{tcp}:1-0:eui.0", "ISCSI:" + HOST + "::{tcp}:1:x", "iscsi:" + HOST + "::{tcp}:1:x#dropped",
)  # fmt: skip
# Accepted: iPXE looks for an InfiniBand card.
LOOKED_FOR = (
    ib_srp(), ib_srp(sgid="0123456789abcdefABCDEF0123456789"), ib_srp(pkey="f"), ib_srp(pkey="ffff"),
    ib_srp(lun="1"), ib_srp(lun="0-1-0-0"),
)  # fmt: skip


def is_refused(url: str) -> bool:
    try:
        boot_url.parse(url)
    except UrlError:
        return True
    return False


@pytest.mark.thorough("uefi")
def test_refused_urls_are_those_ipxe_cannot_boot(
    firmware: Firmware, recording_server: RecordingServer, tmp_path: Path
) -> None:
    recording_server.files["/x"] = b"#!ipxe\n"
    port = recording_server.port
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        tcp = closed.getsockname()[1]
        values = {"http": f"{HOST}:{port}", "port": port, "more": port + 65536, "hex": hex(port), "octal": f"{port:o}"}
        urls = {
            form: form.format(tcp=tcp, **values)
            for form in (*FETCHED, *IPV6, *MISREAD, *TRIED, *LOOKED_FOR, *NEVER, *PATHS)
        }
        files: list[str] = []
        disks: list[str] = []
        for number, url in enumerate(urls.values()):
            is_disk = re.match("iscsi|aoe|ib_srp|fcp", url, re.IGNORECASE)
            command = "sanhook" if is_disk else f"imgfetch --name f{number} --timeout 3000"
            (disks if is_disk else files).append(f"{command} {url} && echo =={number} 0 || echo =={number} ${{errno}}")
        lines = [
            "#!ipxe",
            "dhcp",
            "set j 5",
            "set i5 0",
            "set net0/next-server " + HOST,
            "set san-retries 0",
            *files,
            *disks,
            "echo ==all",
            "shell",
            "",
        ]
        script = "\n".join(lines).encode()
        iso = tmp_path / "boots-from.iso"
        iso.write_bytes(image.fill(image.read_template(), script))
        with Machine(firmware, SCSI_CD.arguments(iso), tmp_path, f"urls-{firmware.name}") as running:
            running.wait_for("==all", 180, may_fail=True)
            results = dict(re.findall(r"^==(\d+) (\S+)", running.console, re.MULTILINE))
    errors = {form: int(results[str(number)], 16) for number, form in enumerate(urls)}
    requested = {request.path for request in recording_server.requests}
    assert {form: errors[form] for form in NEVER if errors[form] == 0 or not is_refused(urls[form])} == {}
    assert requested == {"/x", "/x?a={mac}", "/%FFFFFFC3%FFFFFFBC"}
    assert [form for form in (*PATHS, *MISREAD) if not is_refused(urls[form])] == []
    assert [form for form in MISREAD if errors[form] != 0] == ["http://{http}/\u00fc"]
    assert {form: errors[form] for form in FETCHED if errors[form] != 0 or is_refused(urls[form])} == {}
    # EINVAL (0x1c) and ENOTSUP (0x3c) mean that iPXE did not try; ECONNRESET (0x0f) and ENODEV (0x2c), that it did.
    refused_disks = [form for form in NEVER if form.startswith(("iscsi", "aoe", "ib_srp", "fcp"))]
    assert {errors[form] >> 24 for form in refused_disks} == {0x1C, 0x3C}
    assert {errors[form] >> 24 for form in TRIED} == {0x0F}
    assert {errors[form] >> 24 for form in LOOKED_FOR} == {0x2C}
    assert {errors[form] >> 24 for form in IPV6} == {0x28}
    assert [form for form in (*IPV6, *TRIED, *LOOKED_FOR) if is_refused(urls[form])] == []


@pytest.mark.parametrize("target", ["iqn.target", "disk"])
@pytest.mark.thorough("uefi", "bios-iqn")
def test_iscsi_target_with_any_name_boots(lan: Lan, boot_from: BootFrom, tmp_path: Path, target: str) -> None:
    lan.segment()
    lan.iscsi("10.0.0.1", make_network_disk(lan, tmp_path), target)
    boot_from(f"iscsi:bty-server:::1:{target}").wait_for("the disk has booted", 120)


@pytest.mark.parametrize("url", ["${filename}", "${net0/filename}?mac=${mac}", "${root-path}"])
@pytest.mark.thorough("bios", "uefi-x86_64-${net0", "uefi-x86_64-${root")
def test_url_from_dhcp_boots(lan: Lan, boot_from: BootFrom, tmp_path: Path, url: str) -> None:
    options = ("--dhcp-boot=http://bty-server/given", f"--dhcp-option=option:root-path,iscsi:bty-server:::1:{IQN}")
    lan.segment(options=options)
    nonce = lan.write_script(name="given")
    disk = make_network_disk(lan, tmp_path)
    lan.iscsi("10.0.0.1", disk)
    boot_from(url).wait_for("the disk has booted" if "root" in url else nonce, 120)


@pytest.mark.parametrize("firmware", [BIOS], ids=lambda firmware: firmware.name)
def test_tftp_directory_is_requested_as_written(lan: Lan, boot_from: BootFrom, firmware: Firmware) -> None:
    """Some TFTP servers have a file for a directory. dnsmasq, which has none, logs the request."""
    lan.segment()
    booted = boot_from("tftp://bty-server/folder/")
    assert "could NOT boot" in booted.wait_for_diagnosis(60)
    (log,) = lan.work.glob("dnsmasq0*")
    assert re.search(r"folder/? not found|cannot read .*folder", log.read_text()), log.read_text()


@pytest.mark.thorough
def test_tftp_path_with_dhcp_filename_stays_same_in_retry(lan: Lan, boot_from: BootFrom) -> None:
    """The script sets the setting filename for PXE programs, but not if the path of the URL contains this setting."""
    lan.segment(options=("--dhcp-boot=given,,10.0.0.1",))
    booted = boot_from("tftp://${next-server}/folder/${filename}")
    booted.wait_for_diagnosis(60)
    booted.open_shell(lambda: booted.enter_text("s"))
    (lan.www / "folder").mkdir()
    (lan.www / "folder" / "given").write_text("#!ipxe\necho here at last\nsleep 600\n")
    booted.enter_text("exit\r")
    booted.wait_for("here at last", 30, may_fail=True)
