"""The command: boots-from URL writes ./boots-from.iso. The words the user reads."""

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import NoReturn

from boots_from import __version__, chain_url, image
from boots_from.boot_script import redact
from boots_from.errors import BootsFromError

OUTPUT = "boots-from.iso"
MODE = 0o644  # less what the umask takes away
WIDTH = 80  # columns

BOOTS_ON = """\
Boots      x86 BIOS; x86-64, ARM64, RISC-V 64 and LoongArch64 UEFI
           (Secure Boot asks once: enroll grubx64.efi, on ARM64 grubaa64.efi)
BMC/iKVM   attach boots-from.iso as virtual CD-ROM or virtual USB
USB stick  Linux:   sudo dd if=boots-from.iso of=/dev/sdX bs=1M conv=fsync
           Windows: Rufus or balenaEtcher (this erases the stick)
"""


class _InterruptedError(BootsFromError):
    """A signal ended the command before the image was whole."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows the command's name; by default the process's own.

    Returns:
        The exit status: 0 written, 2 for anything the user can mend, 1 for an internal fault.
    """
    options = _parser().parse_args(arguments)
    try:
        return _print_version() if options.version else _bake(options.url)
    except BootsFromError as error:
        return _fail(str(error), 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", 2)
    except Exception as error:  # the one place that turns a fault of ours into a status
        return _fail(f"internal fault, please report it: {type(error).__name__}: {error}", 1)


def _fail(message: str, status: int) -> int:
    print(f"boots-from: {message}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"boots-from: {message}: run boots-from URL, or boots-from --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="boots-from",
        usage="boots-from URL",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        description=f"Write ./{OUTPUT}: an image that boots a machine from a URL. Attach it to a\n"
        "BMC as virtual media, or write it to a CD or USB stick. It loads iPXE, gets an\n"
        "address by DHCP and boots what the URL names.",
        epilog=_help_table(),
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="what to boot from; in quotes if it has & or $")
    parser.add_argument(
        "--version",
        action="store_true",
        help="show the version, the firmware inside, what Secure Boot asks for, and the template's SHA-256",
    )
    return parser


def _help_table() -> str:
    lines = ["URLs:"]
    for scheme in chain_url.SCHEMES:
        if scheme.boot:
            lines += [f"  {scheme.form}", f"      {scheme.transport}; {scheme.boot}"]
        else:
            why, _, mend = scheme.instead.partition("; ")
            lines += [f"  {scheme.form}", f"      no: {why};", f"      {mend}"]
    lines += ["", "iPXE settings such as ${net0/mac} and ${uuid} are filled in at boot."]
    return "\n".join(lines)


def _print_version() -> int:
    template = image.read_template()
    print(f"boots-from {__version__}")
    for line in image.firmware(template):
        package, version, suite, _ = line.split()
        print(f"firmware {package} {version} (Debian {suite})")
    for line in image.enrolled_hashes(template):
        path, sha256, what = line.split(maxsplit=2)
        print(f"Secure Boot, {what}: enroll {path}; MokManager shows SHA256 hash")
        for row in image.mok_rows(sha256):
            print(f"  {row}")
    print(f"template SHA-256 {_sha256([template])}")
    return 0


def _bake(url: str | None) -> int:
    import threading

    if url is None:
        raise BootsFromError("no URL: run boots-from URL, or boots-from --help")
    parsed = chain_url.parse(url)
    script = image.script_for(parsed)
    baked = image.pieces(image.read_template(), script)
    for warning in parsed.warnings:
        print(f"boots-from: warning: {warning}", file=sys.stderr)
    digests: list[str] = []
    # While the disk is at work: it takes as long as the writing.
    hashing = threading.Thread(target=lambda: digests.append(_sha256(baked)))
    hashing.start()
    try:
        _write(baked)
    finally:
        hashing.join()

    # The script first: what one needs next is then the last on the screen.
    print("Script:")
    for line in redact(script, parsed).decode("ascii").splitlines():
        if line and not line.startswith("# "):
            print(_fold("  " + line))
    size = sum(map(len, baked))
    print(f"{OUTPUT}  {size / 1e6:.1f} MB ({size:,} bytes)")
    print(f"SHA-256    {digests[0]}")
    print(BOOTS_ON, end="")
    sys.stdout.flush()
    return 0


def _sha256(pieces: Iterable[bytes | memoryview]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _fold(line: str) -> str:
    """Break a line at the screen's width; what continues is indented."""
    lines = [line[:WIDTH]]
    rest = line[WIDTH:]
    while rest:
        lines.append("    " + rest[: WIDTH - 4])
        rest = rest[WIDTH - 4 :]
    return "\n".join(lines)


def _write(baked: list[bytes | memoryview]) -> None:
    """Write the image beside its final name, then rename: either the old file stands there or the whole new one."""
    if os.path.isdir(OUTPUT):
        raise BootsFromError(f"can't write {OUTPUT}: it is a directory; move it away, or run this elsewhere")
    part = f".{OUTPUT}.{os.urandom(4).hex()}.part"
    # SIGTERM and SIGHUP end Python without clean-up unless they are exceptions, as SIGINT is.
    handlers = _handle_endings(_raise_interrupted)
    try:
        # O_BINARY: Windows would turn \n into \r\n.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(part, flags, MODE), "wb", buffering=0) as file:
            for piece in baked:
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
        _handle_endings(signal.SIG_IGN)  # from here on the new image is whole
        os.replace(part, OUTPUT)
    except OSError as error:
        raise BootsFromError(f"can't write {OUTPUT} in this directory: {_why(error)}") from None
    finally:
        _handle_endings(signal.SIG_IGN)
        if os.path.exists(part):
            os.unlink(part)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    _sync_directory()


def _handle_endings(handler: "signal._HANDLER") -> dict[signal.Signals, "signal._HANDLER"]:
    """Handle the signals that end a command (Windows has fewer); return what handled them before."""
    numbers = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return {number: signal.signal(number, handler) for number in numbers}


def _raise_interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise _InterruptedError(f"ended by {signal.Signals(number).name}: {OUTPUT} is as it was before")


def _why(error: OSError) -> str:
    import errno

    mends = {
        errno.ENOSPC: "free some space (the image needs about 15 MB), or run this elsewhere",
        errno.EDQUOT: "your quota is used up; free some space, or run this elsewhere",
        errno.EACCES: "run this in a directory where you may write",
        errno.EPERM: "run this in a directory where you may write",
        errno.EROFS: "run this in a directory where you may write",
    }
    text = (error.strerror or str(error)).lower()
    mend = mends.get(error.errno or 0, "run this in another directory")
    return f"{text}; {mend}"


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
