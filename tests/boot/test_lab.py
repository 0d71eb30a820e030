"""The test lab itself: a machine or server that does not start, or dies, fails the test at once and shows its log."""

import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from boots_from import image
from lab import build_cache, debian
from lab.firmware import BIOS
from lab.lan import Lan
from lab.machine import BANNER, BootError, Machine, StartError
from lab.media import AHCI_CD
from template import apt
from template.paths import CACHE, PACKAGES
from template.pins import load_pins


def test_missing_medium_raises_start_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"Could not open '.*/no.iso': No such file or directory"):
        Machine(BIOS, AHCI_CD.arguments(tmp_path / "no.iso"), tmp_path, "lab-no-start")


def test_killed_machine_raises_boot_error_at_once(tmp_path: Path) -> None:
    """The error comes when the machine ends, not after the timeout of a million seconds."""
    with Machine(BIOS, [], tmp_path, "lab-dies") as running:
        # Without a medium SeaBIOS prints this, which on a busy host came before the kill, as another error.
        running.wait_for("No bootable device", BIOS.seconds, may_fail=True)
        running.end()
        with pytest.raises(BootError, match=r"(?s)ended before \"more\".*SeaBIOS"):
            running.wait_for("more", 1e6, may_fail=True)
        with pytest.raises(BootError, match=r"(?s)ended before \"system_reset\".*SeaBIOS"):
            running.monitor("system_reset")


def test_wait_limit_excludes_time_without_cpu(tmp_path: Path) -> None:
    """On a core shared with two busy processes, a machine gets about a third of the time, less on a busy host."""
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


def test_server_with_bad_configuration_shows_log(lan: Lan) -> None:
    with pytest.raises(AssertionError, match=r"(?s)nginx ended: .*unknown directive \"nonsense\""):
        lan.http("nonsense;")


def test_failing_test_shows_server_log(
    tmp_path: Path, server_programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), Lan(tmp_path, server_programs) as lan:
        lan.segment()
        raise ZeroDivisionError
    assert "end of the log of dnsmasq0\n" in (shown := capsys.readouterr().out)
    assert "started, version" in shown


def test_changed_pins_are_unpacked_again_and_downloads_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the directories have the names that they have in the checkout."""
    pin = next(pin for pin in load_pins(PACKAGES) if pin.name == "isolinux")
    (package,) = apt.fetch([pin], CACHE)
    cache = tmp_path / "build" / CACHE.name
    cache.mkdir(parents=True)
    deb = Path(shutil.copy(package.deb, cache))
    os.utime(deb, (0, 0))  # a new download has another time
    monkeypatch.setattr(build_cache, "BUILD", tmp_path / "build")
    monkeypatch.setattr(debian, "CACHE", cache)
    pins = tmp_path / PACKAGES.name
    table = "[[package]]\n" + "".join(f'{key} = "{value}"\n' for key, value in asdict(pin).items() if value)
    for text in (table, f"{table}# changed\n"):
        pins.write_text(text)
        assert (debian.unpack(pins) / "usr/lib/ISOLINUX/isolinux.bin").exists()
        assert deb.stat().st_mtime == 0
