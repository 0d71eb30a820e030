"""Emulated machines: firmware, boot medium, and what stands on the console.

A machine is QEMU with software emulation. Its console is the serial port, to which every firmware
here copies what it shows on the screen.
"""

import contextlib
import os
import re
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
WIDTH, HEIGHT = 80, 25  # of the screen that everything has to fit on
BANNER = "Open Source Network Boot Firmware"  # of iPXE itself


def _screen_line(pattern: str) -> str:
    """Return the text that boot.ipxe shows: the one group of a pattern that matches one place in it."""
    (text,) = re.findall(pattern, boot_script.text(), re.MULTILINE)
    return str(text)


_SECONDS = _screen_line(r"^set tens:int32 (\d)$") + "0"
# The last line of each diagnosis, behind the number of the try.
AGAIN = _screen_line(r"Try \$\{try\}\. (.*) && goto shell").replace("${tens}0", _SECONDS)
_DIAGNOSES = [_screen_line(rf"^:{label}\necho\necho (.*)$") for label in ("nocard", "scriptfailed", "failed")]

# A machine that shows one of these will not boot from the image any more: no need to wait for the timeout.
GIVEN_UP = re.compile(
    r"No bootable device|No bootable option or device was found|Failed to load ldlinux\.c32|Could not find kernel image"
    r"|isolinux\.bin missing or corrupt|Image checksum error|Boot failed: not a bootable disk|UEFI Interactive Shell"
    rf"|>>Start PXE|{'|'.join(map(re.escape, _DIAGNOSES))}|Security Violation"
    r"|Synchronous Exception|X64 Exception"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>A-Z])|[\x00\x08\x0f]")


def usb_keyboard(controller: str, *, pc: bool = True) -> list[str]:
    """Return QEMU's arguments for a machine whose only keyboard is on USB, as a BMC's is; a PC has PS/2 otherwise."""
    no_ps2 = ["-machine", "i8042=off"] if pc else []
    return [*no_ps2, "-device", f"{controller},id=usb", "-device", "usb-kbd,bus=usb.0"]


def ipxe() -> list[str]:
    """Return the user agents of the builds of iPXE in the image: the main one and the newer one."""
    packages = [line.split() for line in image.packages(image.read_template())]
    return [f"iPXE/{version}" for name, version, *_ in packages if name == "ipxe"]


# QEMU's user network: the host is 10.0.2.2. romfile=: without the card's own boot ROM, or QEMU's
# built-in iPXE would take over when ours fails, and look like success.
HOST = "10.0.2.2"
USER_NETWORK = ("-netdev", "user,id=lan0", "-device", "virtio-net-pci,netdev=lan0,romfile=")


IDLE = 10  # times as long as its limit a machine may take that the host lets wait


class Moment(float):
    """Seconds since power on, by the host's clock; in `waited` of them the machine waited for a core of the host."""

    waited: float

    def __new__(cls, seconds: float, waited: float) -> "Moment":
        """Make one of both."""
        moment = super().__new__(cls, seconds)
        moment.waited = waited
        return moment

    def after(self, earlier: "Moment") -> float:
        """Return the seconds that the machine has had since then: what a limit for it is compared with.

        What other processes took from it meanwhile is not counted, so that a limit holds on a busy host, too.
        """
        return self - earlier - (self.waited - earlier.waited)


class StartError(AssertionError):
    """QEMU did not start: nothing is known of what would have booted."""


class BootError(AssertionError):
    """The machine didn't show what was waited for; the message ends with its console."""


