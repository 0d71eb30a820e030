"""The bill of materials: the packages in the image and their files, in CycloneDX 1.6.

It is made from the package list and the bytes of the image. The control data of each package names its source package.

Sources: CycloneDX 1.6 (ECMA-424); the package URL types "deb" and "pypi"; deb-control(5).
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

# SPDX licence of the files in the image, by Debian source package. NOTICE has the details.
LICENCES = {
    "ipxe": "GPL-2.0-or-later",
    "syslinux": "GPL-2.0-or-later",
    "shim": "BSD-2-Clause",
}

# The programs in the image: the MBR boot code, files of packages and the mark. Path in the image to source.
_MBR = "MBR"
_PROGRAMS = [row for row in contents.ROWS if row.packaged or row.source in contents.MARKS.values()]
_SOURCES = {_MBR: contents.MBR, **{row.path: row.source for row in _PROGRAMS}}


def make(template: bytes) -> str:
    """Return the bill of materials of an image, as JSON.

    Args:
        template: the image.

    Raises:
        BuildError: a package in the list of the image can't be downloaded or read, or has no known licence; or a
            program in the image differs from its package; or the image has other overrides than packages.toml.
        TemplateError: the image has no package list.
    """
    lines = image.packages(template)
    pins = load_pins(PACKAGES)
    packages = apt.fetch([_pin(line, pins) for line in lines], CACHE)
    listed = [line.split()[3] for line in lines]
    if others := [package.name for package, sha256 in zip(packages, listed, strict=True) if package.sha256 != sha256]:
        raise BuildError(
            f"the archive no longer has the {', '.join(others)} of the template: "
            "run make update-packages, then make release"
        )
    custom = overrides.load(PACKAGES)
    if image.overrides(template) != [override.line for override in custom]:
        raise BuildError(f"the template has other [[override]] files than {PACKAGES.name}: run make template")
    replaced = {override.replaces for override in custom}
    programs = _programs(template)
    purl = f"pkg:pypi/boots-from@{boots_from.__version__}"
    components = [
        *(_package_component(package, programs, replaced) for package in packages),
        *(_override_component(override, programs) for override in custom),
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
    # Derived from the content, so that equal bills have equal serial numbers.
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill)).urn
    return json.dumps(bill, indent=2) + "\n"


def _pin(line: str, pins: list[Pin]) -> Pin:
    """Return a pin for a line in the package list of the image, which may be newer than packages.toml."""
    name, version, suite, sha256 = line.split()
    pin = find(pins, name, suite)
    if not pin:
        raise BuildError(f"the template has {name} from {suite}, but {PACKAGES.name} has not: run make template")
    return replace(pin, version=version, sha256=sha256)


def _programs(template: bytes) -> dict[str, bytes]:
    """Return the bytes of the image from the start of each program on, by its key in _SOURCES."""
    with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
        file = Path(work, "template.iso")
        file.write_bytes(template)
        starts = {part.file: part.start for part in image_map.ranges(file)}
    return {path: template[starts.get(path, 0) :] for path in _SOURCES}


def _package_component(package: Package, programs: dict[str, bytes], replaced: set[str]) -> dict[str, Any]:
    """Return the component for a package, with its files that are in the image, except those in `replaced`."""
    source, source_version = source_of(package)
    if source not in LICENCES:
        raise BuildError(f"unknown licence of the source package {source}: look it up and add it to LICENCES")
    name, _, architecture = package.name.partition(":")
    qualifiers = f"arch={architecture or 'all'}&distro={package.suite}"
    purl = f"pkg:deb/debian/{name}@{quote(package.version, safe='~')}?{qualifiers}"
    with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
        root = Path(work)
        apt.unpack(package, root)
        files = [
            _program(path, (root / name_in_package).read_bytes(), programs, f"{package.name} {package.version}")
            for path, name_in_package in _SOURCES.items()
            if (root / name_in_package).is_file() and name_in_package not in replaced
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


def _override_component(override: Override, programs: dict[str, bytes]) -> dict[str, Any]:
    """Return the component for a custom file, with the files of the image that it replaces."""
    content = override.path.read_bytes()
    ref = f"override:{override.replaces}"
    paths = [path for path, source in _SOURCES.items() if source == override.replaces]
    files = [_program(path, content, programs, override.file) for path in paths]
    return {
        **_file(override.path.name, content),
        "type": "firmware",
        "bom-ref": ref,
        "licenses": [{"expression": override.licence}],
        "components": [{**file, "bom-ref": f"{ref}#{quote(file['name'])}"} for file in files],
    }


def _mark_component(programs: dict[str, bytes]) -> dict[str, Any]:
    """Return the component for the mark, which is code of this project, with its file for each architecture."""
    architectures = {source: buildarch for buildarch, source in contents.MARKS.items()}
    files = [
        _program(path, mark.program(architectures[source]), programs, "template/mark.py")
        for path, source in _SOURCES.items()
        if source in architectures
    ]
    return {
        "type": "firmware",
        "bom-ref": "mark",
        "name": "boots-from-mark",
        "version": boots_from.__version__,
        "licenses": [{"license": {"id": "GPL-2.0-or-later"}}],
        "components": [{**file, "bom-ref": f"mark#{quote(file['name'])}"} for file in files],
    }


def _program(path: str, expected: bytes, programs: dict[str, bytes], source: str) -> dict[str, Any]:
    """Return the component for a file in the image; raise BuildError if it differs from its source."""
    found = programs[path][: len(expected)]
    # xorriso writes the boot info table into isolinux.bin.
    table = slice(8, 64) if path == contents.ISOLINUX else slice(0, 0)
    if found[: table.start] + found[table.stop :] != expected[: table.start] + expected[table.stop :]:
        raise BuildError(f"{path} in the template differs from the file in {source}: run make template")
    return _file(path, found)


def source_of(package: Package) -> tuple[str, str]:
    """Return name and version of the source package in the Debian archive.

    A package that only adds a signature names in Built-Using the source package of the signed file.
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
