"""All that a release consists of: packages, the page, the pre-baked image, the bill of materials and the sums.

Two runs in two directories give the same bytes for every file.
"""

import hashlib
import os
import sys
import time
import zipfile
from pathlib import Path

import boots_from
from boots_from import image
from release import bill_of_materials
from template.build import EPOCH
from template.build_tools import BuildError, run, say
from template.paths import CHECKOUT
from template.unpinned import unpinned
from web import build_page

# The image for people who build nothing: they point this name in their LAN's DNS at their bty appliance. bty-web
# 0.77.2 answers at another port and path: docs/how-to/boot-servers.md has the line that redirects there.
PREBAKED_URL = "http://bty-server/boot"
PREBAKED = "boots-from-bty.iso"
ZIPAPP = "boots-from.pyz"
BILL = "boots-from.cdx.json"
SUMS = "SHA256SUMS"


def write(dist: Path) -> None:
    """Write the release's files into an empty directory.

    Raises:
        BuildError: the firmware is not the pinned one, a tool failed, or a package can't be had.
        BootsFromError: the template is missing or damaged.
    """
    template = image.read_template()
    if others := unpinned(template):
        raise BuildError(
            f"the template holds {'; '.join(others)}: what is released is pinned and tested: "
            "run make update-packages and make test, then release that"
        )
    # The packages' own dates; the umask is for the files that are packed.
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "TZ": "UTC"}
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(dist), str(CHECKOUT)]
    run(command, env)
    packages = sorted(map(str, dist.iterdir()))
    run([sys.executable, "-P", "-m", "twine", "check", "--strict", *packages], env)
    (dist / ZIPAPP).write_bytes(b"#!/usr/bin/env python3\n")
    _pack(next(dist.glob("*.whl")), dist / ZIPAPP)
    (dist / PREBAKED).write_bytes(boots_from.bake(PREBAKED_URL))
    (dist / build_page.NAME).write_bytes(build_page.make(template))
    (dist / BILL).write_text(bill_of_materials.make(template))
    sums = []
    for file in sorted(dist.iterdir()):
        sums.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
        say(f"{file.name:<40} {file.stat().st_size:>12,} bytes")
    (dist / SUMS).write_text("".join(sums))


def _pack(wheel: Path, zipapp: Path) -> None:
    """Append what the wheel installs to a file that begins with its interpreter, as one zip file that Python runs.

    Its start is src/__main__.py, which also older Pythons read: they get one line (zipapp, PEP 441).
    """
    date = time.gmtime(EPOCH)[:6]
    with zipfile.ZipFile(wheel) as packed, zipfile.ZipFile(zipapp, "a", zipfile.ZIP_DEFLATED) as made:
        files = {"__main__.py": (CHECKOUT / "src/__main__.py").read_bytes()}
        files |= {name: packed.read(name) for name in packed.namelist() if name.startswith("boots_from/")}
        files |= {name: (CHECKOUT / name).read_bytes() for name in ("LICENSE", "NOTICE")}
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(entry, content)
    zipapp.chmod(zipapp.stat().st_mode | (zipapp.stat().st_mode & 0o444) >> 2)
