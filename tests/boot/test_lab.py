"""The tests' own machines and servers: one that does not start, or dies, fails its test at once, with its log."""

import os
import subprocess
from pathlib import Path

import pytest

from boots_from import image
from lab.firmware import BIOS
from lab.lan import Lan
from lab.machine import BANNER, BootError, Machine, StartError
from lab.media import AHCI_CD


def test_machine_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"Could not open '.*/no.iso': No such file or directory"):
        Machine(BIOS, AHCI_CD.arguments(tmp_path / "no.iso"), tmp_path, "lab-no-start")


def test_machine_that_dies(tmp_path: Path) -> None:
    """It is the end that is noticed, not the time-out."""
    with Machine(BIOS, [], tmp_path, "lab-dies") as running:
        # What it says without a medium: a machine that gives up is an error of its own, and came first on a busy host.
        running.wait_for("No bootable device", BIOS.seconds, may_fail=True)
        running.end()
        with pytest.raises(BootError, match=r"(?s)ended before \"more\".*SeaBIOS"):
            running.wait_for("more", 1e6, may_fail=True)
        with pytest.raises(BootError, match=r"(?s)ended before \"system_reset\".*SeaBIOS"):
            running.monitor("system_reset")


def test_limit_of_a_machine_is_in_seconds_that_it_has(tmp_path: Path) -> None:
    """On a core on which two others compute, too, it has about a third of them, and less where the host is busy."""
    core = min(os.sched_getaffinity(0))
    media = AHCI_CD.arguments(tmp_path / "boots-from.iso")
    script = b"#!ipxe\nset x:int32 0\n:again\ninc x\ngoto again\n"
    (tmp_path / "boots-from.iso").write_bytes(image.fill(image.read_template(), script))
    busy = [subprocess.Popen(["taskset", "-c", str(core), "sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        with Machine(BIOS, media, tmp_path, "lab-busy") as running:
            running.wait_for(BANNER, BIOS.seconds)
            running.pin(core)
            began = running.now()
            with pytest.raises(BootError, match=r'did not show "more" in 2 s'):
                running.wait_for("more", 2)
            now = running.now()
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert 0 < now.after(began) < 5
    assert now - began > now.after(began) + 1


def test_server_that_does_not_start(lan: Lan) -> None:
    with pytest.raises(AssertionError, match=r"(?s)nginx ended: .*unknown directive \"nonsense\""):
        lan.http("nonsense;")


def test_log_of_a_server_is_shown_with_a_test_that_fails(
    tmp_path: Path, servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), Lan(tmp_path, servers) as lan:
        lan.segment()
        raise ZeroDivisionError
    assert "dnsmasq0's log\n" in (shown := capsys.readouterr().out)
    assert "started, version" in shown
