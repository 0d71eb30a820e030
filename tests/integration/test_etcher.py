"""The SDK of balenaEtcher writes the image to a stick and verifies it, and the stick boots.

The stick is a loop device, which needs root. Node.js and the SDK are installed below the build directory.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import boots_from
from lab import boot_matrix, build_cache, debian, npm
from lab.firmware import Firmware
from lab.machine import HOST
from lab.media import XHCI_STICK
from lab.recording_server import RecordingServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to attach a loop device as the stick"),
]

OLD_CONTENT = b"old data" * 2**23  # 64 MiB, the whole stick before writing


@pytest.fixture(scope="session")
def etcher() -> list[str]:
    """Return the command that runs etcher.js; the SDK is downloaded once."""
    node = npm.node()
    libraries = debian.unpack(debian.COMPILER)

    def make(root: Path) -> None:
        npm.install("etcher", root)
        # The other modules come prebuilt.
        module = root / "node_modules" / "@ronomon" / "direct-io"
        builtin, libc = libraries / "usr" / "lib" / "x86_64-linux-gnu" / "tcc", libraries / "usr" / "include"
        headers = [builtin / "include", libc / "x86_64-linux-gnu", libc, node / "include" / "node"]
        tcc = [
            *debian.program(libraries, "usr/bin/tcc"),
            f"-B{builtin}",
            "-nostdinc",
            *(f"-I{folder}" for folder in headers),
        ]
        binding = str(module / "binding.node")
        subprocess.run([*tcc, "-shared", "-nostdlib", "-o", binding, str(module / "binding.c")], check=True)
        subprocess.run([*debian.program(libraries, "usr/bin/patchelf"), "--clear-execstack", binding], check=True)

    made_from = "".join(file.read_text() for file in [*npm.lock("etcher"), debian.COMPILER])
    modules = build_cache.directory("etcher-sdk", made_from, make) / "node_modules"
    run = debian.program(libraries, str(node / "bin" / "node"))
    # Debian 12's libstdc++ is too old for one of the modules.
    return ["env", f"NODE_PATH={modules}", *run, str(Path(__file__).with_name("etcher.js"))]


@contextmanager
def plugged_in(stick: Path) -> Iterator[str]:
    """Attach a file as a block device, and yield the name of the device."""
    attach = ["losetup", "--find", "--show", str(stick)]
    device = subprocess.run(attach, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def write_and_verify(etcher: list[str], image: bytes, stick: Path, *changed: int) -> Any:
    """Write an image to a stick that is full of old data, and verify it; return the report of the SDK.

    Args:
        etcher: the command that runs etcher.js.
        image: the image.
        stick: the file that is attached as the stick.
        changed: at most one offset, of a byte of the stick to change between writing and verifying.
    """
    iso = stick.with_name("boots-from.iso")
    iso.write_bytes(image)
    stick.write_bytes(OLD_CONTENT)
    with plugged_in(stick) as device:
        command = [*etcher, str(iso), device, *map(str, changed)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def test_written_stick_verifies_and_boots(
    etcher: list[str], firmware: Firmware, recording_server: RecordingServer, tmp_path: Path
) -> None:
    image = boots_from.bake(f"http://{HOST}:{recording_server.port}/boot")
    stick = tmp_path / "stick.img"
    reported = write_and_verify(etcher, image, stick)
    # Without a partition table balenaEtcher warns that the image may not boot.
    assert [partition["type"] for partition in reported["table"]["partitions"]] == [0xEF]
    assert reported["steps"] == ["flashing", "verifying"]
    assert (reported["bytesWritten"], reported["errors"]) == (len(image), [])
    written = stick.read_bytes()
    assert len(written) == len(OLD_CONTENT)
    assert written.startswith(image)
    assert written.endswith(OLD_CONTENT[len(image) :])
    name = f"etcher-{firmware.name}"
    seconds = boot_matrix.boot(firmware, XHCI_STICK.arguments(stick), recording_server, "/boot", tmp_path, name)
    print(f"{firmware.name}: {seconds:.1f} s")


def test_changed_last_byte_fails_verification(etcher: list[str], tmp_path: Path) -> None:
    image = boots_from.bake("http://bty-server/boot")
    reported = write_and_verify(etcher, image, tmp_path / "stick.img", len(image) - 1)
    assert "Checksum does not match" in "".join(reported["errors"])
