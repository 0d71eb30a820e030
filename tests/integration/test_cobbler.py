"""Cobbler, from PyPI. nginx and gunicorn stand in for Apache and mod_wsgi."""

import shutil
from pathlib import Path

import pytest

from lab import pypi
from lab.firmware import Firmware
from lab.lan import Lan
from tests.boot.conftest import BootFrom
from tests.boot.test_local_disk import installed_disk
from tests.integration import debian_linux

pytestmark = pytest.mark.integration

URL = "http://bty-server/cblr/svc/op/ipxe/mac/${mac}"
# The same paths as in the cobbler.conf that Cobbler has for Apache.
NGINX = """
location /cblr/svc/ { proxy_pass http://127.0.0.1:8000; }
location /cobbler_api { proxy_pass http://127.0.0.1:25151/; }
location /images/ { alias /srv/tftpboot/grub/images/; }
"""
# mod_wsgi has the URI of the request in REQUEST_URI, gunicorn in RAW_URI.
WSGI = """
from services import application

def cobbler(environ, start_response):
    return application({**environ, "REQUEST_URI": environ["RAW_URI"]}, start_response)
"""
# Directories that Cobbler needs and its wheel lacks, because wheels have no empty ones.
EMPTY_DIRECTORIES = [
    *(f"var/lib/cobbler/collections/{items}" for items in ("distros", "images", "profiles", "systems", "menus")),
    *("var/tmp", "var/lib/cobbler/loaders", "var/log/cobbler", "var/www/cobbler/images", "var/www/cobbler/links"),
    *("srv/tftpboot/grub/system", "srv/tftpboot/grub/system_link", "srv/tftpboot/images", "srv/tftpboot/pxelinux.cfg"),
]


@pytest.fixture
def cobbler(lan: Lan, card: int) -> Path:
    """Start Cobbler on the LAN, with a system that has the MAC address of the card; return the path of its command."""
    environment = pypi.environment("cobbler")
    files = next(environment.glob("lib/python3*/site-packages"))  # has the files for /etc, /usr and /var
    shutil.copytree(files / "etc", lan.work / "etc", dirs_exist_ok=True)
    shutil.copytree(files / "var", lan.work / "var")
    for folder in EMPTY_DIRECTORIES:
        (lan.work / folder).mkdir(parents=True)
    with (lan.work / "etc" / "passwd").open("a") as passwd:
        passwd.write("wwwrun:x:30:8::/:/bin/false\n")
    settings = lan.work / "etc" / "cobbler" / "settings.yaml"
    settings.write_text(settings.read_text().replace("server: 127.0.0.1", f"server: 10.0.{card}.1"))
    lan.run("mount", "-t", "overlay", "none", "-o", f"lowerdir={files}/usr/share:/usr/share", "/usr/share")
    for folder in ("var", "srv"):
        lan.run("mount", "--bind", str(lan.work / folder), f"/{folder}")
    (lan.work / "wsgi.py").write_text(WSGI)
    programs = environment / "bin"
    options = ("--access-logfile=-", "--no-control-socket")
    path = f"--pythonpath={lan.work},/var/www/cobbler/svc"
    lan.start(programs / "gunicorn", path, "wsgi:cobbler", *options, name="gunicorn").wait_for("Booting")
    lan.start(programs / "cobblerd", "-F", name="cobblerd").wait_for("startup completed", 60)
    lan.http(NGINX)
    command = programs / "cobbler"
    for arguments in (
        (
            "distro",
            "--name=linux",
            f"--kernel={debian_linux.kernel()}",
            f"--initrd={debian_linux.initrd()}",
            "--arch=x86_64",
        ),
        ("profile", "--name=profile", "--distro=linux", "--kernel-options=console=ttyS0"),
        ("system", "--name=machine", "--profile=profile", f"--mac={lan.mac(card)}", "--netboot-enabled=1"),
    ):
        lan.run(str(command), arguments[0], "add", *arguments[1:])
    return command


def test_new_machine_starts_installer(cobbler: Path, lan: Lan, boot_from: BootFrom, card: int) -> None:
    booted = boot_from(URL)
    booted.wait_for("Linux version", 120)
    booted.wait_for("console=ttyS0", 30)
    assert f"GET /cblr/svc/op/ipxe/mac/{lan.mac(card)}" in (lan.work / "gunicorn.log").read_text()


def test_installed_machine_boots_local_disk(
    cobbler: Path, lan: Lan, boot_from: BootFrom, card: int, firmware: Firmware, tmp_path: Path
) -> None:
    # The kickstart and preseed snippets of Cobbler make this request at the end of an installation.
    lan.run("curl", "--silent", "--show-error", "--fail", f"http://10.0.{card}.1/cblr/svc/op/nopxe/system/machine")
    assert "Netboot Enabled                : False" in lan.run(str(cobbler), "system", "report", "--name=machine")
    boot_from(URL, *installed_disk(tmp_path, firmware)).wait_for("the installed disk has booted", 90)
