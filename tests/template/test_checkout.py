"""make iso where something of the host is missing: it works, or one line says what is wrong."""

import os
import subprocess
from pathlib import Path

import pytest

import boots_from
from lab.namespaces import as_user, unshare
from tests import clone

URL = "http://bootserver/boot"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a fresh one, beside which Debian's packages are here already."""
    return clone.copy(tmp_path / "checkout", packages=True)


def make_iso(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*words, "env", "-i", f"PATH={os.environ['PATH']}", "make", "iso", f"URL={URL}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_user_that_has_a_number_alone_and_no_home(checkout: Path) -> None:
    result = make_iso(checkout, *as_user(4242))
    assert result.returncode == 0, result.stderr
    assert (checkout / "boots-from.iso").read_bytes() == boots_from.bake(URL)


READ_ONLY = 'mount --bind "$PWD" "$PWD"; mount -o remount,bind,ro "$PWD"; cd "$PWD"; exec "$@"'


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "make: can't write to {checkout}: use a checkout that you may write to"),
        (
            [".venv/created"],
            "template: can't write {checkout}/build/packages/lock (read-only file system): "
            "build in a checkout that you may write to",
        ),
        (
            ["template"],
            "boots-from: can't write boots-from.iso in this directory: read-only file system; "
            "run this in a directory where you may write",
        ),
    ],
    ids=["nothing is made", "no template", "all is made"],
)
def test_read_only_checkout(checkout: Path, made: list[str], message: str) -> None:
    if made:
        subprocess.run(["make", *made], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    result = make_iso(checkout, *unshare("mount"), "sh", "-ec", READ_ONLY, "sh")
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == [message.format(checkout=checkout)]
