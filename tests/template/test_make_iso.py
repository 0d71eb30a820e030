"""make iso on unusual or incomplete hosts: it works, or prints one line about the problem."""

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

URL = "http://boot.example.com/boot"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a fresh checkout with the downloaded packages."""
    return fresh_checkout.copy(tmp_path / "checkout", packages=True)


def make_iso(checkout: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, "env", "-i", f"PATH={os.environ['PATH']}", "make", "iso", f"URL={URL}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_uid_without_passwd_entry_makes_image(checkout: Path) -> None:
    result = make_iso(checkout, *as_user(4242))
    assert result.returncode == 0, result.stderr
    assert (checkout / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_checkout_path_may_have_special_characters(tmp_path: Path) -> None:
    checkout = fresh_checkout.copy(tmp_path / "a b $(c) `d` 'e' \"f\" #g; h:i,j)k \u00e9 %s \\n", packages=True)
    result = make_iso(checkout)
    assert result.returncode == 0, result.stderr
    assert (checkout / "boots-from.iso").read_bytes() == boots_from.bake(URL)


@pytest.mark.parametrize("how", ["copied", "moved"])
@pytest.mark.thorough("moved")
def test_relocated_checkout_runs_its_own_code(checkout: Path, tmp_path: Path, how: str) -> None:
    """The checkout is copied or moved together with its environment."""
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


def test_environment_is_recreated_for_another_python(checkout: Path) -> None:
    """And only then. After an upgrade of Python the old environment lacks its modules."""
    make = ["make", ".venv/created"]
    subprocess.run(make, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    assert subprocess.run([*make, "--question"], cwd=checkout, check=False).returncode == 0
    stamp = checkout / ".venv/created"
    path, _ = stamp.read_text().split("\n", 1)
    stamp.write_text(f"{path}\n3.11.0 (main)\n")
    (checkout / ".venv/left-over").touch()
    subprocess.run(make, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    assert not (checkout / ".venv/left-over").exists()
    assert subprocess.run([*make, "--question"], cwd=checkout, check=False).returncode == 0


def test_make_iso_needs_no_environment(checkout: Path) -> None:
    assert make_iso(checkout).returncode == 0
    assert not (checkout / ".venv").exists()


def older_python(directory: Path) -> str:
    """Return a PATH with a python3 that claims to be Python 3.10."""
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


@pytest.mark.parametrize("missing", [False, True], ids=["all packages", "missing package"])
def test_old_python_is_refused(checkout: Path, tmp_path: Path, missing: bool) -> None:
    """Before anything is installed."""
    path = older_python(tmp_path / "bin")
    script = checkout / "template/install-dependencies"
    if missing:
        script.write_text(script.read_text().replace("need xorriso command -v xorriso", "need xorriso false"))
    command = ["env", "-i", f"PATH={path}", "make", "iso", f"URL={URL}"]
    result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        "install-dependencies: error: python3 is Python 3.10.12, but Python 3.11 or newer is required: "
        "build on Debian 12 or newer"
    )
    assert "Installing" not in result.stdout
    shutil.copy(TEMPLATE, checkout / "src/boots_from")
    result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert result.stderr.splitlines()[0] == "boots-from: error: Python 3.10.12 is too old: use Python 3.11 or newer"


def build(checkout: Path, mount: str, *prefix: str, on_failure: str = ":") -> subprocess.CompletedProcess[str]:
    """Build the template after the shell command `mount`; run another shell command if the build fails."""
    script = f'{mount}; cd "$PWD"; make --silent template || {{ status=$?; {on_failure}; exit $status; }}'
    command = [*prefix, *unshare("mount"), "sh", "-ec", script]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", ["1m", "40m", "50m"])
def test_full_temporary_directory_is_named(checkout: Path, tmp_path: Path, size: str) -> None:
    """It fills up while packages are unpacked, and while the image is written."""
    work = tmp_path / "work"
    work.mkdir()
    result = build(checkout, f'mount -t tmpfs -o size={size} none "{work}"', "env", f"TMPDIR={work}")
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        f"template: error: no space left in {work}; the build needs about 100 MB: "
        "free some space, or name another directory in TMPDIR"
    )
    assert not (checkout / "src/boots_from/template.iso").exists()


def test_full_output_directory_keeps_no_partial_template(checkout: Path, tmp_path: Path) -> None:
    output = checkout / "src/boots_from"
    copy = shutil.copytree(output, tmp_path / "copy")
    mount = f'mount -t tmpfs -o size=9m none "{output}"; cp -a "{copy}/." "{output}"'
    result = build(checkout, mount, on_failure=f'ls -A "{output}"')
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        f"template: error: no space left in {output}; the build needs about 100 MB: free some space"
    )
    assert "boot.ipxe" in result.stdout
    assert "template.iso" not in result.stdout


def test_parallel_builds_write_complete_templates(checkout: Path) -> None:
    command = ["python3", "-P", "-m", "template"]
    env = {**os.environ, "PYTHONPATH": "src:."}
    builds = [
        subprocess.Popen(command, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    expected = TEMPLATE.read_bytes()
    for running in builds:
        output, _ = running.communicate()
        assert running.returncode == 0, output
        assert f"image {len(expected):>10,} bytes" in output
    assert (checkout / "src/boots_from/template.iso").read_bytes() == expected
    assert not list((checkout / "src/boots_from").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_build_leaves_no_files(checkout: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The signal arrives when the image is written under its temporary name, but not yet renamed."""
    interrupt = "import os, signal, pathlib; pathlib.Path.chmod = lambda *_: os.kill(os.getpid(), signal.{})"
    (tmp_path / "sitecustomize.py").write_text(interrupt.format(number.name))
    env = {**os.environ, "PYTHONPATH": f"src:.:{tmp_path}"}
    result = subprocess.run(
        ["python3", "-P", "-m", "template"], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "SHA-256" not in result.stdout
    assert not list((checkout / "src/boots_from").glob("*template*"))
    assert not list((checkout / "src/boots_from").glob(".*"))


def test_partial_template_is_ignored_by_git() -> None:
    """A killed build leaves one; the wheel also leaves out what git ignores."""
    name = "src/boots_from/.template.iso.abc_1234.part"
    subprocess.run(["git", "check-ignore", "--quiet", name], cwd=CHECKOUT, check=True)


READ_ONLY = 'mount --bind "$PWD" "$PWD"; mount -o remount,bind,ro "$PWD"; cd "$PWD"; exec "$@"'


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "make: error: can't write to {checkout}: use a checkout that is writable"),
        (
            ["template"],
            "boots-from: error: cannot write boots-from.iso in this directory: read-only file system; "
            "run boots-from in a directory that you can write to",
        ),
    ],
    ids=["without template", "with template"],
)
def test_read_only_checkout_is_reported(checkout: Path, targets: list[str], message: str) -> None:
    if targets:
        subprocess.run(["make", *targets], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    result = make_iso(checkout, *unshare("mount"), "sh", "-ec", READ_ONLY, "sh")
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == [message.format(checkout=checkout)]
