"""The command as users run it: its output, and the files that it writes and leaves alone."""

import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

import boots_from
from boots_from import boot_url, cli, image
from boots_from.boot_url import OVER, SCHEMES
from boots_from.errors import REINSTALL
from lab.namespaces import unshare

URL = "http://boot.example.com/boot?mac=${net0/mac}&again=1"
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
    assert re.fullmatch(f"boots-from: error: {message}", result.stderr.rstrip("\n")), result.stderr


def test_image_is_written_and_described(tmp_path: Path) -> None:
    result = command(URL, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    written = (tmp_path / "boots-from.iso").read_bytes()
    assert written == boots_from.bake(URL)
    assert names(tmp_path) == ["boots-from.iso"]
    assert f"{len(written) / 1e6:.1f} MB ({len(written):,} bytes)" in result.stdout
    assert sha256(written).hexdigest() in result.stdout
    for text in ("x86 BIOS", "ARM64", "sudo dd if=boots-from.iso", "virtual CD-ROM", "/EFI/BOOT/autoexec.ipxe"):
        assert text in result.stdout
    assert f"URL        {URL}\n" in result.stdout
    assert len(result.stdout.splitlines()) == 9


def test_summary_shows_the_whole_url(tmp_path: Path) -> None:
    """But no text that may be a password."""
    for url, public in {
        "http://h/": "http://h/",
        "http://user:hunter2@h/" + "x" * 200: "http://h/" + "x" * 200,
        "http://h/" + "x" * 60: "http://h/" + "x" * 60,
        "http://h/" + "x" * 61: "http://h/" + "x" * 61,
        "tftp://h/hunter2@b": "tftp://...@b",
    }.items():
        lines = command(url, cwd=tmp_path).stdout.splitlines()
        begin = next(number for number, line in enumerate(lines) if line.startswith("URL  "))
        end = next(number for number, line in enumerate(lines) if line.startswith("Script  "))
        assert "".join(line[11:] for line in lines[begin:end]) == public
        assert all(line[:11] in ("URL".ljust(11), " " * 11) for line in lines[begin:end])
        assert end - begin == -(-len(public) // 69)


def test_redirected_output_gets_a_warning(tmp_path: Path) -> None:
    with (tmp_path / "x.iso").open("w") as output:
        result = subprocess.run(
            [sys.executable, "-m", "boots_from", URL], cwd=tmp_path, stdout=output, stderr=subprocess.PIPE, check=True
        )
    assert result.stderr == (
        b"boots-from: warning: the file you redirected to has only this text: the image is ./boots-from.iso\n"
    )
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_custom_output_name_is_in_every_text(tmp_path: Path) -> None:
    package = tmp_path / "package" / "boots_from"
    shutil.copytree(Path(image.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    command_line = package / "cli.py"
    command_line.write_text(command_line.read_text().replace('OUTPUT = "boots-from.iso"', 'OUTPUT = "fork.img"'))
    env = {**os.environ, "PYTHONPATH": str(package.parent)}
    results = [command(*arguments, cwd=tmp_path, env=env) for arguments in ((URL,), ("--help",), ("--version",))]
    assert sorted(names(tmp_path)) == ["fork.img", "package"]
    for result in results:
        assert result.returncode == 0
        assert "boots-from.iso" not in result.stdout
    assert results[0].stdout.count("fork.img") == 3


@pytest.mark.parametrize("url", [URL, "http://h/" + "x" * 1500, "http://" + "u" * 200 + "@h/"])
def test_output_is_plain_text_in_80_columns(tmp_path: Path, url: str) -> None:
    result = command(url, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://user:hunter2@h/x",),
        ("http://user:hunter2#x@h/",),
        ("http://user:80/hunter2@h/",),
        ("http://user:hunter\u0436hunter@h/x",),
        ("http://h/x", "http://user:hunter2@h/x"),
        ("http://user:pass", "hunter2\x1b[31m@h/"),
        ("http://user:pass", "-hunter2@h/"),
        ("--hunter2=hunter2",),
        ("--output=hunter2",),
        ("http://user:hunter2@h/", "http://user:hunter2@h/"),
        ("http://user:hunter2@h/", "-o", "hunter2"),
        ("--version=hunter2",),
    ],
)
def test_password_is_never_printed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = command(*arguments, cwd=tmp_path)
    written = (tmp_path / "boots-from.iso").exists()
    assert result.returncode == (0 if written else 2)
    assert "hunt" not in result.stdout + result.stderr
    assert (result.stdout + result.stderr).replace("\n", "").isprintable()
    if written:
        assert arguments[0].encode() in (tmp_path / "boots-from.iso").read_bytes()


def test_bug_report_shows_no_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(boot_url, "_mask", lambda url: [].index(url))
    assert cli.main(["http://user:hunter2@h/x"]) == 1
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o000])
def test_image_with_password_is_readable_only_by_owner(tmp_path: Path, umask: int) -> None:
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    result = command("http://user:hunter2@h/x", cwd=tmp_path, umask=umask)
    assert result.returncode == 0
    assert stat.S_IMODE((tmp_path / "boots-from.iso").stat().st_mode) == 0o600
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("Secret ")]
    assert line.endswith("it holds the user name and password of the URL; only you may read it")
    assert "Secret " not in command(URL, cwd=tmp_path).stdout


