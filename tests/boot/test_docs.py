"""What the pages tell people to do works as it is written there."""

import re
import sys

from tests.boot.conftest import Boot
from tests.boot.lan import Lan
from tests.boot.machine import CHECKOUT


def test_ten_line_web_app(lan: Lan, boot: Boot) -> None:
    page = (CHECKOUT / "docs" / "servers.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    app = lan.work / "boot_app.py"
    app.write_text(code[1])
    lan.segment()
    server = lan.start(sys.executable, app, name="app")
    booted = boot("http://bty-server:8000/boot?mac=${mac}")
    booted.wait_for(f"Hello {lan.mac(0)}, you asked for /boot?mac={lan.mac(0)}", 30)
    assert "GET /boot?mac=" in server.log.read_text()
