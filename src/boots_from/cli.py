"""The command: boots-from URL writes ./boots-from.iso."""

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

TYPE_CHECKING = False  # mypy takes it for true; typing takes 3 ms to import
if TYPE_CHECKING:
    from typing import TextIO

OUTPUT = "boots-from.iso"
MODE = 0o644  # less what the umask takes away
SECRET_MODE = 0o600  # of an image with a password inside
WIDTH = 80  # columns of what is printed
# Bytes that are written between two looks at whether a signal came. After each, Python waits for the hashing thread: up
# to 5 ms, while that imports hashlib.
CHUNK = 2**22

BOOTS_ON = f"""\
Boots      x86 BIOS; x86-64, ARM64, RISC-V 64 and LoongArch64 UEFI
           (Secure Boot asks once: enroll grubx64.efi, on ARM64 grubaa64.efi)
BMC/iKVM   attach {OUTPUT} as virtual CD-ROM or virtual USB
USB stick  Linux:   sudo dd if={OUTPUT} of=/dev/sdX bs=1M conv=fsync
           Windows: Rufus or balenaEtcher (this erases the stick)
"""
USAGE = "run boots-from 'URL', or boots-from --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows the command's name; by default the process's own.

    Returns:
        The exit status: 0 the image is written (or what was asked for is printed), 2 it is not and the user
        can remedy it, 1 for an internal fault.

    Raises:
        SystemExit: with that status, if it is not 0 and there were no arguments. The start of a zipapp that is made
            with `-m boots_from.cli:main` drops what is returned.
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
    except OSError as error:  # of _print: a file that can't be read or written has become a BootsFromError
        return _fail(f"can't print: {_reason(error)}", 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 2)
    except Exception as error:  # the one place that turns a fault of ours into a status
        return _fail(_fault(error), 1)
    return 0


def _fault(error: Exception) -> str:
    """Return what is said of a fault of ours. Its own text may hold a piece of the URL, and that a password."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}" if trace else "nowhere"
    return f"internal fault: {type(error).__name__} in {where}: please report it at {HOME}/issues"


def _fail(message: str, status: int) -> int:
    _warn(message)
    return status


def _warn(message: str) -> None:
    try:
        _print(sys.stderr, f"boots-from: {message}\n")
    except OSError:
        return  # then the status alone tells


def _print(stream: "TextIO | None", text: str) -> None:
    """Print, to a stream that may be closed (None) or a pipe that nobody reads any more; raise OSError otherwise."""
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the flush at exit fails again
        if not isinstance(error, BrokenPipeError):
            raise


def _url(arguments: list[str]) -> str:
    """Return the one argument. The others are not repeated: they may be the rest of a password with a space."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    elif any(re.match("-$|-o|-O|--out", word) for word in arguments):
        raise BootsFromError(f"the output is always ./{OUTPUT}: mv it afterwards, or run this in another directory")
    elif any(word.startswith("-") for word in arguments):
        raise BootsFromError(f"no such option: there are --help and --version; {USAGE}")
    if not arguments:
        raise BootsFromError(f"no URL: {USAGE}")
    if len(arguments) > 1 and all(re.match(f"{boot_url.SCHEME}//", word) for word in arguments):
        raise BootsFromError(
            f"{len(arguments)} URLs: run this once for each, in another directory, or mv {OUTPUT} in between"
        )
    if len(arguments) > 1:
        raise BootsFromError(f"{len(arguments)} arguments, not one URL: put it in single quotes; {USAGE}")
    if arguments[0] in ("help", "version"):
        raise BootsFromError(f"{arguments[0]} is no URL: run boots-from --{arguments[0]}")
    return arguments[0]


def _help() -> str:
    return f"""\
usage: boots-from 'URL'

Write ./{OUTPUT}: an image that boots a machine from a URL. Attach it to a
BMC as virtual media, or write it to a CD or USB stick. It loads iPXE, gets an
address by DHCP and boots what the URL names.

  URL         what to boot from, in single quotes: the shell takes & and $
  -h, --help  show this
  --version   show the version, the firmware inside, what Secure Boot asks for,
              and the template's SHA-256

{_help_table()}
"""


def _help_table() -> str:
    lines = ["URLs:"]
    for scheme in boot_url.SCHEMES:
        if scheme.boot:
            lines += [f"  {scheme.form}", f"      {scheme.transport}; {scheme.boot}"]
        else:
            lines += [f"  {scheme.form}", f"      no: {scheme.lacks};", f"      {scheme.instead}"]
    lines += [
        f"  {boot_url.FROM_SETTING.form}[...]",
        f"      {boot_url.FROM_SETTING.transport}, such as {boot_url.FROM_SETTING.example} or"
        f" {boot_url.FROM_ROOT_PATH.example} of DHCP",
        "",
        "iPXE settings such as ${net0/mac} and ${uuid} are filled in at boot.",
    ]
    return "\n".join(lines)


