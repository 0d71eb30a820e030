"""How long, how large, against what: python -m bench, in the checkout. Each time is a median, with its range."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

import boots_from
from boots_from import boot_url, image
from lab import boot_matrix, browser, machine, page_observer
from lab.firmware import BIOS, UEFI, Firmware
from lab.media import AHCI_CD
from lab.recording_server import serve
from template import image_map
from template.build_tools import run
from web import build_page

URL = "http://bootserver.example/boot"
PYTHON = [sys.executable, "-I"]
COMMAND = [*PYTHON, "-c", "import sys; from boots_from.cli import main; sys.exit(main())", URL]  # as pip's scripts do


def milliseconds(action: Callable[[], object], runs: int) -> list[float]:
    """Return the times of `runs` calls, after one that isn't counted."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - start))
    return times


def in_turn(actions: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Return the times of several actions by turns, so that all meet the same load, after a turn that isn't counted."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(runs + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def copy(source: Path, target: Path, *, sync: bool = False) -> None:
    """Copy a file; with `sync`, until it is on the disk."""
    shutil.copyfile(source, target)
    if sync:
        with target.open("rb") as copied:
            os.fsync(copied.fileno())


def process(command: list[str]) -> None:
    """Run a command that has to succeed."""
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"bench: {command} failed")