def test_file_system_without_permissions_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on exFAT: the file gets other permissions than the command asks for."""
    monkeypatch.chdir(tmp_path)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, mode=0o755: opened(path, flags, 0o755))
    old = os.umask(0o022)
    assert cli.main(["http://user:hunter2@h/x"]) == 0
    os.umask(old)
    printed = capsys.readouterr().out
    assert "only you" not in printed
    assert (
        "Secret     it holds the user name and password of the URL;\n"
        "           others may read it, because this file system keeps no permissions\n"
    ) in printed


def test_url_with_warning_is_written(tmp_path: Path) -> None:
    result = command("http://h/x#top", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == (
        'boots-from: warning: iPXE does not send the part after "#" at character 11 of the URL: '
        'write "#" as %23 if the server needs it\n'
    )
    assert (tmp_path / "boots-from.iso").exists()


def test_refused_url_touches_no_file(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    result = command("ftp://h/x", cwd=tmp_path)
    assert_refused(result, r'cannot boot from "ftp:" .* because this iPXE has no FTP: .*')
    assert (tmp_path / "boots-from.iso").read_bytes() == OLD
    assert names(tmp_path) == ["boots-from.iso"]


def test_image_is_synced_before_and_after_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the old image or the whole new one: file, name and directory reach the disk in this order."""
    monkeypatch.chdir(tmp_path)
    done: list[tuple[str, int, int]] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(number: int) -> None:
        fsync(number)
        done.append(("fsync", os.fstat(number).st_ino, os.fstat(number).st_size))

    def noted_replace(source: str, target: str) -> None:
        found = Path(source).stat()
        done.append(("replace", found.st_ino, found.st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    assert cli.main([URL]) == 0
    written, directory = (tmp_path / "boots-from.iso").stat(), tmp_path.stat()
    file = (written.st_ino, len(image.read_template()))
    assert done == [("fsync", *file), ("replace", *file), ("fsync", directory.st_ino, directory.st_size)]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_existing_temporary_file_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """In a directory that everyone can write to, another user may have put a file or a link there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "urandom", bytes)
    elsewhere = tmp_path / "elsewhere"
    part = tmp_path / ".boots-from.iso.00000000.part"
    if kind == "file":
        part.write_bytes(OLD)
    else:
        part.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.write_bytes(OLD)
    assert cli.main(["http://user:hunter2@h/x"]) == 2
    assert capsys.readouterr().err == (
        "boots-from: error: cannot write boots-from.iso in this directory: file exists; "
        "run boots-from in another directory\n"
    )
    assert not (tmp_path / "boots-from.iso").exists()
    assert elsewhere.exists() == (kind == "link")
    if kind != "dangling link":
        assert (part if kind == "file" else elsewhere).read_bytes() == OLD


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o000])
def test_mode_is_0644_less_umask(tmp_path: Path, umask: int) -> None:
    assert command(URL, cwd=tmp_path, umask=umask).returncode == 0
    assert stat.S_IMODE((tmp_path / "boots-from.iso").stat().st_mode) == 0o644 & ~umask


def test_old_image_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    assert command(URL, cwd=tmp_path).returncode == 0
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_directory_of_output_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "boots-from.iso").mkdir()
    assert_refused(command(URL, cwd=tmp_path), r"cannot write boots-from\.iso: it is a directory; .*")
    assert names(tmp_path) == ["boots-from.iso"]


def on_tmpfs(directory: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in `directory`, on which a tmpfs is mounted; the script gets the command to try as $@."""
    mount = f'mount -t tmpfs -o {options} none "$PWD"; cd "$PWD"; {script}'
    shell = [*unshare("mount"), "sh", "-ec", mount, "sh"]
    return subprocess.run(
        [*shell, sys.executable, "-m", "boots_from", URL], cwd=directory, capture_output=True, text=True, check=False
    )


def test_full_disk_keeps_old_image(tmp_path: Path) -> None:
    script = 'echo old > boots-from.iso; "$@" && exit 9; status=$?; cat boots-from.iso; ls -A; exit $status'
    result = on_tmpfs(tmp_path, "size=3m", script)
    assert result.stderr == (
        "boots-from: error: cannot write boots-from.iso in this directory: no space left on device; "
        "free 11 MB, or run boots-from in another directory\n"
    )
    assert (result.returncode, result.stdout) == (2, "old\nboots-from.iso\n")


def test_read_only_directory_is_reported(tmp_path: Path) -> None:
    script = (
        'echo old > boots-from.iso; mount -o remount,bind,ro "$PWD"; "$@" && exit 9; status=$?; ls -A; exit $status'
    )
    result = on_tmpfs(tmp_path, "size=20m", script)
    assert result.stderr == (
        "boots-from: error: cannot write boots-from.iso in this directory: read-only file system; "
        "run boots-from in a directory that you can write to\n"
    )
    assert (result.returncode, result.stdout) == (2, "boots-from.iso\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EDQUOT, "Quota"), f"quota; free 11 MB, or {cli.ELSEWHERE}"),
        (OSError(errno.EACCES, "Denied"), "denied; run boots-from in a directory that you can write to"),
        (OSError(errno.EPERM, "Denied"), "denied; run boots-from in a directory that you can write to"),
        (OSError(errno.EIO, "Broken"), f"broken; {cli.ELSEWHERE}"),
        (TimeoutError(), "timeouterror; run boots-from in another directory"),
    ],
)
def test_write_error_names_reason_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, reason: str
) -> None:
    def failing(*_: object) -> int:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "open", failing)
    assert cli.main([URL]) == 2
    assert capsys.readouterr().err == f"boots-from: error: cannot write boots-from.iso in this directory: {reason}\n"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("where", "status", "message"),
    [
        ("_write", 2, "error: interrupted"),
        ("_summary", 0, "warning: interrupted, but boots-from.iso is written"),
    ],
)
def test_interrupt_around_writing_tells_the_truth(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    status: int,
    message: str,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, where, interrupted)
    assert cli.main([URL]) == status
    assert capsys.readouterr().err == f"boots-from: {message}\n"
    assert names(tmp_path) == ([] if status else ["boots-from.iso"])


