"""Measure times and sizes and compare them with their targets: python -m bench, which make bench runs.

Each time is the median of several runs, printed with its range.
"""

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

URL = "http://boot.example.com/boot"
PYTHON = [sys.executable, "-I"]
# The same code as in the script that pip installs.
COMMAND = [*PYTHON, "-c", "import sys; from boots_from.cli import main; sys.exit(main())", URL]


def milliseconds(action: Callable[[], object], runs: int) -> list[float]:
    """Return the times of `runs` calls in ms, after one call that is not counted."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - start))
    return times


def in_turn(actions: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Return the times of several actions in ms, after one round that is not counted.

    The actions alternate, so that the load of the host affects all of them equally.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(runs + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def copy(source: Path, target: Path, *, sync: bool = False) -> None:
    """Copy a file; with `sync`, wait until it is on the disk."""
    shutil.copyfile(source, target)
    if sync:
        with target.open("rb") as copied:
            os.fsync(copied.fileno())


def run_quietly(command: list[str]) -> None:
    """Run a command without its output, with as little overhead as possible; exit if it fails."""
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"bench: error: {command} failed")


def peak_memory() -> float:
    """Return the peak memory of the command in MiB (VmHWM in proc(5))."""
    code = f"from boots_from.cli import main; main([{URL!r}]); print(open('/proc/self/status').read())"
    printed = subprocess.run([*PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout
    return int(printed.partition("VmHWM:")[2].split()[0]) / 1024


def print_row(what: str, times: list[float], unit: str = "ms") -> float:
    """Print a line of the table; return the median."""
    median = statistics.median(times)
    print(f"{what:<46} {median:9.1f} {unit:<4} ({min(times):.1f} to {max(times):.1f}, {len(times)} runs)", flush=True)
    return median


def print_verdict(target: str, met: bool) -> bool:
    """Print whether a target is met; return `met`."""
    print(f"  {'met' if met else 'MISSED'}: {target}", flush=True)
    return met


def remaster(directory: Path) -> None:
    """Bake by hand: extract the ESP from the template, copy the script into it, and remaster the ISO."""
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
        subprocess.run([str(argument) for argument in command], check=True, capture_output=True)


def boot_seconds(firmware: Firmware, bake: Callable[[str], bytes], work: Path) -> float:
    """Boot from CD; return the seconds from power-on to the first request."""
    with serve() as server:
        iso = work / "boot.iso"
        iso.write_bytes(bake(f"http://{machine.HOST}:{server.port}/boot"))
        media = AHCI_CD.arguments(iso)
        return boot_matrix.boot(firmware, media, server, "/boot", work, f"bench-{firmware.name}")


def without_shim(url: str) -> bytes:
    """Return an image in which the firmware starts iPXE directly on x86-64."""
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
    """Return an image whose script does not run the mark."""
    script = image.script_for(boot_url.parse(url))
    without = script.replace(b"imgexec --autofree ${mark} ||\n", b"")
    if without == script:
        raise SystemExit("bench: error: boot.ipxe has no line that runs the mark: update without_mark()")
    return image.fill(image.read_template(), without)


def milliseconds_until_ready(opened: WebDriver, address: str) -> float:
    """Open the page; return the milliseconds until it accepts URLs."""
    opened.get("about:blank")
    opened.get(address)
    browser.wait_until_ready(opened)
    return float(opened.execute_script("return performance.getEntriesByName('ready')[0].startTime"))


def measure_page(kind: str, work: Path) -> bool:
    """Measure the page in a browser; return whether it meets its targets."""
    met = []
    file = work / build_page.NAME
    file.write_bytes(build_page.make(image.read_template()))
    with browser.session(work, kind) as start, serve() as server:
        server.files[f"/{build_page.NAME}"] = file.read_bytes()
        # Over plain http browsers don't offer SHA-256, so the page computes it in JavaScript.
        address = f"http://{browser.HOST}:{server.port}/{build_page.NAME}"
        opened = start(address)
        for where, url in (("from disk", file.as_uri()), ("over plain http", address)):
            times = [milliseconds_until_ready(opened, url) for _ in range(5)]
            median = print_row(f"{kind}: page ready, {where}", times)
            met.append(print_verdict("under 1.5 s", median < 1500))
        opened.execute_script(page_observer.HEARD + page_observer.GAPS)
        field = opened.find_element(By.ID, "url")
        for key in "http://h/boot":
            field.send_keys(key)
            time.sleep(0.1)
        time.sleep(1)
        updates = opened.execute_script("return heard")
        target = f"one update for screen readers while 13 keys are typed ({updates})"
        met.append(print_verdict(target, len(updates) == 1))
        field.send_keys(Keys.ENTER)
        browser.wait_until(opened, "return performance.getEntriesByName('bake').length")
        gaps, (bake,) = opened.execute_script(
            "return [gaps, performance.getEntriesByName('bake').map((entry) => entry.duration)]"
        )
        print_row(f"{kind}: bake, and SHA-256 in JavaScript", [bake])
        longest = max(gaps)
        met.append(print_verdict(f"no task over 50 ms, from typing to the SHA-256 ({longest:.0f} ms)", longest <= 50))
        milliseconds_until_ready(opened, file.as_uri())
        field = opened.find_element(By.ID, "url")
        for number in range(10):
            field.clear()
            field.send_keys(URL + Keys.ENTER)
            browser.wait_until(opened, f"return performance.getEntriesByName('bake').length > {number}")
        script = "return performance.getEntriesByName('bake').map((entry) => entry.duration)"
        bakes = print_row(f"{kind}: bake, and SHA-256 by the browser", opened.execute_script(script))
        met.append(print_verdict("under 300 ms", bakes < 300))
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
        copying = print_row("copy a file of that size", times["copy"])
        baking = print_row("bake()", times["bake"])
        target = f"bake() takes at most 1.2 times as long as a copy ({baking / copying:.2f} times)"
        met.append(print_verdict(target, baking <= 1.2 * copying))

        times = in_turn(
            {
                "start": lambda: run_quietly([*PYTHON, "-c", "pass"]),
                "import": lambda: run_quietly([*PYTHON, "-c", "import boots_from.cli"]),
                "synced": lambda: copy(baked, work / "copy.iso", sync=True),
                "command": lambda: run_quietly(COMMAND),
            },
            30,
        )
        start = print_row("start Python, do nothing", times["start"])
        importing = print_row("start Python, import the command", times["import"])
        synced = print_row("copy a file of that size, and fsync", times["synced"])
        command = print_row("boots-from URL", times["command"])
        ratio = (command - start) / synced
        target = f"without the start of Python at most 1.5 times as long as a copy and fsync ({ratio:.2f} times)"
        met.append(print_verdict(target, ratio <= 1.5))
        print(f"  of which importing takes {importing - start:.0f} ms; peak memory {peak_memory():.1f} MiB")

        by_hand = print_row("remaster by hand: mtools and xorriso", milliseconds(lambda: remaster(work), 10))
        target = f"bake() is at least 5 times faster than by hand ({by_hand / baking:.0f} times)"
        met.append(print_verdict(target, by_hand >= 5 * baking))
        print(f"  the command, with the start of Python and an fsync, is {by_hand / command:.1f} times faster")

        met += [measure_page(kind, work) for kind in browser.KINDS]

        print()
        times_bios = [boot_seconds(BIOS, boots_from.bake, work) for _ in range(5)]
        print_row("bios: power-on to first request", times_bios, "s")
        # The variants alternate, so that the load of the host affects all of them equally.
        variants = (boots_from.bake, without_shim, without_mark)
        rounds = [[boot_seconds(UEFI, variant, work) for variant in variants] for _ in range(5)]
        print_row("uefi-x86_64: power-on to first request", [seconds[0] for seconds in rounds], "s")
        for number, what, limit in ((1, "shim", 0.5), (2, "the mark", 0.2)):
            print_row(f"uefi-x86_64: without {what}", [seconds[number] for seconds in rounds], "s")
            cost = statistics.median(seconds[0] - seconds[number] for seconds in rounds)
            target = f"{what} costs at most {limit} s ({cost:+.2f} s, median of 5 pairs)"
            met.append(print_verdict(target, cost <= limit))
        bakers = (boots_from.bake, without_mark)
        with_mark, without = (boot_matrix.bytes_read(UEFI, AHCI_CD, bake, work) for bake in bakers)
        more = with_mark - without
        target = f"with the mark the machine reads at most 2 KiB more ({more:,} bytes)"
        met.append(print_verdict(target, more <= 2048))
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