def _version() -> str:
    template = image.read_template()
    lines = [f"boots-from {__version__}"]
    for line in image.packages(template):
        package, version, suite, _ = line.split()
        lines.append(f"firmware {package} {version} (Debian {suite})")
    for line in image.overrides(template):
        file, sha256, source = line.split()
        lines += [f"firmware {file}, not Debian's, in place of {source}; SHA-256", f"  {sha256}"]
    for line in image.hashes_to_enroll(template):
        path, sha256, what = line.split(maxsplit=2)
        lines.append(f"Secure Boot, {what}: enroll {path}; MokManager shows SHA256 hash")
        lines += [f"  {row}" for row in image.mok_rows(sha256)]
    return "\n".join([*lines, f"template SHA-256 {image.sha256([template])}", ""])


def _bake(url: str) -> None:
    import threading

    parsed = boot_url.parse(url)
    baked = image.pieces(image.map_template(), image.script_for(parsed))
    secret = parsed.public != parsed.url
    for warning in parsed.warnings:
        _warn(f"warning: {warning}")
    digests: list[str] = []

    def hash_it() -> None:
        try:
            digests.append(image.sha256(baked))
        except Exception:
            return  # it is tried again below, where the failure can be told

    # While the disk is at work: it takes as long as the writing.
    hashing = threading.Thread(target=hash_it)
    started = written = False
    try:
        # Signals are only noted, and looked at between two chunks: an exception out of a second signal's handler
        # would end the clean-up after the first.
        caught: list[int] = []
        handlers = _note_termination_signals(caught)
        try:
            try:
                hashing.start()
                started = True
            except RuntimeError:  # no more threads are to be had
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
            _warn(f"the image is in ./{OUTPUT}: the file that you redirected to has only this text")
    except Exception as error:
        if not written:
            raise
        why = _reason(error) if isinstance(error, OSError) else _fault(error)
        _warn(f"{OUTPUT} is written, but can't print what it is: {why}")
    except KeyboardInterrupt:
        if not written:
            raise
        _warn(f"interrupted: {OUTPUT} is written")


def _is_file(stream: "TextIO | None") -> bool:
    """Return whether a stream goes to a file, and not to a terminal, a pipe or a device."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False  # closed, or of a caller that has its own


def _summary(parsed: BootUrl, size: int, sha256: str, permissions: int) -> str:
    """Return what is printed of an image that is written, with `permissions`."""
    url = [parsed.public[at : at + WIDTH - 11] for at in range(0, len(parsed.public), WIDTH - 11)]
    lines = [
        f"{OUTPUT}  {size / 1e6:.1f} MB ({size:,} bytes)",
        f"SHA-256    {sha256}",
        # As it is baked: the shell may have taken a part.
        f"URL        {url[0]}",
        *(" " * 11 + more for more in url[1:]),
        f"Script     /{image.SCRIPT} in the image, run by iPXE's {parsed.scheme.boot}",
    ]
    if parsed.public != parsed.url:
        line = "Secret     it holds the URL's user name and password"
        if permissions & ~SECRET_MODE:  # exFAT, Windows
            lines += [f"{line}, and others may read", "           it: this file system does not keep permissions"]
        else:
            lines.append(f"{line}: only you may read it")
    return "\n".join([*lines, BOOTS_ON])


def _write(baked: list[bytes | memoryview], mode: int, caught: list[int]) -> int:
    """Write the image beside its final name, then rename: either the old file stands there or the whole new one.

    Args:
        baked: what it consists of.
        mode: its permissions, less what the umask takes away.
        caught: the signals that came.

    Returns:
        Its permissions, which are not those asked for where the file system keeps none.
    """
    if os.path.isdir(OUTPUT):
        raise BootsFromError(f"can't write {OUTPUT}: it is a directory; move it away, or run this elsewhere")
    part = f".{OUTPUT}.{os.urandom(4).hex()}.part"
    try:
        # O_BINARY: Windows would turn \n into \r\n.
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
            _stop_if(caught)  # from here on the new image is whole
            os.replace(part, OUTPUT)
        finally:
            if os.path.exists(part):
                os.unlink(part)
    except OSError as error:
        raise BootsFromError(f"can't write {OUTPUT} in this directory: {_reason_and_remedy(error)}") from None
    _sync_directory()
    return permissions


def _note_termination_signals(caught: list[int]) -> dict[signal.Signals, "signal._HANDLER"]:
    """Note termination signals (Windows has fewer); return what handled them before.

    One that is ignored stays so: nohup ignores SIGHUP, and a shell SIGINT for what runs in the background. Only the
    main thread can do this.
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
        raise BootsFromError(f"ended by {signal.Signals(caught[0]).name}: {OUTPUT} is as it was before")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _reason_and_remedy(error: OSError) -> str:
    import errno

    remedies = {
        errno.ENOSPC: "free some space (the image needs about 11 MB), or run this elsewhere",
        errno.EDQUOT: "your quota is used up; free some space, or run this elsewhere",
        errno.EACCES: "run this in a directory where you may write",
        errno.EPERM: "run this in a directory where you may write",
        errno.EROFS: "run this in a directory where you may write",
    }
    return f"{_reason(error)}; {remedies.get(error.errno or 0, 'run this in another directory')}"


def _sync_directory() -> None:
    """Make the rename last through a power cut, where the system can (Windows can't open a directory)."""
    try:
        directory = os.open(".", os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(directory)
    except OSError:
        pass  # some network file systems refuse; the file itself is safe
    finally:
        os.close(directory)
