"""make iso where something of the host is missing: it works, or one line says what is wrong."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import boots_from
from lab.namespaces import as_user, unshare
from template.paths import CHECKOUT, TEMPLATE
from tests import fresh_checkout

URL = "http://bootserver/boot"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a fresh one, beside which Debian's packages are here already."""
    return fresh_checkout.copy(tmp_path / "checkout", packages=True)


def make_iso(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*words, "env", "-i", f"PATH={os.environ['PATH']}", "make", "iso", f"URL={URL}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_user_that_has_a_number_alone_and_no_home(checkout: Path) -> None:
    result = make_iso(checkout, *as_user(4242))
    assert result.returncode == 0, result.stderr
    assert (checkout / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_path_with_odd_characters(tmp_path: Path) -> None:
    place = fresh_checkout.copy(tmp_path / "a b $(c) `d` 'e' \"f\" #g; h:i,j)k \u00e9 %s \\n", packages=True)
    result = make_iso(place)
    assert result.returncode == 0, result.stderr
    assert (place / "boots-from.iso").read_bytes() == boots_from.bake(URL)


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_checkout_that_is_copied_or_moved_runs_its_own_code(checkout: Path, tmp_path: Path, how: str) -> None:
    """With all that was made there before."""
    subprocess.run(["make", "template", ".venv/created"], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    other = tmp_path / "other"
    subprocess.run(["cp", "-a" if how == "copied" else "-al", checkout, other], check=True)
    if how == "moved":
        subprocess.run(["rm", "-r", checkout], check=True)
    command_line = other / "src/boots_from/cli.py"
    text = command_line.read_text()
    command_line.unlink()  # it may be a hard link
    command_line.write_text(text.replace('OUTPUT = "boots-from.iso"', 'OUTPUT = "other.iso"'))
    result = make_iso(other)
    assert result.returncode == 0, result.stderr
    assert (other / "other.iso").read_bytes() == boots_from.bake(URL)
    subprocess.run(["make", ".venv/created"], cwd=other, check=True, stdout=subprocess.DEVNULL)
    code = "import boots_from, template; print(boots_from.__file__, template.__file__)"
    python = [str(other / ".venv/bin/python"), "-P", "-c", code]
    found = subprocess.run(python, cwd="/", check=True, capture_output=True, text=True).stdout
    assert found == f"{other}/src/boots_from/__init__.py {other}/template/__init__.py\n"


def test_environment_is_made_again_for_another_python(checkout: Path) -> None:
    """And only then. After an upgrade of the host the old one lacks its modules."""
    make = ["make", ".venv/created"]
    subprocess.run(make, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    assert subprocess.run([*make, "--question"], cwd=checkout, check=False).returncode == 0
    made_for = checkout / ".venv/created"
    place, _ = made_for.read_text().split("\n", 1)
    made_for.write_text(f"{place}\n3.11.0 (main)\n")
    (checkout / ".venv/left-over").touch()
    subprocess.run(make, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    assert not (checkout / ".venv/left-over").exists()
    assert subprocess.run([*make, "--question"], cwd=checkout, check=False).returncode == 0


def test_make_iso_needs_no_environment(checkout: Path) -> None:
    assert make_iso(checkout).returncode == 0
    assert not (checkout / ".venv").exists()


def older_python(directory: Path) -> str:
    """Return a PATH on which python3 says, as to its version, what Python 3.10 does."""
    real = shutil.which("python3")
    directory.mkdir()
    fake = directory / "python3"
    code = "import sys, collections; v = collections.namedtuple('V', 'major minor micro releaselevel serial');"
    code += "sys.version_info, sys.version = v(3, 10, 12, 'final', 0), '3.10.12 (main)'"
    (directory / "sitecustomize.py").write_text(code)
    fake.write_text(f"""#!/bin/sh
test "$1" = -V && exec echo Python 3.10.12
test "$1" = -P && exec echo "Unknown option: -P"
test "$1" = -I && shift
PYTHONPATH={directory} exec {real} "$@"
""")
    fake.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.parametrize("lacking", [False, True], ids=["nothing is missing", "a package is missing"])
def test_older_python(checkout: Path, tmp_path: Path, lacking: bool) -> None:
    """Whatever else the host has, and before anything is installed."""
    path = older_python(tmp_path / "bin")
    tools = checkout / "template/install-dependencies"
    if lacking:
        tools.write_text(tools.read_text().replace("need xorriso command -v xorriso", "need xorriso false"))
    command = ["env", "-i", f"PATH={path}", "make", "iso", f"URL={URL}"]
    result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        "This needs Python 3.11 or newer; python3 here is Python 3.10.12: build on Debian 12 or newer."
    )
    assert "Installing" not in result.stdout
    shutil.copy(TEMPLATE, checkout / "src/boots_from")
    result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[0] == "boots-from: error: Python 3.10.12 is too old: use Python 3.11 or newer"


def build(checkout: Path, mount: str, *before: str, after: str = ":") -> subprocess.CompletedProcess[str]:
    """Make the template, after a shell command that mounts something, and before another one."""
    script = f'{mount}; cd "$PWD"; make --silent template || {{ status=$?; {after}; exit $status; }}'
    command = [*before, *unshare("mount"), "sh", "-ec", script]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", ["1m", "40m", "50m"])
def test_full_temporary_directory(checkout: Path, tmp_path: Path, size: str) -> None:
    """While packages are unpacked, and while the tools write the image."""
    work = tmp_path / "work"
    work.mkdir()
    result = build(checkout, f'mount -t tmpfs -o size={size} none "{work}"', "env", f"TMPDIR={work}")
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        f"template: no space left in {work} (the build takes about 100 MB): "
        "free some, or name another directory in TMPDIR"
    )
    assert not (checkout / "src/boots_from/template.iso").exists()


def test_full_disk_where_the_template_goes(checkout: Path, tmp_path: Path) -> None:
    """Nothing half written is left there."""
    place = checkout / "src/boots_from"
    before = shutil.copytree(place, tmp_path / "before")
    mount = f'mount -t tmpfs -o size=9m none "{place}"; cp -a "{before}/." "{place}"'
    result = build(checkout, mount, after=f'ls -A "{place}"')
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        f"template: no space left in {place} (the build takes about 100 MB): free some"
    )
    assert "boot.ipxe" in result.stdout
    assert "template.iso" not in result.stdout


def test_two_builds_at_a_time_each_put_a_whole_template_there(checkout: Path) -> None:
    command = ["python3", "-P", "-m", "template"]
    env = {**os.environ, "PYTHONPATH": "src:."}
    builds = [
        subprocess.Popen(command, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    wanted = TEMPLATE.read_bytes()
    for running in builds:
        said, _ = running.communicate()
        assert running.returncode == 0, said
        assert f"image {len(wanted):>10,} bytes" in said
    assert (checkout / "src/boots_from/template.iso").read_bytes() == wanted
    assert not list((checkout / "src/boots_from").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_build_that_is_ended_leaves_nothing(checkout: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ended when it has written the image beside its name, and before it has that name."""
    ending = "import os, signal, pathlib; pathlib.Path.chmod = lambda *_: os.kill(os.getpid(), signal.{})"
    (tmp_path / "sitecustomize.py").write_text(ending.format(number.name))
    env = {**os.environ, "PYTHONPATH": f"src:.:{tmp_path}"}
    result = subprocess.run(
        ["python3", "-P", "-m", "template"], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "SHA-256" not in result.stdout
    assert not list((checkout / "src/boots_from").glob("*template*"))
    assert not list((checkout / "src/boots_from").glob(".*"))


def test_part_of_a_template_is_in_neither_git_nor_a_wheel() -> None:
    """One whose build was killed."""
    name = "src/boots_from/.template.iso.abc_1234.part"
    subprocess.run(["git", "check-ignore", "--quiet", name], cwd=CHECKOUT, check=True)


READ_ONLY = 'mount --bind "$PWD" "$PWD"; mount -o remount,bind,ro "$PWD"; cd "$PWD"; exec "$@"'


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "make: can't write to {checkout}: use a checkout that you may write to"),
        (
            ["template"],
            "boots-from: error: cannot write boots-from.iso in this directory: read-only file system; "
            "run boots-from in a directory that you can write to",
        ),
    ],
    ids=["nothing is made", "all is made"],
)
def test_read_only_checkout(checkout: Path, made: list[str], message: str) -> None:
    if made:
        subprocess.run(["make", *made], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    result = make_iso(checkout, *unshare("mount"), "sh", "-ec", READ_ONLY, "sh")
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == [message.format(checkout=checkout)]
