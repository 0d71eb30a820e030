"""Emulated machines: power on, watch the console, press keys.

A machine is QEMU with software emulation. Its console is the serial port, to which the firmware copies everything that
it shows on the screen.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

import pyte

from boots_from import boot_script, image
from lab.firmware import Firmware
from lab.link import RESETS, Link, Links
from lab.qmp import Monitor, MonitorClosedError
from template.paths import BUILD

LOGS = BUILD / "boot-logs"
WIDTH, HEIGHT = 80, 25  # columns and lines of the smallest screen
BANNER = "Open Source Network Boot Firmware"  # iPXE's


_SCRIPT = boot_script.text()


def _screen_line(pattern: str) -> str:
    """Return the text that boot.ipxe shows: the one group of a pattern that matches one place in it."""
    (text,) = re.findall(pattern, _SCRIPT, re.MULTILINE)
    return str(text)


_SECONDS = _screen_line(r"^set tens:int32 (\d)$") + "0"
# The last line of each diagnosis, behind the number of the try.
AGAIN = _screen_line(r"Try \$\{try\}\. (.*) && goto shell").replace("${tens}0", _SECONDS)
_DIAGNOSES = [_screen_line(rf"^:{label}\necho\necho (.*)$") for label in ("nocard", "scriptfailed", "failed")]

# After one of these messages a machine will not boot from the image, so there is no need to wait for the timeout.
GIVEN_UP = re.compile(
    r"No bootable device|No bootable option or device was found|Failed to load ldlinux\.c32|Could not find kernel image"
    r"|isolinux\.bin missing or corrupt|Image checksum error|Boot failed: not a bootable disk|UEFI Interactive Shell"
    rf"|>>Start PXE|{'|'.join(map(re.escape, _DIAGNOSES))}|Security Violation"
    r"|Synchronous Exception|X64 Exception"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>A-Z])|[\x00\x08\x0f]")


def usb_keyboard(controller: str, *, pc: bool = True) -> list[str]:
    """Return QEMU arguments for a machine whose only keyboard is on USB, as on a BMC.

    Args:
        controller: the QEMU model of the USB controller.
        pc: whether the machine has a PS/2 controller, which is then removed.
    """
    no_ps2 = ["-machine", "i8042=off"] if pc else []
    return [*no_ps2, "-device", f"{controller},id=usb", "-device", "usb-kbd,bus=usb.0"]


def ipxe() -> list[str]:
    """Return the user agents of the main iPXE and the ECDSA iPXE, in this order."""
    packages = [line.split() for line in image.packages(image.read_template())]
    return [f"iPXE/{version}" for name, version, *_ in packages if name == "ipxe"]


def nonce_script(settings: str = "") -> tuple[str, str]:
    """Return a nonce, and an iPXE script that prints it and then iPXE settings."""
    nonce = secrets.token_hex(8)
    # The sleep keeps later output from the console until the nonce has been read.
    return nonce, f"#!ipxe\necho {nonce} {settings}\nsleep 600\n"


# In the user network of QEMU the host is 10.0.2.2. romfile= removes the boot ROM of the card: it is an iPXE, which
# would take over if the iPXE in the image failed, and look like success.
HOST = "10.0.2.2"
USER_NETWORK = ("-netdev", "user,id=lan0", "-device", "virtio-net-pci,netdev=lan0,romfile=")


IDLE = 10  # by the clock of a busy host a machine may take this many times its limit


class Moment(float):
    """Seconds since power-on by the clock of the host; during `waited` of them the machine waited for a CPU core."""

    waited: float

    def __new__(cls, seconds: float, waited: float) -> "Moment":
        """Combine both numbers of seconds."""
        moment = super().__new__(cls, seconds)
        moment.waited = waited
        return moment

    def after(self, earlier: "Moment") -> float:
        """Return the seconds since an earlier moment, without the time that the machine waited for a core.

        Limits are compared with this number, so that they hold also on a busy host.
        """
        return self - earlier - (self.waited - earlier.waited)


class StartError(AssertionError):
    """QEMU did not start, so that it is unknown whether the machine would boot."""


class BootError(AssertionError):
    """The machine did not show the expected text; the message ends with its console."""


class Machine:
    """A running machine; a context manager that powers it off."""

    def __init__(
        self,
        firmware: Firmware,
        media: list[str],
        work: Path,
        name: str,
        network: Iterable[str] = USER_NETWORK,
        *,
        enter: Iterable[str] = (),
        links: Iterable[Link] = (),
    ) -> None:
        """Power the machine on.

        Args:
            firmware: the kind of machine.
            media: QEMU arguments for the drives.
            work: the directory for the UEFI variables; with the same directory a new Machine is this one, powered on
                again.
            name: the name of the console log.
            network: QEMU arguments for the network cards.
            enter: the command line that runs a command in the network namespace.
            links: links that behave like real ones, instead of being always up.

        Raises:
            StartError: QEMU does not start.
        """
        self.firmware = firmware
        self.console = ""
        self.banner = Moment(0, 0)  # time of the iPXE banner, set by callers that wait for it
        self.diagnosed = Moment(0, 0)  # time of the last diagnosis
        self._raw = b""
        self._sockets = tempfile.TemporaryDirectory(prefix="qmp-")  # short, because a socket path has at most 107 bytes
        self._events = Path(self._sockets.name, "events")
        self._events.touch()
        self._changed = threading.Condition()
        self._ended = False
        LOGS.mkdir(parents=True, exist_ok=True)
        self._log = (LOGS / f"{name}.log").open("wb")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [*enter, *firmware.command, *self._pflash(work), *media, *network, *self._ports()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.links: Links | None = None
        self._monitor: Monitor | None = None
        try:
            self._monitor = self._connect("monitor")
            slow = list(links)
            for link in slow:
                self._monitor.run("set_link", name=link.card, up=False)
            if slow:
                self.links = Links(slow, self._connect("links"), self._events)
            self._monitor.run("cont")
        except BaseException:
            self._close()
            raise

    def _connect(self, name: str) -> Monitor:
        try:
            return Monitor(Path(self._sockets.name, name), lambda: self._ended)
        except MonitorClosedError:
            raise self._error("did not start", StartError) from None

    def monitor(self, command: str, **arguments: object) -> None:
        """Run a command of the QEMU monitor; raise AssertionError if QEMU refuses it, BootError if QEMU has ended."""
        assert self._monitor
        try:
            self._monitor.run(command, **arguments)
        except MonitorClosedError:
            raise self._error(f'ended before "{command}"') from None

    def bytes_read(self) -> int:
        """Return how many bytes the machine has read from the medium with the image."""
        assert self._monitor
        drives = self._monitor.run("query-blockstats")
        return next(int(drive["stats"]["rd_bytes"]) for drive in drives if drive["device"] == "boot")

    def events(self, name: str) -> int:
        """Return how often QEMU has traced an event; the `command` of the firmware turns it on with -trace."""
        return self._events.read_text().count(name)

    def _pflash(self, work: Path) -> list[str]:
        arguments = []
        for unit, file in enumerate(self.firmware.pflash):
            drive = f"if=pflash,format=raw,unit={unit}"
            if unit == 0:
                drive += f",readonly=on,file={file}"
            else:
                copy = work / file.name
                if not copy.exists():
                    shutil.copyfile(file, copy)
                drive += f",file={copy}"
            arguments += ["-drive", drive]
        return arguments

    def _ports(self) -> list[str]:
        return [
            "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            # Gives the threads names, which Machine.now needs.
            "-name", "debug-threads=on",
            # -no-reboot: a machine that resets itself has failed. -S: start only after the links are set.
            "-no-reboot", "-S", "-D", str(self._events), "-d", f"trace:{RESETS}",
            "-qmp", f"unix:{self._sockets.name}/monitor,server=on,wait=off",
            "-qmp", f"unix:{self._sockets.name}/links,server=on,wait=off",
        ]  # fmt: skip

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read1(65536):  # type: ignore[attr-defined]
            self._log.write(chunk)
            self._log.flush()
            with self._changed:
                self._raw += chunk
                self.console = _ESCAPES.sub("", self._raw.decode("utf-8", "replace"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def now(self) -> Moment:
        """Return the current moment."""
        waited = 0
        with contextlib.suppress(OSError):  # QEMU has ended
            for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                if (thread / "comm").read_text().startswith("CPU "):
                    # Nanoseconds on a core, then waiting for one: Linux, Documentation/scheduler/sched-stats.rst.
                    waited += int((thread / "schedstat").read_text().split()[1])
        return Moment(time.monotonic() - self.started, waited / 1e9)

    def wait_for(self, text: str, seconds: float, *, may_fail: bool = False, since: int = 0) -> Moment:
        """Wait until the console shows `text`; return that moment.

        Args:
            text: the text to wait for.
            seconds: the limit from now on, without the time that the machine waits for a core (see Moment.after), or
                IDLE times as much by the clock of the host.
            may_fail: whether to go on waiting after a message of GIVEN_UP, because the machine is expected to fail.
            since: the number of characters to ignore at the beginning of the console.

        Raises:
            BootError: the limit has passed, the machine gave up, or QEMU ended.
        """
        began = self.now()
        with self._changed:
            while text not in self.console[since:]:
                if not may_fail and (gave_up := GIVEN_UP.search(self.console)):
                    raise self._error(f'showed "{gave_up[0]}" before "{text}"')
                if self._ended:
                    raise self._error(f'ended before "{text}"')
                if self._changed.wait(1):
                    continue
                now = self.now()
                if now.after(began) > seconds or now - began > IDLE * seconds:
                    raise self._error(f'did not show "{text}" in {seconds:.0f} s')
            return self.now()

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the machine resets itself or powers itself off; raise BootError if it still runs."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, IDLE * seconds):
                raise self._error(f"still runs after {seconds:.0f} s")

    def is_idle_for(self, seconds: float) -> bool:
        """Return whether the machine prints nothing and does not reset itself for this time.

        Output in the first two seconds does not count, because the machine may still be drawing.
        """
        began = self.now()
        while (now := self.now()).after(began) < 2 and now - began < 2 * IDLE:
            time.sleep(0.2)
        with self._changed:
            before = len(self._raw)
            return not self._changed.wait_for(lambda: self._ended or len(self._raw) != before, seconds)

    def wait_for_diagnosis(self, seconds: float, since: int = 0) -> str:
        """Wait for the diagnosis of a failed try; return the screen, with wrapped lines joined.

        A line that fills all 80 columns continues in the next line, because BIOS wraps in the middle of a word.

        Raises:
            BootError: there is no diagnosis within so many seconds.
        """
        self.diagnosed = self.wait_for(AGAIN, seconds, may_fail=True, since=since)
        return "".join(line if len(line) == WIDTH else line + "\n" for line in self.screen())

    def open_shell(self, press: Callable[[], None]) -> None:
        """Call `press` while a diagnosis is shown; raise BootError if the iPXE shell does not open."""
        since = len(self.console)
        press()
        self.wait_for("iPXE> ", 10, may_fail=True, since=since)

    def screen(self) -> list[str]:
        """Return the lines of the 80x25 screen, without trailing spaces and without empty lines at the end."""
        terminal = pyte.Screen(WIDTH, HEIGHT)
        pyte.Stream(terminal).feed(self._raw.decode("cp437"))  # has the box-drawing characters of MokManager
        lines = [line.rstrip() for line in terminal.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def press(self, *keys: str, shows: str = "") -> None:
        """Press and release keys of the keyboard, one after the other.

        Args:
            keys: the QEMU names of the keys.
            shows: a text to wait for afterwards, or "".

        Raises:
            BootError: the console does not show the text.
        """
        since = len(self.console)
        for key in keys:
            self.monitor("send-key", keys=[{"type": "qcode", "data": key}])
            time.sleep(0.25)  # QEMU holds the key for 0.1 s
        if shows:
            self.wait_for(shows, 20, may_fail=True, since=since)

    def enter_text(self, text: str) -> None:
        """Type text on the serial console."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _error(self, what: str, kind: type[AssertionError] = BootError) -> AssertionError:
        if self._process.poll() is not None:
            self._reader.join()  # wait for the last output
        lines = [line for line in self.console.splitlines() if line.strip()]
        tail = "\n".join(lines[-40:])
        return kind(f"{self.firmware.name} {what}; log: {self._log.name}\n{tail}")

    def pin(self, core: int) -> None:
        """Restrict the machine to one core of the host."""
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    def end(self) -> None:
        """Power the machine off."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.end()
        if self.links:
            self.links.stop()
        if self._monitor:
            self._monitor.close()
        self._sockets.cleanup()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream:
                stream.close()