def test_signal_during_fsync_keeps_old_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGTERM))
    assert cli.main([URL]) == 2
    assert capsys.readouterr().err == "boots-from: error: stopped by SIGTERM: boots-from.iso is unchanged\n"
    assert (tmp_path / "boots-from.iso").read_bytes() == OLD
    assert names(tmp_path) == ["boots-from.iso"]


def no_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def no_memory(_: object) -> str:
    raise MemoryError("hunter2")


@pytest.mark.parametrize("fails", ["no thread", "no hash", "neither"])
def test_image_is_written_without_thread_or_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fails: str
) -> None:
    """The image is written, the message is true, and the signal handlers are restored."""
    monkeypatch.chdir(tmp_path)
    if fails != "no hash":
        monkeypatch.setattr(threading.Thread, "start", no_threads)
    if fails != "no thread":
        monkeypatch.setattr(image, "sha256", no_memory)
    before = {number: signal.getsignal(number) for number in (_INT, _TERM, _HUP)}
    assert cli.main([URL]) == 0
    assert {number: signal.getsignal(number) for number in before} == before
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)
    output = capsys.readouterr()
    if fails == "no thread":
        assert sha256((tmp_path / "boots-from.iso").read_bytes()).hexdigest() in output.out
        assert output.err == ""
    else:
        assert re.fullmatch(
            r"boots-from: warning: boots-from\.iso is written, but its description cannot be printed: "
            r"bug in boots-from: MemoryError in test_cli\.py, line \d+: "
            rf"please report it at {boots_from.HOME}/issues\n",
            output.err,
        )


