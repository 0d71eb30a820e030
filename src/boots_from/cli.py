"""The command `boots-from URL`, which writes ./boots-from.iso."""

import os
import re
import signal
import stat
import sys
from collections.abc import Sequence
from types import FrameType

from boots_from import HOME, __version__, boot_url, image
from boots_from.boot_url import BootUrl
from boots_from.errors import BootsFromError

TYPE_CHECKING = False  # mypy reads it as true; importing typing would take 3 ms
if TYPE_CHECKING:
    from typing import TextIO

OUTPUT = "boots-from.iso"
MODE = 0o644  # permissions of the image, before the umask
SECRET_MODE = 0o600  # permissions of an image with a password in it
WIDTH = 80  # columns of the printed text
# Bytes to write before the next check for signals. After each chunk Python waits for the hashing thread, up to 5 ms
# while that thread imports hashlib.
CHUNK = 2**22

BOOTS_ON = f"""\
Boots on   x86 BIOS; UEFI on x86-64, ARM64, RISC-V 64 and LoongArch64
           (Secure Boot: enroll grubx64.efi once, on ARM64 grubaa64.efi)
BMC/iKVM   attach {OUTPUT} as a virtual CD-ROM or USB drive
USB stick  Linux:   sudo dd if={OUTPUT} of=/dev/sdX bs=1M conv=fsync
           Windows: Rufus or balenaEtcher (both ways erase the stick)
"""
USAGE = "run boots-from 'URL', or boots-from --help"
ELSEWHERE = "run boots-from in another directory"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the arguments after the name of the command; by default those of the process.

    Returns:
        The exit status: 0 if the image is written, or the help or version is printed; 2 for an error that the user can
        fix; 1 for a bug.

    Raises:
        SystemExit: with the exit status, if it is not 0 and `arguments` is None. A zipapp made with
            `-m boots_from.cli:main` ignores the returned status.
    """
    status = _run(list(sys.argv[1:] if arguments is None else arguments))
    if status and arguments is None:
        raise SystemExit(status)
    return status


def _run(arguments: list[str]) -> int:
    try:
        if arguments[:1] in (["--help"], ["-h"]):
            _print(sys.stdout, _help())
        elif arguments[:1] == ["--version"]:
            _print(sys.stdout, _version())
        else:
            _bake(_url(arguments))
    except BootsFromError as error:
        return _fail(str(error), 2)
    except OSError as error:  # from _print; errors of files are a BootsFromError already
        return _fail(f"cannot write to standard output: {_reason(error)}", 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 2)
    except Exception as error:  # the only place that turns a bug into an exit status
        return _fail(_bug(error), 1)
    return 0


def _bug(error: Exception) -> str:
    """Return the message for a bug, without the text of the exception, which may contain a password of the URL."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}" if trace else "nowhere"
    return f"bug in boots-from: {type(error).__name__} in {where}: please report it at {HOME}/issues"


def _fail(message: str, status: int) -> int:
    _print_error(f"error: {message}")
    return status


def _warn(message: str) -> None:
    _print_error(f"warning: {message}")


def _print_error(message: str) -> None:
    try:
        _print(sys.stderr, f"boots-from: {message}\n")
    except OSError:
        return  # only the exit status can tell


def _print(stream: "TextIO | None", text: str) -> None:
    """Print to a stream that may be closed (None) or a broken pipe; raise OSError for other errors."""
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # otherwise the flush at exit fails again
        if not isinstance(error, BrokenPipeError):
            raise


def _url(arguments: list[str]) -> str:
    """Return the only argument. Messages repeat no argument: it may be a part of a password with a space in it."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    elif any(re.match("-$|-o|-O|--out", argument) for argument in arguments):
        raise BootsFromError(f"the output is always ./{OUTPUT}: move it afterwards, or {ELSEWHERE}")
    elif any(argument.startswith("-") for argument in arguments):
        raise BootsFromError(f"unknown option: the only options are --help and --version; {USAGE}")
    if not arguments:
        raise BootsFromError(f"no URL given: {USAGE}")
    if len(arguments) > 1 and all(re.match(f"{boot_url.SCHEME}//", argument) for argument in arguments):
        raise BootsFromError(
            f"expected one URL, got {len(arguments)}: run boots-from once for each, and move {OUTPUT} in between"
        )
    if len(arguments) > 1:
        raise BootsFromError(f"expected one URL, got {len(arguments)} arguments: put the URL in single quotes; {USAGE}")
    if arguments[0] in ("help", "version"):
        raise BootsFromError(f"{arguments[0]} is not a URL: run boots-from --{arguments[0]}")
    return arguments[0]


def _help() -> str:
    return f"""\
