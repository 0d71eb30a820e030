"""Gives e1000e cards links that behave like real ones. In QEMU a link is up at once and stays up.

A real link comes up some seconds after the driver has opened the card, and drops when the driver closes it. While an
e1000e card is open, its receiver is enabled (RCTL.EN, bit 1 of the register at 0x100 of BAR 0: Intel 82574 datasheet,
10.2.5). A thread reads that register through the QEMU monitor, and switches the link with the command set_link.
"""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.qmp import Monitor, MonitorClosedError

RESETS = "e1000e_core_ctrl_sw_reset"  # QEMU trace event of a reset, which the driver does when it closes a card
NEVER = float("inf")  # `seconds` of the link of an unplugged card

_RESETS_OF_CLOSING = 2  # resets by the iPXE driver each time it closes a card
_INTERVAL = 0.01  # seconds between two reads; iPXE takes 100 ms to close a card
_MOVES = 0.5  # seconds between two queries for the addresses of the cards, which the firmware may change
_RCTL, _RCTL_EN = 0x100, 2
_NO_DEVICE = 0xFFFFFFFF  # value of a read from an address without a device


@dataclass(frozen=True)
class Link:
    """The link of a card.

    `card` is the QEMU id of an e1000e card; `seconds` is the time from opening the card until its link is up; `changed`
    is called when the link has come up (True) or dropped (False).
    """

    card: str
    seconds: float
    changed: Callable[[bool], object] = lambda up: None


@dataclass
class _State:
    """The state of a link: whether it is up, and when the card was opened (time.monotonic(), None if it is closed)."""

    link: Link
    up: bool = False
    since: float | None = None


class Links:
    """The links of a machine, switched by a thread until the machine ends or `stop` is called.

    `opened` lists for each card the seconds that it was open, each time it was closed.
    """

    def __init__(self, links: list[Link], monitor: Monitor, resets: Path) -> None:
        """Start the thread. All links are down.

        Args:
            links: the links to switch.
            monitor: a connection to the QEMU monitor that is used only here.
            resets: the QEMU log of the trace event RESETS.
        """
        self.opened: dict[str, list[float]] = {link.card: [] for link in links}
        self._states = [_State(link) for link in links]
        self._monitor, self._resets = monitor, resets
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()
        self._monitor.close()

    def _follow(self) -> None:
        explained = 0  # resets that are explained by closings that were seen
        registers: dict[str, int] = {}
        queried = 0.0
        with suppress(MonitorClosedError):  # the machine has ended
            while not self._ended.wait(_INTERVAL):
                were_open = [state for state in self._states if state.since is not None]
                # Count the resets before reading the registers, which then show the closing that explains a reset.
                resets = self._resets.read_text().count(RESETS)
                if time.monotonic() - queried > _MOVES:
                    registers, queried = self._registers(), time.monotonic()
                for state in self._states:
                    self._step(state, state.link.card in registers and self._is_open(registers[state.link.card]))
                still_open = [state for state in were_open if state.since is not None]
                explained += _RESETS_OF_CLOSING * (len(were_open) - len(still_open))
                if resets > explained:
                    # A card was closed and opened again between two reads. It is not known which one, so the links of
                    # all cards drop that seem to have stayed open. Drivers also reset cards before they open the first
                    # one.
                    for state in still_open:
                        self._step(state, is_open=False)
                    explained = resets

    def _registers(self) -> dict[str, int]:
        """Return the addresses of the registers, by card; cards to which the firmware assigned none are left out."""
        return {
            device["qdev_id"]: region["address"]
            for bus in self._monitor.run("query-pci")
            for device in bus["devices"]
            for region in device["regions"]
            if region["bar"] == 0 and region["address"] > 0
        }

    def _is_open(self, registers: int) -> bool:
        reply = self._monitor.run("human-monitor-command", **{"command-line": f"xp /1xw {registers + _RCTL:#x}"})
        # Without a match the reply is "Cannot access memory": memory access is disabled for the card.
        value = re.search(r": (0x[0-9a-f]{8})\s", reply)
        return value is not None and int(value[1], 16) != _NO_DEVICE and bool(int(value[1], 16) & _RCTL_EN)

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
