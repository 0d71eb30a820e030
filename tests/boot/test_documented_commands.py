"""What the pages tell people to do works as it is written there."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.lan import Lan
from lab.namespaces import unshare
from release.artifacts import PREBAKED_URL
from template.paths import CHECKOUT
from tests.boot.conftest import Boot


@pytest.mark.thorough("uefi")
def test_ten_line_web_app(lan: Lan, boot: Boot) -> None:
    page = (CHECKOUT / "docs/how-to/boot-servers.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    app = lan.work / "boot_app.py"
    app.write_text(code[1])
    lan.segment()
    server = lan.start(sys.executable, app, name="app")
    booted = boot("http://boot.example.com:8000/boot?mac=${mac}")
    booted.wait_for(f"Hello {lan.mac(0)}, you asked for /boot?mac={lan.mac(0)}", 30)
    assert "GET /boot?mac=" in server.log.read_text()


def test_tutorial(tmp_path: Path) -> None:
    """Every shell block of the page, one after the other, in a network of its own."""
    page = (CHECKOUT / "docs/tutorial.md").read_text()
    script = tmp_path / "tutorial.sh"
    script.write_text("\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)))
    command = tmp_path / "bin/boots-from"  # a script does not see the user's alias
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec python3 "{CHECKOUT}/src" "$@"\n')
    command.chmod(0o755)
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    words = [*unshare("net"), "sh", "-c", f"ip link set lo up && exec bash -e {script.name}"]
    promised = re.search(r"and then:\n\n((?:    .*\n)+)", page)
    assert promised
    awaited = [line.strip() for line in promised[1].splitlines()]
    screen = tmp_path / "screen.txt"
    with screen.open("wb") as output:
        running = subprocess.Popen(
            words, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        end = time.monotonic() + 300
        # Its last line may be half drawn: the machine's serial port is slow.
        while not all(line in (shown := screen.read_text(errors="replace")) for line in awaited):
            assert running.poll() is None and time.monotonic() < end, shown
            time.sleep(0.2)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert "GET /boot.ipxe" in shown


@pytest.mark.thorough("uefi")
def test_prebaked_image_finds_its_server_by_the_lans_dns(lan: Lan, boot: Boot) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\necho Hello, bty\nsleep 600\n")
    lan.http()
    boot(PREBAKED_URL).wait_for("Hello, bty", 30)
