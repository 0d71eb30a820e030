"""The tests' own machines and servers: one that does not start, or dies, fails its test at once, with its log."""

import time
from pathlib import Path

import pytest

from lab.firmware import BIOS
from lab.lan import Lan
from lab.machine import BootError, Machine, StartError
from lab.media import AHCI_CD


def test_machine_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"Could not open '.*/no.iso': No such file or directory"):
        Machine(BIOS, AHCI_CD.arguments(tmp_path / "no.iso"), tmp_path, "lab-no-start")


def test_machine_that_dies(tmp_path: Path) -> None:
    began = time.monotonic()
    with Machine(BIOS, [], tmp_path, "lab-dies") as running:
        running.wait_for("SeaBIOS", BIOS.seconds, may_fail=True)
        running.end()
        with pytest.raises(BootError, match=r"(?s)ended before \"more\".*SeaBIOS"):
            running.wait_for("more", 60)
        with pytest.raises(BootError, match=r"(?s)ended before \"system_reset\".*SeaBIOS"):
            running.monitor("system_reset")
    assert time.monotonic() - began < 20


def test_server_that_does_not_start(lan: Lan) -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"(?s)nginx ended: .*unknown directive \"nonsense\""):
        lan.http("nonsense;")
    assert time.monotonic() - began < 10


def test_log_of_a_server_is_shown_with_a_test_that_fails(
    tmp_path: Path, servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), Lan(tmp_path, servers) as lan:
        lan.segment()
        raise ZeroDivisionError
    assert "dnsmasq0's log\n" in (shown := capsys.readouterr().out)
    assert "started, version" in shown