usage: boots-from 'URL'

Write ./{OUTPUT}, an image that boots a machine from a URL. Attach it to a
BMC as virtual media, or write it to a CD or a USB stick. The image loads iPXE,
gets an address by DHCP, and boots whatever the URL serves.

  URL         the URL to boot from, in single quotes because of & and $
  -h, --help  show this help
  --version   show the version, the packages in the image, the hashes to enroll
              for Secure Boot, and the SHA-256 of the template

{_help_table()}
"""


def _help_table() -> str:
    lines = ["URLs, each with its transport and the iPXE command that boots it:"]
    for scheme in boot_url.SCHEMES:
        if scheme.boot:
            lines += [f"  {scheme.form}", f"      {scheme.transport}; {scheme.boot}"]
        else:
            lines += [f"  {scheme.form}", f"      not supported: {scheme.lacks};", f"      {scheme.instead}"]
    lines += [
        f"  {boot_url.FROM_SETTING.form}[...]",
        f"      {boot_url.FROM_SETTING.transport}, such as {boot_url.FROM_SETTING.example} or"
        f" {boot_url.FROM_ROOT_PATH.example} from DHCP",
        "",
        "iPXE fills in settings such as ${net0/mac} and ${uuid} at boot.",
    ]
    return "\n".join(lines)


def _version() -> str:
    template = image.read_template()
    lines = [f"boots-from {__version__}"]
    for line in image.packages(template):
        package, version, suite, _ = line.split()
        lines.append(f"package {package} {version} (Debian {suite})")
    for line in image.overrides(template):
        file, sha256, source = line.split()
        lines += [f"file {file}, not from Debian, in place of {source}; SHA-256", f"  {sha256}"]
    for line in image.hashes_to_enroll(template):
        path, sha256, purpose = line.split(maxsplit=2)
        lines.append(f"Secure Boot, {purpose}: enroll {path}; MokManager shows SHA256 hash")
        lines += [f"  {row}" for row in image.mok_rows(sha256)]
    return "\n".join([*lines, f"template SHA-256 {image.sha256([template])}", ""])


def _bake(url: str) -> None:
    import threading

    parsed = boot_url.parse(url)
    baked = image.pieces(image.map_template(), image.script_for(parsed))
    secret = parsed.public != parsed.url
    for warning in parsed.warnings:
        _warn(warning)
    digests: list[str] = []

    def hash_it() -> None:
        try:
            digests.append(image.sha256(baked))
        except Exception:
            return  # the main thread tries again below, and reports the error

    # Hash while the disk is busy: it takes as long as writing.
    hashing = threading.Thread(target=hash_it)
    started = written = False
    try:
        # Handlers only note a signal, and _write checks for it between two chunks: an exception from the handler of a
        # second signal would interrupt the cleanup after the first.
        caught: list[int] = []
        handlers = _note_termination_signals(caught)
        try:
            try:
                hashing.start()
                started = True
            except RuntimeError:  # no thread available
                pass
            permissions = _write(baked, SECRET_MODE if secret else MODE, caught)
            written = True
        finally:
            if started:
                hashing.join()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        sha256 = digests[0] if digests else image.sha256(baked)
        _print(sys.stdout, _summary(parsed, sum(map(len, baked)), sha256, permissions))
        if _is_file(sys.stdout):
            _warn(f"the file you redirected to has only this text: the image is ./{OUTPUT}")
    except Exception as error:
        if not written:
            raise
        why = _reason(error) if isinstance(error, OSError) else _bug(error)
        _warn(f"{OUTPUT} is written, but its description cannot be printed: {why}")
    except KeyboardInterrupt:
        if not written:
            raise
        _warn(f"interrupted, but {OUTPUT} is written")


def _is_file(stream: "TextIO | None") -> bool:
    """Return whether a stream is a regular file: not a terminal, a pipe or a device."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False  # closed, or an object of the caller without a descriptor


