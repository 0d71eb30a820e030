"""The bill of materials: which firmware is in the image, file by file, in CycloneDX 1.6.

Made from the packages themselves; nothing is fetched that the template was not made from.

Sources: CycloneDX 1.6 (ECMA-424), the package URL types "deb" and "pypi", deb-control(5).
"""

import hashlib
import json
import re
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boots_from
from template import archive
from template.__main__ import CACHE, EPOCH, FIRMWARE, SOURCES
from template.archive import Package
from template.tool import BuildError, run

# By Debian's source package: the licence of what is in the image, in SPDX's terms. NOTICE says more.
LICENCES = {
    "ipxe": "GPL-2.0-or-later",
    "syslinux": "GPL-2.0-or-later",
    "shim": "BSD-2-Clause",
}


def make(template: bytes) -> str:
    """Return the bill of the image, as JSON.

    Args:
        template: the image that is described.

    Raises:
        BuildError: a package can't be had or read, or its licence is not known here.
    """
    packages = archive.fetch(archive.load_pins(FIRMWARE), CACHE)
    purl = f"pkg:pypi/boots-from@{boots_from.__version__}"
    components = [_component(package) for package in packages]
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


def _component(package: Package) -> dict[str, Any]:
    """Return a package's entry, with the files of it that are in the image."""
    source, source_version = source_of(package)
    if source not in LICENCES:
        raise BuildError(f"no licence is known for the source package {source}: look it up and add it to LICENCES")
    name, _, architecture = package.name.partition(":")
    qualifiers = f"arch={architecture or 'all'}&distro={package.suite}"
    purl = f"pkg:deb/debian/{name}@{quote(package.version, safe='~')}?{qualifiers}"
    with tempfile.TemporaryDirectory(prefix="boots-from-") as work:
        root = Path(work)
        archive.unpack(package, root)
        files = [_file(path, (root / file).read_bytes()) for path, file in SOURCES.items() if (root / file).is_file()]
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
