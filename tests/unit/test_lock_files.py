"""requirements/: the locked versions of the tools of tests and releases, and no others."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from template.paths import CHECKOUT
from tests import fresh_checkout


def test_locks_contain_the_dependency_groups() -> None:
    groups = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]
    named = {name: [line for line in lines if isinstance(line, str)] for name, lines in groups.items()}
    named["dev"] += named["release"]
    for name, pins in named.items():
        lock = (CHECKOUT / "requirements" / f"{name}.txt").read_text()
        locked = re.findall(r"^(\S+==\S+)", lock, re.MULTILINE)
        assert {re.sub(r"\[.*\]", "", pin) for pin in pins} <= {re.sub(r"\[.*\]", "", pin) for pin in locked}
        assert lock.count("--hash=sha256:") >= len(locked)


def test_installed_packages_are_complete() -> None:
    """pip installs the lock without resolving dependencies, so check that the lock leaves none out."""
    subprocess.run([sys.executable, "-m", "pip", "check"], check=True)


def wheel(directory: Path, name: str, version: str, needs: str = "") -> str:
    """Write a wheel without modules; return its line in a lock file."""
    file = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.mark.parametrize(("target", "lock"), [("tools-installed", "dev"), ("release-tools", "release")])
def test_newer_release_does_not_break_lock_file(tmp_path: Path, target: str, lock: str) -> None:
    """pip 23.2 chose the newest release for `measure[toml]`, found no hash for it, and make test failed."""
    checkout = fresh_checkout.copy(tmp_path / "checkout")
    locked = wheel(tmp_path, "measure", "1.0", "Provides-Extra: toml\n")
    locked += wheel(tmp_path, "plugin", "1.0", "Requires-Dist: measure[toml]>=1.0\n")
    wheel(tmp_path, "measure", "2.0", "Provides-Extra: toml\n")
    (checkout / "requirements" / f"{lock}.txt").write_text(locked)
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    make = ["make", "--old-file=src/boots_from/template.iso"]
    subprocess.run([*make, ".venv/created", f".venv/{target}"], cwd=checkout, env={**os.environ, **index}, check=True)
    show = [str(checkout / ".venv/bin/python"), "-m", "pip", "list", "--format=freeze"]
    installed = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
    assert {"measure==1.0", "plugin==1.0"} <= set(installed)