def peak_memory() -> float:
    """Return the peak memory of the command in MiB, as its own process sees it (VmHWM in proc(5))."""
    code = f"from boots_from.cli import main; main([{URL!r}]); print(open('/proc/self/status').read())"
    printed = subprocess.run([*PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout
    return int(printed.partition("VmHWM:")[2].split()[0]) / 1024


def row(what: str, times: list[float], unit: str = "ms") -> float:
    """Print a line of the table; return the median."""
    median = statistics.median(times)
    print(f"{what:<46} {median:9.1f} {unit:<4} ({min(times):.1f} to {max(times):.1f}, {len(times)} runs)", flush=True)
    return median


def verdict(what: str, holds: bool) -> bool:
    """Print whether a target is met, and return it."""
    print(f"  {'met' if holds else 'MISSED'}: {what}", flush=True)
    return holds


def remaster(directory: Path) -> None:
    """Bake by hand: take the ESP out of the template, put the script into it, and remaster the ISO."""
    template = Path(image.__file__).with_name("template.iso")
    script, parts, output = directory / "autoexec.ipxe", directory / "parts", directory / "remastered.iso"
    script.write_text(f"#!ipxe\ndhcp\nchain {URL}\n")
    shutil.rmtree(parts, ignore_errors=True)
    output.unlink(missing_ok=True)
    esp = parts / "eltorito_img2_uefi.img"
    xorriso = ["xorriso", "-no_rc"]
    files = ["-map", script, "/EFI/BOOT/autoexec.ipxe", "-append_partition", "2", "0xef", esp]
    for command in (
        [*xorriso, "-osirrox", "on", "-indev", template, "-extract_boot_images", parts],
        ["chmod", "u+w", esp],
        ["mcopy", "-o", "-i", esp, script, "::EFI/BOOT/autoexec.ipxe"],
        [*xorriso, "-indev", template, "-outdev", output, *files, "-boot_image", "any", "replay"],
    ):
        subprocess.run([str(word) for word in command], check=True, capture_output=True)


def boots(firmware: Firmware, bake: Callable[[str], bytes], work: Path) -> float:
    """Return the seconds from power on to the first request, booting from CD."""
    with serve() as server:
        iso = work / "boot.iso"
        iso.write_bytes(bake(f"http://{machine.HOST}:{server.port}/boot"))
        media = AHCI_CD.arguments(iso)
        return boot_matrix.boot(firmware, media, server, "/boot", work, f"bench-{firmware.name}")


def without_shim(url: str) -> bytes:
    """Return an image whose loader for x86-64 is iPXE itself."""
    baked = boots_from.bake(url)
    with tempfile.TemporaryDirectory(prefix="boots-from-bench-") as name:
        iso, loader = Path(name, "bare.iso"), Path(name, "ipxe.efi")
        iso.write_bytes(baked)
        (offset,) = (part.start for part in image_map.ranges(iso) if part.what == "ESP: boot sector")
        esp = f"{iso}@@{offset}"
        run(["mcopy", "-i", esp, "::EFI/BOOT/grubx64.efi", str(loader)])
        run(["mcopy", "-o", "-i", esp, str(loader), "::EFI/BOOT/BOOTX64.EFI"])
        return iso.read_bytes()


def without_mark(url: str) -> bytes:
    """Return an image whose script does not start the program that marks it."""
    script = image.script_for(boot_url.parse(url))
    without = script.replace(b"imgexec --autofree ${mark} ||\n", b"")
    if without == script:
        raise SystemExit("bench: the script does not start the mark as it is looked for here")
    return image.fill(image.read_template(), without)


def bytes_read(bake: Callable[[str], bytes], work: Path) -> int:
    """Return how much a UEFI machine reads from its CD until the server's script runs."""
    with serve() as server:
        server.files["/boot"] = b"#!ipxe\necho the script runs\nsleep 600\n"
        iso = work / "read.iso"
        iso.write_bytes(bake(f"http://{machine.HOST}:{server.port}/boot"))
        with machine.Machine(UEFI, AHCI_CD.arguments(iso), work, "bench-read") as running:
            running.wait_for("the script runs", UEFI.seconds)
            return running.bytes_read()


def ready(opened: WebDriver, address: str) -> float:
    """Return the milliseconds until the page takes URLs."""
    opened.get("about:blank")
    opened.get(address)
    browser.wait_until_ready(opened)
    return float(opened.execute_script("return performance.getEntriesByName('ready')[0].startTime"))


def in_browser(kind: str, work: Path) -> bool:
    """Measure the page in a browser; return whether it meets its targets."""
    met = []
    file = work / build_page.NAME
    file.write_bytes(build_page.make(image.read_template()))
    with browser.session(work, kind) as start, serve() as server:
        server.files[f"/{build_page.NAME}"] = file.read_bytes()
        # Plain http, where the page computes the SHA-256 itself.
        address = f"http://{browser.HOST}:{server.port}/{build_page.NAME}"
        opened = start(address)
        for where, url in (("from disk", file.as_uri()), ("over plain http", address)):
            times = row(f"{kind}: page ready, {where}", [ready(opened, url) for _ in range(5)])
            met.append(verdict("under 1.5 s", times < 1500))
        opened.execute_script(page_observer.HEARD + page_observer.GAPS)
        field = opened.find_element(By.ID, "url")
        for key in "http://h/boot":
            field.send_keys(key)
            time.sleep(0.1)
        time.sleep(1)
        updates = opened.execute_script("return heard")
        met.append(verdict(f"one update for a screen reader while 13 keys are typed ({updates})", len(updates) == 1))
        field.send_keys(Keys.ENTER)
        browser.wait_until(opened, "return performance.getEntriesByName('bake').length")
        gaps, (bake,) = opened.execute_script(
            "return [gaps, performance.getEntriesByName('bake').map((entry) => entry.duration)]"
        )
        row(f"{kind}: bake, and SHA-256 in script", [bake])
        met.append(verdict(f"no task over 50 ms, from typing to the SHA-256 ({max(gaps):.0f} ms)", max(gaps) <= 50))
        ready(opened, file.as_uri())
        field = opened.find_element(By.ID, "url")
        for number in range(10):
            field.clear()
            field.send_keys(URL + Keys.ENTER)
            browser.wait_until(opened, f"return performance.getEntriesByName('bake').length > {number}")
        script = "return performance.getEntriesByName('bake').map((entry) => entry.duration)"
        bakes = row(f"{kind}: bake, and SHA-256 by the browser", opened.execute_script(script))
        met.append(verdict("under 300 ms", bakes < 300))
    return all(met)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    met = []
    with tempfile.TemporaryDirectory(prefix="boots-from-bench-") as name:
        work = Path(name)
        os.chdir(work)
        baked = work / "baked.iso"
        baked.write_bytes(boots_from.bake(URL))
        print(f"image {baked.stat().st_size:,} bytes\n")

        times = in_turn({"copy": lambda: copy(baked, work / "copy.iso"), "bake": lambda: boots_from.bake(URL)}, 50)
        copying = row("copy a file of that size", times["copy"])
        baking = row("bake()", times["bake"])
        met.append(verdict(f"bake() at most 1.2 times copying ({baking / copying:.2f} times)", baking <= 1.2 * copying))

        times = in_turn(
            {
                "start": lambda: process([*PYTHON, "-c", "pass"]),
                "import": lambda: process([*PYTHON, "-c", "import boots_from.cli"]),
                "synced": lambda: copy(baked, work / "copy.iso", sync=True),
                "whole": lambda: process(COMMAND),
            },
            30,
        )
        start = row("start Python, do nothing", times["start"])
        importing = row("start Python, import the command", times["import"])
        synced = row("copy a file of that size, and fsync", times["synced"])
        whole = row("boots-from URL", times["whole"])
        ratio = (whole - start) / synced
        met.append(
            verdict(f"over starting Python at most 1.5 times copying and fsync ({ratio:.2f} times)", ratio <= 1.5)
        )
        print(f"  importing takes {importing - start:.0f} ms of it; peak memory {peak_memory():.1f} MiB")

        by_hand = row("remaster by hand: mtools and xorriso", milliseconds(lambda: remaster(work), 10))
        met.append(
            verdict(
                f"bake() at least 5 times faster than by hand ({by_hand / baking:.0f} times)", by_hand >= 5 * baking
            )
        )
        print(f"  the whole command, with Python's start and an fsync, is {by_hand / whole:.1f} times faster")

        met += [in_browser(kind, work) for kind in browser.KINDS]

        print()
        row("bios: power on to first request", [boots(BIOS, boots_from.bake, work) for _ in range(5)], "s")
        # In turns, so that all meet the same load.
        variants = (boots_from.bake, without_shim, without_mark)
        runs = [[boots(UEFI, variant, work) for variant in variants] for _ in range(5)]
        row("uefi-x86_64: the same", [run[0] for run in runs], "s")
        for number, what, most in ((1, "shim", 0.5), (2, "the mark", 0.2)):
            row(f"uefi-x86_64: without {what}", [run[number] for run in runs], "s")
            cost = statistics.median(run[0] - run[number] for run in runs)
            met.append(verdict(f"{what} costs at most {most} s ({cost:+.2f} s, median of 5 pairs)", cost <= most))
        more = bytes_read(boots_from.bake, work) - bytes_read(without_mark, work)
        met.append(verdict(f"the mark makes the machine read at most 2 KiB more ({more:,} bytes)", more <= 2048))
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
