"""Network links that behave as real ones do, for QEMU's, which are up at once and stay up.

A real link is up some seconds after the driver has opened the card, and drops when the driver closes it. Here that is
true of e1000e cards: the receiver is enabled while the card is open (RCTL.EN, bit 1 of the register at 0x100 of BAR 0:
Intel 82574 datasheet, 10.2.5), which QEMU's monitor can read, and its set_link does the rest.
"""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.qmp import Monitor, MonitorClosedError

RESETS = "e1000e_core_ctrl_sw_reset"  # QEMU's trace event: the driver resets a card when it closes it
NEVER = float("inf")  # the seconds that an unplugged card's link takes

_RESETS_OF_CLOSING = 2  # by iPXE's driver
_INTERVAL = 0.01  # seconds; a closing takes iPXE 100 ms
_MOVES = 0.5  # seconds between two looks at where the firmware has put the cards
_RCTL, _RCTL_EN = 0x100, 2
_NOT_THERE = 0xFFFFFFFF  # what a read from where no device is returns


@dataclass(frozen=True)
class Link:
    """A card's link.

    `card` is QEMU's name of an e1000e card; `seconds` is how long the link takes to come up once the card is open;
    `changed` is called when it has come up (True) or dropped (False).
    """

    card: str
    seconds: float
    changed: Callable[[bool], object] = lambda up: None


@dataclass
class _State:
    """A link as it is now: whether it is up, and time.monotonic() of the card's opening, None while it is closed."""

    link: Link
    up: bool = False
    since: float | None = None


class Links:
    """The links of a machine, followed by a thread until the machine ends or `stop` is called.

    `opened` has the seconds for which each card was open, each time it was closed again.
    """

    def __init__(self, links: list[Link], monitor: Monitor, resets: Path) -> None:
        """Begin, with all links down.

        Args:
            links: what to follow.
            monitor: a connection that nobody else uses.
            resets: QEMU's log of the trace event RESETS.
        """
        self.opened: dict[str, list[float]] = {link.card: [] for link in links}
        self._states = [_State(link) for link in links]
        self._monitor, self._resets = monitor, resets
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow them no longer."""
        self._ended.set()
        self._thread.join()
        self._monitor.close()

    def _follow(self) -> None:
        explained = 0  # resets
        registers: dict[str, int] = {}
        looked = 0.0
        with suppress(MonitorClosedError):  # the machine has ended
            while not self._ended.wait(_INTERVAL):
                were_open = [state for state in self._states if state.since is not None]
                # Before the registers: the closing that explains a reset is seen there then.
                resets = self._resets.read_text().count(RESETS)
                if time.monotonic() - looked > _MOVES:
                    registers, looked = self._registers(), time.monotonic()
                for state in self._states:
                    self._step(state, state.link.card in registers and self._is_open(registers[state.link.card]))
                stayed = [state for state in were_open if state.since is not None]
                explained += _RESETS_OF_CLOSING * (len(were_open) - len(stayed))
                if resets > explained:
                    # A card was closed and opened again between two looks. Which one does not show: all that seem to
                    # have stayed open lose their links. Drivers reset cards before they open the first one, too.
                    for state in stayed:
                        self._step(state, is_open=False)
                    explained = resets

    def _registers(self) -> dict[str, int]:
        """Return where the firmware has put each card's registers; those that have no place are left out."""
        return {
            device["qdev_id"]: region["address"]
            for bus in self._monitor.run("query-pci")
            for device in bus["devices"]
            for region in device["regions"]
            if region["bar"] == 0 and region["address"] > 0
        }

    def _is_open(self, registers: int) -> bool:
        reply = self._monitor.run("human-monitor-command", **{"command-line": f"xp /1xw {registers + _RCTL:#x}"})
        shown = re.search(r": (0x[0-9a-f]{8})\s", reply)  # else "Cannot access memory": its memory space is disabled
        return shown is not None and int(shown[1], 16) != _NOT_THERE and bool(int(shown[1], 16) & _RCTL_EN)

    def _step(self, state: _State, is_open: bool) -> None:
        now = time.monotonic()
        if is_open and state.since is None:
            state.since = now
        elif not is_open and state.since is not None:
            self.opened[state.link.card].append(now - state.since)
            state.since = None
        up = state.since is not None and now - state.since >= state.link.seconds
        if up != state.up:
            state.up = up
            self._monitor.run("set_link", name=state.link.card, up=up)
            state.link.changed(up)
