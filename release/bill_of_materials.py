"""The bill of materials: which firmware is in the image, file by file, in CycloneDX 1.6.

Made from the image's own list and its own bytes; the packages that the list names say which source they are of.

Sources: CycloneDX 1.6 (ECMA-424), the package URL types "deb" and "pypi", deb-control(5).
"""

import hashlib
import json
import re
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boots_from
from boots_from import image
from template import apt, contents, image_map, mark, overrides
from template.apt import Package
from template.build import EPOCH
from template.build_tools import BuildError, run
from template.overrides import Override
from template.paths import CACHE, PACKAGES
from template.pins import Pin, find, load_pins

# By Debian's source package: the licence of what is in the image, in SPDX's terms. NOTICE says more.
LICENCES = {
    "ipxe": "GPL-2.0-or-later",
    "syslinux": "GPL-2.0-or-later",
    "shim": "BSD-2-Clause",
}

# The programs, each once: the boot code, the packages' files and this project's own.
_MBR = "MBR"
_PROGRAMS = [row for row in contents.ROWS if row.packaged or row.source in contents.MARKS.values()]
_SOURCES = {_MBR: contents.MBR, **{row.path: row.source for row in _PROGRAMS}}


def make(template: bytes) -> str:
    """Return the bill of the image, as JSON.

    Args:
        template: the image that is described.

    Raises:
        BuildError: a package of the image's list can't be had or read, its licence is not known here, or the
            image holds another program than it, or other files of one's own than packages.toml names.
        TemplateError: the image holds no list of its firmware.
    """
    lines = image.packages(template)
    packages = apt.fetch([_pin(line) for line in lines], CACHE)
    listed = [line.split()[3] for line in lines]
    if others := [package.name for package, sha256 in zip(packages, listed, strict=True) if package.sha256 != sha256]:
        raise BuildError(
            f"the image's own {', '.join(others)} can't be had any more: run make update-packages, and release that"
        )
    files = overrides.load(PACKAGES)
    if image.overrides(template) != [one.line for one in files]:
        raise BuildError(f"the image's own files are not those of {PACKAGES.name}: run make template")
    replaced = {one.replaces for one in files}
    programs = _programs(template)
    purl = f"pkg:pypi/boots-from@{boots_from.__version__}"
    components = [
        *(_component(package, programs, replaced) for package in packages),
        *(_own_component(one, programs) for one in files),
        _mark_component(programs),
    ]
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH)),
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": "boots-from",
                "version": boots_from.__version__,
                "purl": purl,
                "licenses": [{"license": {"id": "GPL-2.0-or-later"}}],
                "components": [_file("template.iso", template)],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": purl, "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    # A number that is the content's own: the same bill has the same.
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill)).urn
    return json.dumps(bill, indent=2) + "\n"


def _pin(line: str) -> Pin:
    """Return the pin of what is in the image, which may be newer than the pinned version."""
    name, version, suite, sha256 = line.split()
    pin = find(load_pins(PACKAGES), name, suite)
    if not pin:
        raise BuildError(f"the image has {name} of {suite}, which {PACKAGES.name} does not pin: run make template")
    return replace(pin, version=version, sha256=sha256)


def _programs(template: bytes) -> dict[str, bytes]:
    """Return what begins in the image where each program is, by the name that it has in _SOURCES."""
    with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
        file = Path(work, "template.iso")
        file.write_bytes(template)
        starts = {part.file: part.start for part in image_map.ranges(file)}
    return {path: template[starts.get(path, 0) :] for path in _SOURCES}


def _component(package: Package, programs: dict[str, bytes], replaced: set[str]) -> dict[str, Any]:
    """Return a package's entry, with the files of it that are in the image; others stand for those in `replaced`."""
    source, source_version = source_of(package)
    if source not in LICENCES:
        raise BuildError(f"no licence is known for the source package {source}: look it up and add it to LICENCES")
    name, _, architecture = package.name.partition(":")
    qualifiers = f"arch={architecture or 'all'}&distro={package.suite}"
    purl = f"pkg:deb/debian/{name}@{quote(package.version, safe='~')}?{qualifiers}"
    with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
        root = Path(work)
        apt.unpack(package, root)
        files = [
            _program(path, (root / packed_as).read_bytes(), programs, f"{package.name} {package.version}'s")
            for path, packed_as in _SOURCES.items()
            if (root / packed_as).is_file() and packed_as not in replaced
        ]
    return {
        "type": "firmware",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "licenses": [{"license": {"id": LICENCES[source]}}],
        "properties": [
            {"name": "debian:source", "value": source},
            {"name": "debian:source-version", "value": source_version},
        ],
        "components": [{**file, "bom-ref": f"{purl}#{quote(file['name'])}"} for file in files],
    }


def _own_component(one: Override, programs: dict[str, bytes]) -> dict[str, Any]:
    """Return the entry of a file of one's own, with the files of the image that it is."""
    content = one.path.read_bytes()
    ref = f"own:{one.replaces}"
    files = [_program(path, content, programs, one.file) for path, source in _SOURCES.items() if source == one.replaces]
    return {
        **_file(one.path.name, content),
        "type": "firmware",
        "bom-ref": ref,
        "licenses": [{"expression": one.licence}],
        "components": [{**file, "bom-ref": f"{ref}#{quote(file['name'])}"} for file in files],
    }


def _mark_component(programs: dict[str, bytes]) -> dict[str, Any]:
    """Return the entry of the mark, which is this project's own code, with its file for each machine."""
    machines = {source: machine for machine, source in contents.MARKS.items()}
    files = [
        _program(path, mark.program(machines[source]), programs, "this version's")
        for path, source in _SOURCES.items()
        if source in machines
    ]
    return {
        "type": "firmware",
        "bom-ref": "mark",
        "name": "boots-from-mark",
        "version": boots_from.__version__,
        "licenses": [{"license": {"id": "GPL-2.0-or-later"}}],
        "components": [{**file, "bom-ref": f"mark#{quote(file['name'])}"} for file in files],
    }


def _program(path: str, wanted: bytes, programs: dict[str, bytes], whose: str) -> dict[str, Any]:
    """Return the entry of a file of the image; raise BuildError if it is not the wanted one."""
    found = programs[path][: len(wanted)]
    # Into isolinux.bin the table of the El Torito entry is written, which it finds the rest of itself by.
    table = slice(8, 64) if path == contents.ISOLINUX else slice(0, 0)
    if found[: table.start] + found[table.stop :] != wanted[: table.start] + wanted[table.stop :]:
        raise BuildError(f"the image's {path} is not {whose}: build it anew")
    return _file(path, found)


def source_of(package: Package) -> tuple[str, str]:
    """Return the name and the version of the source package to ask Debian for.

    A package that only adds a signature names in Built-Using what it was made from.
    """
    fields = run(["dpkg-deb", "-f", str(package.deb), "Package", "Version", "Source", "Built-Using"])
    values = dict(line.split(": ", 1) for line in fields.splitlines())
    built_using = re.fullmatch(r"(\S+) \(= (\S+)\)", values.get("Built-Using", ""))
    if built_using:
        return built_using[1], built_using[2]
    name, _, version = values.get("Source", values["Package"]).partition(" ")
    return name, version.strip("()") or values["Version"]


def _file(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": digest}]}
