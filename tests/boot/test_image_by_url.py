"""Images served by URL: UEFI HTTP Boot downloads one without a medium, and a BMC can mount one as virtual media."""

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import boots_from
from lab.firmware import ARM64, ARM64_SECURE, UEFI, UEFI_SECURE, Firmware
from lab.lan import Lan
from lab.machine import Machine, ipxe
from lab.media import AHCI_CD
from template.paths import CHECKOUT
from tests.boot.conftest import EnrolledVariables


def block(page: str, language: str) -> str:
    """Return the only code block of a how-to page in a language."""
    text = (CHECKOUT / "docs/how-to" / page).read_text()
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(code)


def without_pxe(firmware: Firmware) -> Firmware:
    """Return the firmware without PXE, which takes a minute to fail, so that HTTP Boot comes first."""
    options = [f"name=opt/org.tianocore/IPv{number}PXESupport,string=no" for number in (4, 6)]
    return replace(firmware, command=(*firmware.command, "-fw_cfg", options[0], "-fw_cfg", options[1]))


@pytest.mark.parametrize("firmware", [UEFI, UEFI_SECURE, ARM64, ARM64_SECURE], ids=lambda firmware: firmware.name)
@pytest.mark.thorough("uefi-x86_64-secure", "uefi-arm64")
def test_uefi_http_boot_fetches_image_named_by_dhcp(
    firmware: Firmware, enrolled_variables: EnrolledVariables, lan: Lan, tmp_path: Path
) -> None:
    if firmware.secure_boot:
        shutil.copy(enrolled_variables(firmware), tmp_path)
    lan.segment(
        options=tuple(f"--{line}" for line in block("http-boot.md", "ini").splitlines() if not line.startswith("#"))
    )
    (lan.www / "boots-from.iso").write_bytes(boots_from.bake("http://bty-server/boot"))
    nonce = lan.write_script()
    lan.http()
    name = f"{firmware.name}-http-boot"
    with Machine(without_pxe(firmware), [], tmp_path, name, lan.cards, enter=lan.enter) as running:
        # may_fail: some firmware tries the EFI shell first, and Secure Boot refuses the shell with a message.
        seconds = running.wait_for(nonce, firmware.seconds, may_fail=True)
    print(f"{seconds:.1f} s")
    *images, (path, agent, status, _) = lan.requests()
    assert {tuple(request[:2]) for request in images} == {("/boots-from.iso", "UefiHttpBoot/1.0")}
    assert (path, agent, status) == ("/boot", ipxe()[0], "200")


# A client of the documented server, run on the host side of the LAN.
CLIENT = """\
import concurrent.futures, hashlib, time, urllib.error, urllib.request
import boots_from

def ask(path, method="GET", take=lambda answer: answer.read(), **headers):
    request = urllib.request.Request("http://127.0.0.1:8000" + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["Content-Length"], answer.headers["Content-Range"], take(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.status

while True:
    try:
        assert ask("/") == 404
        break
    except urllib.error.URLError:
        time.sleep(0.1)
whole = boots_from.bake("http://boot.example.com/boot?machine=node-1")
size = len(whole)
end = size - 1
assert ask("/node-1.iso", "HEAD") == (200, str(size), None, b"")
assert ask("/node-1.iso") == (200, str(size), None, whole)
for first, last, asked in (0, 0, "0-0"), (32768, end, "32768-"), (end, end, f"{end}-{size}"), (5, 9, "5-9"):
    part = (206, str(last + 1 - first), f"bytes {first}-{last}/{size}")
    assert ask("/node-1.iso", Range=f"bytes={asked}") == (*part, whole[first : last + 1])
    assert ask("/node-1.iso", "HEAD", Range=f"bytes={asked}") == (*part, b"")
assert ask("/node-1.iso", Range=f"bytes={size}-") == 416
assert ask("/node_1") == 404

def digest(number):
    return ask(f"/node-{number}.iso", take=lambda answer: hashlib.file_digest(answer, "sha256").hexdigest())[3]

with concurrent.futures.ThreadPoolExecutor(100) as pool:
    for number, sha256 in enumerate(pool.map(digest, range(100))):
        assert sha256 == boots_from.Image(f"http://boot.example.com/boot?machine=node-{number}").sha256
"""


@pytest.mark.thorough("uefi")
def test_documented_image_server_boots_machine(lan: Lan, firmware: Firmware, tmp_path: Path) -> None:
    """QEMU mounts the image from the server by URL, as a BMC does."""
    lan.segment()
    nonce = lan.write_script()
    lan.http()
    program = tmp_path / "serve_images.py"
    program.write_text(block("serve-images.md", "python"))
    server = lan.start(sys.executable, "-u", program, name="images")
    lan.run(sys.executable, "-c", CLIENT)
    drive = "if=none,id=boot,format=raw,media=cdrom,readonly=on,file=http://10.0.0.1:8000/node-1.iso"
    media = ["-drive", drive, *AHCI_CD.arguments(Path())[2:]]
    with Machine(firmware, media, tmp_path, f"{firmware.name}-by-url", lan.cards, enter=lan.enter) as running:
        seconds = running.wait_for(nonce, firmware.seconds)
    print(f"{seconds:.1f} s")
    log = server.log.read_text()
    assert log.count('"HEAD /node-1.iso') >= 3  # two of them by CLIENT
    assert log.count('"GET /node-1.iso HTTP/1.1" 206') > 10
    assert "Traceback" not in log
    assert lan.requests()[-1][:2] == ["/boot?machine=node-1", ipxe()[0]]