def _summary(parsed: BootUrl, size: int, sha256: str, permissions: int) -> str:
    """Return the text that describes a written image; `permissions` are those of its file."""
    url = [parsed.public[at : at + WIDTH - 11] for at in range(0, len(parsed.public), WIDTH - 11)]
    lines = [
        f"{OUTPUT}  {size / 1e6:.1f} MB ({size:,} bytes)",
        f"SHA-256    {sha256}",
        # The URL in the image, because the shell may have changed what the user typed.
        f"URL        {url[0]}",
        *(" " * 11 + more for more in url[1:]),
        f"Script     /{image.SCRIPT} in the image (iPXE command: {parsed.scheme.boot})",
    ]
    if parsed.public != parsed.url:
        line = "Secret     it holds the user name and password of the URL;"
        if permissions & ~SECRET_MODE:  # exFAT, Windows
            lines += [line, "           others may read it, because this file system keeps no permissions"]
        else:
            lines.append(f"{line} only you may read it")
    return "\n".join([*lines, BOOTS_ON])


def _write(baked: list[bytes | memoryview], mode: int, caught: list[int]) -> int:
    """Write the image to a temporary file and rename it, so that the old image is replaced completely or not at all.

    Args:
        baked: the pieces of the image.
        mode: the permissions of the image, before the umask.
        caught: the numbers of the signals that came, to which handlers may add.

    Returns:
        The permissions that the file got, which differ from `mode` if the file system keeps none.
    """
    if os.path.isdir(OUTPUT):
        raise BootsFromError(f"cannot write {OUTPUT}: it is a directory; move it away, or {ELSEWHERE}")
    part = f".{OUTPUT}.{os.urandom(4).hex()}.part"
    try:
        # Without O_BINARY Windows would change \n to \r\n.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(part, flags, mode)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                for piece in baked:
                    view = memoryview(piece)
                    while view:
                        _stop_if(caught)
                        view = view[file.write(view[:CHUNK]) :]
                os.fsync(file.fileno())
                permissions = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            _stop_if(caught)  # after this the new image is complete
            os.replace(part, OUTPUT)
        finally:
            if os.path.exists(part):
                os.unlink(part)
    except OSError as error:
        raise BootsFromError(f"cannot write {OUTPUT} in this directory: {_reason_and_remedy(error)}") from None
    _sync_directory()
    return permissions


def _note_termination_signals(caught: list[int]) -> dict[signal.Signals, "signal._HANDLER"]:
    """Install handlers that note termination signals (Windows has fewer); return the previous handlers.

    An ignored signal stays ignored: nohup ignores SIGHUP, and a shell ignores SIGINT for background jobs. Python allows
    this only in the main thread; in other threads nothing changes.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        return {}

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    numbers = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return {number: signal.signal(number, note) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}


def _stop_if(caught: list[int]) -> None:
    if caught:
        raise BootsFromError(f"stopped by {signal.Signals(caught[0]).name}: {OUTPUT} is unchanged")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _reason_and_remedy(error: OSError) -> str:
    import errno

    writable = "run boots-from in a directory that you can write to"
    remedies = {
        errno.ENOSPC: f"free 11 MB, or {ELSEWHERE}",
        errno.EDQUOT: f"free 11 MB, or {ELSEWHERE}",
        errno.EACCES: writable,
        errno.EPERM: writable,
        errno.EROFS: writable,
    }
    return f"{_reason(error)}; {remedies.get(error.errno or 0, ELSEWHERE)}"


def _sync_directory() -> None:
    """Make the rename survive a power cut, if the system can do that (Windows cannot open a directory)."""
    try:
        directory = os.open(".", os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(directory)
    except OSError:
        pass  # some network file systems refuse; the content of the file is safe
    finally:
        os.close(directory)
