"""Commands and programs in the documentation work as written."""

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
from tests.boot.conftest import BootFrom


@pytest.mark.thorough("uefi")
def test_documented_web_app_boots_machine(lan: Lan, boot_from: BootFrom) -> None:
    page = (CHECKOUT / "docs/how-to/boot-servers.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    app = lan.work / "boot_app.py"
    app.write_text(code[1])
    lan.segment()
    server = lan.start(sys.executable, app, name="app")
    booted = boot_from("http://boot.example.com:8000/boot?mac=${mac}")
    booted.wait_for(f"Hello {lan.mac(0)}, you asked for /boot?mac={lan.mac(0)}", 30)
    assert "GET /boot?mac=" in server.log.read_text()


def test_tutorial_commands_boot_machine(tmp_path: Path) -> None:
    """Runs all shell blocks of the page in order, in a separate network namespace."""
    page = (CHECKOUT / "docs/tutorial.md").read_text()
    script = tmp_path / "tutorial.sh"
    script.write_text("\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)))
    command = tmp_path / "bin/boots-from"  # the page suggests an alias, which scripts ignore
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec python3 "{CHECKOUT}/src" "$@"\n')
    command.chmod(0o755)
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    tutorial = [*unshare("net"), "sh", "-c", f"ip link set lo up && exec bash -e {script.name}"]
    documented = re.search(r"and then:\n\n((?:    .*\n)+)", page)
    assert documented
    expected = [line.strip() for line in documented[1].splitlines()]
    screen = tmp_path / "screen.txt"
    with screen.open("wb") as output:
        running = subprocess.Popen(
            tutorial,
            cwd=tmp_path,
            env=env,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 300
        # The last line may be incomplete, because the serial port of the machine is slow.
        while not all(line in (shown := screen.read_text(errors="replace")) for line in expected):
            assert running.poll() is None and time.monotonic() < end, shown
            time.sleep(0.2)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert "GET /boot.ipxe" in shown


@pytest.mark.thorough("uefi")
def test_prebaked_image_finds_server_by_dns(lan: Lan, boot_from: BootFrom) -> None:
    lan.segment()
    (lan.www / "boot").write_text("#!ipxe\necho Hello, bty\nsleep 600\n")
    lan.http()
    boot_from(PREBAKED_URL).wait_for("Hello, bty", 30)
