"""Writes the release files: Python packages, zipapp, web page, pre-baked image, bill of materials and checksums.

Builds in different directories give the same bytes for every file.
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
from template.build_tools import BuildError, print_step, run
from template.paths import CHECKOUT
from template.unpinned import unpinned
from web import build_page

# The URL of the image for users of a bty appliance, who give the appliance this name in the DNS of their LAN. bty-web
# listens on another port and path; docs/how-to/boot-servers.md has the configuration line that redirects there.
PREBAKED_URL = "http://bty-server/boot"
PREBAKED = "boots-from-bty.iso"
ZIPAPP = "boots-from.pyz"
BILL = "boots-from.cdx.json"
SUMS = "SHA256SUMS"


def write(dist: Path) -> None:
    """Write the release files into an empty directory.

    Args:
        dist: the directory.

    Raises:
        BuildError: the template does not have the pinned packages, a tool failed, or a package can't be downloaded.
        BootsFromError: the template is missing or damaged.
    """
    template = image.read_template()
    if others := unpinned(template):
        raise BuildError(
            f"the template has packages that are not pinned: {'; '.join(others)}: "
            "run make update-packages and make test, then make release"
        )
    # Fixed timestamps for the Python packages.
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
        print_step(f"{file.name:<40} {file.stat().st_size:>12,} bytes")
    (dist / SUMS).write_text("".join(sums))


def _pack(wheel: Path, zipapp: Path) -> None:
    """Append the files that the wheel installs to a file with a "#!" line, as a zip file that Python runs (PEP 441).

    The entry point is src/__main__.py, which older Python versions can parse, so that they print a one-line error.
    """
    date = time.gmtime(EPOCH)[:6]
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(zipapp, "a", zipfile.ZIP_DEFLATED) as target:
        files = {"__main__.py": (CHECKOUT / "src/__main__.py").read_bytes()}
        files |= {name: source.read(name) for name in source.namelist() if name.startswith("boots_from/")}
        files |= {name: (CHECKOUT / name).read_bytes() for name in ("LICENSE", "NOTICE")}
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    zipapp.chmod(zipapp.stat().st_mode | (zipapp.stat().st_mode & 0o444) >> 2)