def test_signal_handlers_are_restored_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boots-from.iso").mkdir()
    before = {number: signal.getsignal(number) for number in (_INT, _TERM, _HUP)}
    assert cli.main([URL]) == 2
    assert {number: signal.getsignal(number) for number in before} == before


def test_command_works_outside_main_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python does not allow signal handlers."""
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cli.main, [URL]).result() == 0
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


_INT, _TERM, _HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@pytest.mark.parametrize(
    "numbers",
    [(_INT,), (_TERM,), (_HUP,), (_TERM, _HUP), (_INT, _INT), (_HUP, _TERM, _INT, _TERM)],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)
def test_interrupt_at_each_check_keeps_old_image(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    numbers: tuple[signal.Signals, ...],
) -> None:
    """Before each chunk, and before the rename: the old image stays, and no other file is left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    real = cli._stop_if
    chunks = sum(-(-len(piece) // cli.CHUNK) for piece in image.pieces(image.read_template(), b""))
    assert chunks >= 5  # a signal stops the writing at least every 4 MiB
    before = {number: signal.getsignal(number) for number in numbers}
    for at in range(chunks + 1):
        left = iter([*[False] * at, True])

        def check(caught: list[int], left: Iterator[bool] = left) -> None:
            if next(left):
                for number in numbers:
                    signal.raise_signal(number)
            real(caught)

        monkeypatch.setattr(cli, "_stop_if", check)
        assert cli.main([URL]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == f"boots-from: error: stopped by {numbers[0].name}: boots-from.iso is unchanged\n"
        assert (tmp_path / "boots-from.iso").read_bytes() == OLD
        assert names(tmp_path) == ["boots-from.iso"]
        assert {number: signal.getsignal(number) for number in numbers} == before


def test_file_is_opened_in_binary_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise Windows would change each line feed to two characters."""
    monkeypatch.chdir(tmp_path)
    opened, seen, binary = os.open, [], 1 << 30
    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)

    def noted(path: str, flags: int, mode: int = 0o777) -> int:
        seen.append((path, flags & binary, flags & os.O_EXCL))
        return opened(path, flags & ~binary, mode)

    monkeypatch.setattr(os, "open", noted)
    assert cli.main([URL]) == 0
    assert [found[1:] for found in seen if found[0].endswith(".part")] == [(binary, os.O_EXCL)]


def test_signal_during_rename_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new image is complete, and the command succeeds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boots-from.iso").write_bytes(OLD)
    replace = os.replace

    def interrupted(source: str, target: str) -> None:
        signal.raise_signal(_TERM)
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    assert cli.main([URL]) == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)
    assert names(tmp_path) == ["boots-from.iso"]


@pytest.mark.parametrize("number", [_INT, _TERM, _HUP])
def test_interrupted_process_tells_the_truth(tmp_path: Path, number: signal.Signals) -> None:
    """At moments that depend on the speed of the host: the message about the image is always true."""
    new = boots_from.bake(URL)
    for delay in range(4):
        (tmp_path / "boots-from.iso").write_bytes(OLD)
        running = subprocess.Popen(
            [sys.executable, "-m", "boots_from", URL],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            # Coverage writes its data at the end of the process, and prints an error if a signal comes then.
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
            # The signal is ignored if the tests run under nohup or in the background.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )  # fmt: skip
        # Wait until it starts to write; before that Python is still starting.
        while running.poll() is None and len(names(tmp_path)) == 1:
            time.sleep(0.0005)
        time.sleep(delay * 0.002)
        running.send_signal(number)
        _, errors = running.communicate()
        assert names(tmp_path) == ["boots-from.iso"]
        unchanged = f"boots-from: error: stopped by {number.name}: boots-from.iso is unchanged\n"
        if errors == unchanged:
            assert running.returncode == 2
        else:  # the signal came too late, perhaps after the handler of Python was restored
            assert errors in ("", "boots-from: warning: interrupted, but boots-from.iso is written\n")
        assert (tmp_path / "boots-from.iso").read_bytes() == (OLD if errors == unchanged else new)


@pytest.mark.parametrize("number", [_INT, _TERM, _HUP])
def test_ignored_signal_stays_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """nohup ignores SIGHUP, and a shell ignores SIGINT for background jobs."""
    for delay in range(3):
        (tmp_path / "boots-from.iso").write_bytes(OLD)
        ignoring = f'trap "" {number.name.removeprefix("SIG")}; exec "$@"'
        running = subprocess.Popen(
            ["sh", "-c", ignoring, "sh", sys.executable, "-m", "boots_from", URL],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while running.poll() is None and len(names(tmp_path)) == 1:
            time.sleep(0.0005)
        time.sleep(delay * 0.002)
        running.send_signal(number)
        _, errors = running.communicate()
        assert (running.returncode, errors) == (0, "")
        assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


@pytest.mark.parametrize("refused", ["open", "fsync"])
def test_directory_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """As on Windows, which cannot open directories and has no SIGHUP."""
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


def test_no_posix_only_module_is_imported() -> None:
    """The package should run on Windows; it was not tested there."""
    modules = set()
    for source in Path(cli.__file__).parent.glob("*.py"):
        modules |= set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source.read_text(), re.MULTILINE))
    allowed = "_thread collections collections.abc errno hashlib mmap os re signal stat sys threading types typing"
    assert {module for module in modules if not module.startswith("boots_from")} <= set(allowed.split())


def test_slow_modules_are_not_imported() -> None:
    """They would take longer than everything that the command does before it writes."""
    code = f"import sys; sys.path.insert(0, {str(Path(cli.__file__).parent.parent)!r}); import boots_from.cli"
    slow = ("typing", "threading", "dataclasses", "pathlib", "hashlib", "tempfile", "subprocess", "argparse")
    command = [sys.executable, "-I", "-S", "-c", f"{code}; print(sorted(set({slow}) & set(sys.modules)))"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_damaged_template_gets_a_remedy(tmp_path: Path, content: bytes) -> None:
    package = tmp_path / "package" / "boots_from"
    shutil.copytree(Path(image.__file__).parent, package, ignore=shutil.ignore_patterns("template.iso", "__pycache__"))
    (package / "template.iso").write_bytes(content)
    result = command(URL, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package.parent)})
    assert_refused(result, f"the template is damaged .*: {REINSTALL}")
    assert names(tmp_path) == ["package"]


def test_bug_has_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a bug")

    monkeypatch.setattr(image, "pieces", broken)
    assert cli.main([URL]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"boots-from: error: bug in boots-from: RuntimeError in test_cli\.py, line \d+: "
        rf"please report it at {boots_from.HOME}/issues",
        line,
    )


def test_missing_template_gets_a_remedy(tmp_path: Path) -> None:
    package = tmp_path / "package" / "boots_from"
    shutil.copytree(Path(image.__file__).parent, package, ignore=shutil.ignore_patterns("template.iso", "__pycache__"))
    result = command(URL, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package.parent)})
    assert_refused(result, rf"cannot read .*template\.iso .*: {REINSTALL}")


TWICE = "run boots-from once for each, and move boots-from.iso in between"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no URL given: run boots-from 'URL', or boots-from --help"),
        (("--",), f"no URL given: {cli.USAGE}"),
        (("http://h/x", "y"), f"expected one URL, got 2 arguments: put the URL in single quotes; {cli.USAGE}"),
        (("http://h/x", "http://h/y"), f"expected one URL, got 2: {TWICE}"),
        (("http://h/x", "tftp://h/y", "https://z"), f"expected one URL, got 3: {TWICE}"),
        *(
            ((*arguments,), f"the output is always ./boots-from.iso: move it afterwards, or {cli.ELSEWHERE}")
            for arguments in (
                ("--output", "x"),
                ("--output=x", "http://h/"),
                ("http://h/", "-o", "x"),
                ("-ox", "http://h/"),
                ("-",),
                ("http://h/", "-"),
                ("-O", "x", "http://h/"),
                ("--out-file=x",),
            )
        ),
        (("-x",), f"unknown option: the only options are --help and --version; {cli.USAGE}"),
        (("http://h/x", "-v"), f"unknown option: the only options are --help and --version; {cli.USAGE}"),
        (("help",), "help is not a URL: run boots-from --help"),
        (("version",), "version is not a URL: run boots-from --version"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert_refused(command(*arguments, cwd=tmp_path), re.escape(message))
    assert names(tmp_path) == []


def test_url_after_two_dashes_is_baked(tmp_path: Path) -> None:
    assert command("--", URL, cwd=tmp_path).returncode == 0
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_version_lists_packages_hashes_and_template(tmp_path: Path) -> None:
    result = command("--version", cwd=tmp_path)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"boots-from {boots_from.__version__}"
    template = image.read_template()
    packages = [line.split() for line in image.packages(template)]
    assert lines[1:9] == [f"package {name} {version} (Debian {suite})" for name, version, suite, _ in packages]
    for first, line in zip((9, 12, 15, 18, 21, 24), image.hashes_to_enroll(template), strict=True):
        path, digits, purpose = line.split(maxsplit=2)
        assert lines[first] == f"Secure Boot, {purpose}: enroll {path}; MokManager shows SHA256 hash"
        rows = "".join(lines[first + 1 : first + 3])
        assert (rows, bytes.fromhex(rows).hex()) == (rows.upper(), digits)
    assert lines[27:] == [f"template SHA-256 {sha256(template).hexdigest()}"]
    assert command("--version", "please", cwd=tmp_path).stdout == result.stdout


def test_help_has_the_table_of_schemes(tmp_path: Path) -> None:
    result = command("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\n\nURLs, each with its transport and the iPXE command that boots it:\n  http://" in result.stdout
    assert result.stdout.endswith("\n\niPXE fills in settings such as ${net0/mac} and ${uuid} at boot.\n")
    ftp = "  ftp://HOST/PATH\n      not supported: this iPXE has no FTP;\n      serve the file over "
    assert f"\n{ftp}{OVER}\n" in result.stdout
    assert "\n  ${SETTING}[...]\n      whatever the setting names, such as ${filename} " in result.stdout
    for arguments in (("-h",), ("--help", "me")):
        assert command(*arguments, cwd=tmp_path).stdout == result.stdout
    for scheme in SCHEMES:
        assert scheme.form in result.stdout
        assert scheme.lacks in result.stdout
        assert scheme.instead in result.stdout


# Redirections, and the output on standard error for each.
_FULL = "no space left on device"
_UNPRINTED = "warning: boots-from.iso is written, but its description cannot be printed"
OUTPUTS = {
    ">&-": "",
    ">/dev/full": f"boots-from: ({_UNPRINTED}|error: cannot write to standard output): {_FULL}\n",
    "2>&-": "",
    "2>/dev/full": "",
    ">&- 2>&- <&-": "",
    ">/dev/full 2>/dev/full": "",
    ">/dev/full 2>&-": "",
    "2>&1 >/dev/null | head -n 1": "",
    "| head -n 1": "",
    "| true": "",
    "2>&1 | true": "",
}


@pytest.mark.parametrize("where", OUTPUTS)
@pytest.mark.parametrize("argument", [URL, "http://h/x#warned", "--help", "--version", "ftp://refused"])
def test_output_that_cannot_be_printed(tmp_path: Path, where: str, argument: str) -> None:
    """The command prints one line or nothing, and its status tells whether the image or the text was written."""
    script = f'"{sys.executable}" -m boots_from "$0" {where}; exit ${{PIPESTATUS[0]}}'
    result = subprocess.run(["bash", "-c", script, argument], cwd=tmp_path, capture_output=True, text=True, check=False)
    written = (tmp_path / "boots-from.iso").exists()
    assert written == argument.startswith("http:")
    unprinted = argument.startswith("--") and ">/dev/full" in where and not where.startswith("2>")
    assert result.returncode == (2 if unprinted or argument.startswith("ftp:") else 0)
    # Without the message about the URL.
    printed = re.sub(r"boots-from: (warning: iPXE does not send .*|error: cannot boot from .*)\n", "", result.stderr)
    if argument.startswith("ftp:"):
        assert printed == ""
    else:
        assert re.fullmatch(OUTPUTS[where], printed), printed
    for word in ("Traceback", "bug in boots-from", "Exception ignored"):
        assert word not in result.stdout + result.stderr
    if written:
        assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(argument)