class Machine:
    """A running machine; a context manager that ends it."""

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
            firmware: what it is.
            media: QEMU's arguments for its drives.
            work: a directory that keeps its UEFI variables: another Machine with it is this one, powered on again.
            name: names the console's log file.
            network: QEMU's arguments for its network cards.
            enter: the words that run a command where the network is.
            links: those that are not up at once and for ever.

        Raises:
            StartError: QEMU doesn't start.
        """
        self.firmware = firmware
        self.console = ""
        self.banner = Moment(0, 0)  # iPXE's banner, for who waited for it
        self.diagnosed = Moment(0, 0)  # the last diagnosis
        self._raw = b""
        self._sockets = tempfile.TemporaryDirectory(prefix="qmp-")  # a socket's path is at most 107 bytes
        self._resets = Path(self._sockets.name, "resets")
        self._resets.touch()
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
                self.links = Links(slow, self._connect("links"), self._resets)
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
        """Give QEMU's monitor a command; raise AssertionError if it refuses, BootError if QEMU has ended."""
        assert self._monitor
        try:
            self._monitor.run(command, **arguments)
        except MonitorClosedError:
            raise self._error(f'ended before "{command}"') from None

    def bytes_read(self) -> int:
        """Return how much the machine has read from the medium with the image."""
        assert self._monitor
        drives = self._monitor.run("query-blockstats")
        return next(int(drive["stats"]["rd_bytes"]) for drive in drives if drive["device"] == "boot")

    def _pflash(self, work: Path) -> list[str]:
        arguments = []
        for unit, file in enumerate(self.firmware.pflash):
            drive = f"if=pflash,format=raw,unit={unit}"
            if unit == 0:
                drive += f",readonly=on,file={file}"
            else:
                own = work / file.name
                if not own.exists():
                    shutil.copyfile(file, own)
                drive += f",file={own}"
            arguments += ["-drive", drive]
        return arguments

    def _ports(self) -> list[str]:
        return [
            "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            # Names its threads: see Machine.now.
            "-name", "debug-threads=on",
            # A machine that resets itself has failed. -S: it starts when its links are as they should be.
            "-no-reboot", "-S", "-D", str(self._resets), "-d", f"trace:{RESETS}",
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
        """Return the time."""
        waited = 0
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                if (thread / "comm").read_text().startswith("CPU "):
                    # Nanoseconds that it ran, and that it waited to run: the kernel's documentation of sched-stats.
                    waited += int((thread / "schedstat").read_text().split()[1])
        return Moment(time.monotonic() - self.started, waited / 1e9)

    def wait_for(self, text: str, seconds: float, *, may_fail: bool = False, since: int = 0) -> Moment:
        """Wait until the console shows `text`; return when that was.

        Args:
            text: what to wait for.
            seconds: how long, from now, in seconds that the machine has (`Moment.after`), or IDLE times as many by
                the host's clock.
            may_fail: whether the machine is meant to give up, so that this is not an error.
            since: how much of the console to leave out, from its beginning.

        Raises:
            BootError: it doesn't in that time, the machine gave up, or it ended.
        """
        began = self.now()
        with self._changed:
            while text not in self.console[since:]:
                if not may_fail and (gave_up := GIVEN_UP.search(self.console)):
                    raise self._error(f'said "{gave_up[0]}" before "{text}"')
                if self._ended:
                    raise self._error(f'ended before "{text}"')
                if self._changed.wait(1):
                    continue
                now = self.now()
                if now.after(began) > seconds or now - began > IDLE * seconds:
                    raise self._error(f'did not show "{text}" in {seconds:.0f} s')
            return self.now()

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the machine resets itself or switches itself off; raise BootError if it doesn't."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, IDLE * seconds):
                raise self._error(f"still ran after {seconds:.0f} s")

    def is_idle_for(self, seconds: float) -> bool:
        """Return whether the machine shows nothing new, and does not reset itself, for so long.

        What it is still drawing, in the first two seconds that it has, does not count.
        """
        began = self.now()
        while (now := self.now()).after(began) < 2 and now - began < 2 * IDLE:
            time.sleep(0.2)
        with self._changed:
            before = len(self._raw)
            return not self._changed.wait_for(lambda: self._ended or len(self._raw) != before, seconds)

    def wait_for_diagnosis(self, seconds: float, since: int = 0) -> str:
        """Wait for the diagnosis of a failed try and return the screen, its lines joined as they wrap.

        A line of all 80 columns goes on in the next: BIOS breaks words there.

        Raises:
            BootError: it does not come in that time.
        """
        self.diagnosed = self.wait_for(AGAIN, seconds, may_fail=True, since=since)
        return "".join(line if len(line) == WIDTH else line + "\n" for line in self.screen())

    def open_shell(self, press: Callable[[], None]) -> None:
        """Press "s" while a diagnosis is shown; raise BootError if iPXE's shell does not open."""
        since = len(self.console)
        press()
        self.wait_for("iPXE> ", 10, may_fail=True, since=since)

    def screen(self) -> list[str]:
        """Return what stands on an 80x25 screen now: its lines, without trailing spaces or empty ones at the end."""
        terminal = pyte.Screen(WIDTH, HEIGHT)
        pyte.Stream(terminal).feed(self._raw.decode("cp437"))  # which draws MokManager's frames
        lines = [line.rstrip() for line in terminal.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def press(self, *keys: str, shows: str = "") -> None:
        """Press and release keys of the machine's keyboard, one after the other, by QEMU's names for them.

        Args:
            keys: what to press.
            shows: what the console has to show then, if anything.
        """
        since = len(self.console)
        for key in keys:
            self.monitor("send-key", keys=[{"type": "qcode", "data": key}])
            time.sleep(0.25)  # QEMU holds it for 0.1 s
        if shows:
            self.wait_for(shows, 20, may_fail=True, since=since)

    def enter_text(self, text: str) -> None:
        """Type at the serial console."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _error(self, what: str, kind: type[AssertionError] = BootError) -> AssertionError:
        if self._process.poll() is not None:
            self._reader.join()  # to have its last words
        lines = [line for line in self.console.splitlines() if line.strip()]
        tail = "\n".join(lines[-40:])
        return kind(f"{self.firmware.name} {what}; log: {self._log.name}\n{tail}")

    def pin(self, core: int) -> None:
        """Let it run on one of the host's cores only."""
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    def end(self) -> None:
        """Cut its power."""
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
