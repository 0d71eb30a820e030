"""The command as its user runs it: what it prints, writes, and leaves alone."""

import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

import boots_from
from boots_from import cli, image
from boots_from.chain_url import SCHEMES
from tests.namespaces import unshare

URL = "http://bootserver/boot?mac=${net0/mac}&again=1"
OLD = b"the old image"


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def command(*arguments: str, cwd: Path, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "boots_from", *arguments], cwd=cwd, capture_output=True, text=True, check=False, **kwargs
    )


def assert_refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert re.fullmatch(message, result.stderr.rstrip("\n")), result.stderr


def test_writes_the_image_and_says_what_it_is(tmp_path: Path) -> None:
    result = command(URL, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    written = (tmp_path / "boots-from.iso").read_bytes()
    assert written == boots_from.bake(URL)
    assert names(tmp_path) == ["boots-from.iso"]
    assert f"{len(written):,} bytes" in result.stdout
    assert sha256(written).hexdigest() in result.stdout
    assert URL in result.stdout.replace("\n    ", "")
    for words in ("x86 BIOS", "ARM64", "sudo dd if=boots-from.iso", "virtual CD-ROM"):
        assert words in result.stdout


@pytest.mark.parametrize("url", [URL, "http://h/" + "x" * 1500, "http://" + "u" * 200 + "@h/"])
def test_output_is_plain_text_of_80_columns(tmp_path: Path, url: str) -> None:
    result = command(url, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_says_nothing_of_the_password(tmp_path: Path) -> None:
    result = command("http://user:hunter2@h/x", cwd=tmp_path)
    assert result.returncode == 0
    assert "hunter2" not in result.stdout + result.stderr
    assert b"http://user:hunter2@h/x" in (tmp_path / "boots-from.iso").read_bytes()


def test_warns_and_writes(tmp_path: Path) -> None:
    result = command("http://h/x#top", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == (
        "boots-from: warning: iPXE drops the fragment (from # at character 11) and does not send it\n"
    )
    assert (tmp_path / "boots-from.iso").exists()


def test_a_refused_url_touches_no_file(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    result = command("ftp://h/x", cwd=tmp_path)
    assert_refused(result, r"boots-from: can't boot from \"ftp:\" .* this iPXE has no FTP; .*")
    assert (tmp_path / "boots-from.iso").read_bytes() == OLD
    assert names(tmp_path) == ["boots-from.iso"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o000])
def test_mode_is_0644_under_the_umask(tmp_path: Path, umask: int) -> None:
    assert command(URL, cwd=tmp_path, umask=umask).returncode == 0
    assert stat.S_IMODE((tmp_path / "boots-from.iso").stat().st_mode) == 0o644 & ~umask


def test_replaces_the_old_image(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    assert command(URL, cwd=tmp_path).returncode == 0
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_output_name_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").mkdir()
    assert_refused(command(URL, cwd=tmp_path), r"boots-from: can't write boots-from\.iso: it is a directory; .*")
    assert names(tmp_path) == ["boots-from.iso"]


def on_tmpfs(directory: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in `directory`, which is a tmpfs of its own; $1... is the command to try."""
    mount = f'mount -t tmpfs -o {options} none "$PWD"; cd "$PWD"; {script}'
    words = [*unshare("mount"), "sh", "-ec", mount, "sh"]
    return subprocess.run(
        [*words, sys.executable, "-m", "boots_from", URL], cwd=directory, capture_output=True, text=True, check=False
    )


def test_full_disk(tmp_path: Path) -> None:
    script = 'echo old > boots-from.iso; "$@" && exit 9; status=$?; cat boots-from.iso; ls -A; exit $status'
    result = on_tmpfs(tmp_path, "size=3m", script)
    assert result.stderr == (
        "boots-from: can't write boots-from.iso in this directory: no space left on device; "
        "free some space (the image needs about 15 MB), or run this elsewhere\n"
    )
    assert (result.returncode, result.stdout) == (2, "old\nboots-from.iso\n")


def test_read_only_directory(tmp_path: Path) -> None:
    script = (
        'echo old > boots-from.iso; mount -o remount,bind,ro "$PWD"; "$@" && exit 9; status=$?; ls -A; exit $status'
    )
    result = on_tmpfs(tmp_path, "size=20m", script)
    assert result.stderr == (
        "boots-from: can't write boots-from.iso in this directory: read-only file system; "
        "run this in a directory where you may write\n"
    )
    assert (result.returncode, result.stdout) == (2, "boots-from.iso\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_writing(tmp_path: Path, number: signal.Signals) -> None:
    """Signals at many moments: the image is the old one or the whole new one, and no litter is left."""
    new = boots_from.bake(URL)
    endings = set()
    for delay in range(30):
        (tmp_path / "boots-from.iso").write_bytes(OLD)
        running = subprocess.Popen(
            [sys.executable, "-m", "boots_from", URL],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # From when it starts to write; before that Python itself is starting.
        while running.poll() is None and len(names(tmp_path)) == 1:
            time.sleep(0.0005)
        time.sleep(delay * 0.0005)
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
        content = (tmp_path / "boots-from.iso").read_bytes()
        assert names(tmp_path) == ["boots-from.iso"]
        if running.returncode == 2:
            endings.add(errors)
        assert content == (OLD if "as it was before" in errors else new)
    assert f"boots-from: ended by {number.name}: boots-from.iso is as it was before\n" in endings
    assert endings <= {
        f"boots-from: ended by {number.name}: boots-from.iso is as it was before\n",
        "boots-from: interrupted\n",
    }


@pytest.mark.parametrize("refused", ["open", "fsync"])
def test_directory_that_cant_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """As on Windows, which opens no directories, has no SIGHUP, and lacks other things of POSIX."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(signal, "SIGHUP")
    real = getattr(os, refused)
    directories = set()

    def like_windows(first: str | int, *rest: int) -> object:
        if first == "." or (isinstance(first, int) and stat.S_ISDIR(os.fstat(first).st_mode)):
            directories.add(first)
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(first, *rest)

    monkeypatch.setattr(os, refused, like_windows)
    assert cli.main([URL]) == 0
    assert directories
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_nothing_of_posix_alone_is_imported() -> None:
    """What the user installs runs on Windows too; it was not run there."""
    words = set()
    for source in Path(cli.__file__).parent.glob("*.py"):
        words |= set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source.read_text(), re.MULTILINE))
    allowed = "argparse collections.abc errno hashlib ipaddress os re signal sys threading types typing"
    assert {word for word in words if not word.startswith("boots_from")} <= set(allowed.split())


def test_internal_fault_has_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a fault")

    monkeypatch.setattr(image, "pieces", broken)
    assert cli.main([URL]) == 1
    assert capsys.readouterr().err == "boots-from: internal fault, please report it: RuntimeError: a fault\n"


def test_missing_template_says_what_to_do(tmp_path: Path) -> None:
    package = tmp_path / "package" / "boots_from"
    shutil.copytree(Path(image.__file__).parent, package, ignore=shutil.ignore_patterns("template.iso", "__pycache__"))
    result = command(URL, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package.parent)})
    assert_refused(result, r"boots-from: can't read the template .*: reinstall boots-from, or run make in its checkout")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no URL: run boots-from URL, or boots-from --help"),
        (("http://h/x", "http://h/y"), "unrecognized arguments: http://h/y: run boots-from URL, or boots-from --help"),
        (("--output", "x"), "unrecognized arguments: --output: run boots-from URL, or boots-from --help"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert_refused(command(*arguments, cwd=tmp_path), re.escape(f"boots-from: {message}"))
    assert names(tmp_path) == []


def test_version_names_the_firmware_and_the_template(tmp_path: Path) -> None:
    result = command("--version", cwd=tmp_path)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"boots-from {boots_from.__version__}"
    template = image.read_template()
    firmware = [line.split() for line in image.firmware(template)]
    assert lines[1:9] == [f"firmware {name} {version} (Debian {suite})" for name, version, suite, _ in firmware]
    for first, line in zip((9, 12, 15, 18), image.enrolled_hashes(template), strict=True):
        path, digits, what = line.split(maxsplit=2)
        assert lines[first] == f"Secure Boot, {what}: enroll {path}; MokManager shows SHA256 hash"
        rows = "".join(lines[first + 1 : first + 3])
        assert (rows, bytes.fromhex(rows).hex()) == (rows.upper(), digits)
    assert lines[21:] == [f"template SHA-256 {sha256(template).hexdigest()}"]


def test_help_holds_the_table(tmp_path: Path) -> None:
    result = command("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for scheme in SCHEMES:
        assert scheme.form in result.stdout
        assert scheme.instead in " ".join(result.stdout.split())


def test_nothing_breaks_in_a_pipe(tmp_path: Path) -> None:
    piped = f'"{sys.executable}" -m boots_from "$0" | head -n 1'
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {piped}", URL], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)
