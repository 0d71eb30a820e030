"""Programs that read the finished ISO: all of them see the same files, on the whole disc and in partition 1."""

import lzma
import re
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import boots_from
from lab import debian
from lab.firmware import BIOS
from lab.machine import Machine
from template import build, contents, image_map
from template.paths import PACKAGES

CATALOG = "boot/isolinux/boot.cat"  # the El Torito catalogue, which xorriso makes visible as a file
ON_ESP = {row.path for row in contents.ROWS if row.where == contents.ESP}
IN_TREE = {row.path for row in contents.ROWS if row.where == contents.ISO} | {CATALOG}
BLOCK = 2048


def run(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def unpacked(program: str) -> list[str]:
    return debian.program(debian.unpack(debian.READERS), program)


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("disc") / "boots-from.iso"
    file.write_bytes(boots_from.bake("http://boot.example.com/boot"))
    return file


@pytest.fixture(scope="module")
def partition(disc: Path) -> Path:
    """Return partition 1 of a stick, extracted by its MBR entry."""
    (start, size) = re.findall(r"start= *(\d+), size= *(\d+)", run("sfdisk", "--dump", disc).decode())[0]
    file = disc.with_name("partition1.iso")
    file.write_bytes(disc.read_bytes()[int(start) * 512 : (int(start) + int(size)) * 512])
    return file


@pytest.fixture(scope="module")
def files(disc: Path) -> dict[str, bytes]:
    """Return the expected files by path: on the ESP as mtools reads them, elsewhere as the packages have them."""
    ranges = image_map.ranges(disc)
    (esp,) = (part.start for part in ranges if part.what == "ESP: boot sector")
    expected = {path: run("mtype", "-i", f"{disc}@@{esp}", f"::{path}") for path in ON_ESP}
    packages, image = debian.unpack(PACKAGES), disc.read_bytes()
    for row in contents.ROWS:
        if row.where == contents.ISO and row.packaged:
            expected[row.path] = (packages / row.source).read_bytes()
    # xorriso writes the boot info table into isolinux.bin.
    (start,) = (part.start for part in ranges if part.file == contents.ISOLINUX)
    packaged = expected[contents.ISOLINUX]
    expected[contents.ISOLINUX] = packaged[:8] + image[start + 8 : start + 64] + packaged[64:]
    expected["boot/isolinux/isolinux.cfg"] = build.ISOLINUX_CFG.encode()
    (listed,) = (part for part in ranges if part.file == "packages.txt")
    expected["packages.txt"] = image[listed.start : listed.start + listed.size]
    (catalog,) = (part for part in ranges if part.what == "El Torito catalogue")
    expected[CATALOG] = image[catalog.start : catalog.start + catalog.size]
    return expected


def files_below(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def seven_zip(iso: Path, work: Path) -> dict[str, bytes]:
    run(*unpacked("usr/lib/7zip/7z"), "x", f"-o{work}", iso)
    # 7-Zip also extracts the boot images, as files in [BOOT].
    return {path: content for path, content in files_below(work).items() if not path.startswith("[BOOT]/")}


def bsdtar(iso: Path, work: Path) -> dict[str, bytes]:
    run(*unpacked("usr/bin/bsdtar"), "-xf", iso, "-C", work)
    assert not any(path.is_file() and path.stat().st_nlink > 1 for path in work.rglob("*")), "FAT has no hard links"
    run("chmod", "-R", "u+w", work)
    return files_below(work)


def xorriso(iso: Path, work: Path) -> dict[str, bytes]:
    run("xorriso", "-no_rc", "-osirrox", "on", "-indev", iso, "-extract", "/", work / "tree", "-rollback_end")
    run("chmod", "-R", "u+w", work)
    return files_below(work / "tree")


def isoinfo(names: str) -> Callable[[Path, Path], dict[str, bytes]]:
    def read(iso: Path, work: Path) -> dict[str, bytes]:
        paths = run("isoinfo", "-f", names, "-i", iso).decode().splitlines()
        listing = run("isoinfo", "-l", names, "-i", iso).decode()
        directories = set(re.findall(r"^Directory listing of (/.*)/$", listing, re.MULTILINE))
        return {path[1:]: run("isoinfo", names, "-x", path, "-i", iso) for path in paths if path not in directories}

    return read


def libcdio(iso: Path, work: Path) -> dict[str, bytes]:
    listing = run(*unpacked("usr/bin/iso-info"), "-l", "-i", iso).decode()
    found = {}
    for directory, lines in re.findall(r"^/(.*):\n((?: .*\n)*)", listing, re.MULTILINE):
        for name in re.findall(r"^  - .*?\d\d:\d\d:\d\d  (.*)$", lines, re.MULTILINE):
            path = f"{directory}{name}"
            run(*unpacked("usr/bin/iso-read"), "-i", iso, "-e", path, "-o", work / "file")
            found[path] = (work / "file").read_bytes()
    return found


def grub(iso: Path, work: Path) -> dict[str, bytes]:
    """Read with the file system code of GRUB, on a loopback device."""
    program = unpacked("usr/bin/grub-fstest")
    found = {}
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        for line in run(*program, iso, "ls", "--", "-l", f"(loop0)/{directory}").decode().splitlines():
            size, _, name = re.split(r" +", line.rstrip(), maxsplit=2) if line.strip() else ("", "", "")
            if name.endswith("/") and name.strip("./"):
                waiting.append(f"{directory}{name}")
            elif size.isdecimal():
                found[f"{directory}{name}"] = run(*program, iso, "cat", f"(loop0)/{directory}{name}")
    return found


READERS = {
    "7-Zip": seven_zip,
    "bsdtar": bsdtar,
    "xorriso": xorriso,
    "isoinfo, Rock Ridge": isoinfo("-R"),
    "isoinfo, Joliet": isoinfo("-J"),
    "libcdio": libcdio,
    "GRUB": grub,
}


def assert_same_files(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Compare in a way that a failure shows the names of the files, but not their content, which is large."""
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if found[path] != expected[path]] == []


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_reader_sees_every_file(
    read: Callable[[Path, Path], dict[str, bytes]], disc: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    assert set(files) == ON_ESP | IN_TREE
    assert_same_files(read(disc, tmp_path), files)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_reader_of_partition_1_sees_its_files(
    read: Callable[[Path, Path], dict[str, bytes]], partition: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Partition 1 does not list the files on the ESP, which begins where partition 1 ends."""
    assert_same_files(read(partition, tmp_path), {path: files[path] for path in IN_TREE})


def volume_blocks(image: bytes) -> list[int]:
    """Return the volume sizes in the descriptors of ISO 9660 and Joliet, in blocks (ECMA-119, 8.4.8)."""
    kinds = [image[BLOCK * number] for number in range(16, 20)]
    assert kinds[:3] in ([1, 0, 2], [1, 2, 255])
    return [
        struct.unpack_from("<I", image, BLOCK * (16 + number) + 80)[0] for number in range(4) if kinds[number] in (1, 2)
    ]


@pytest.mark.parametrize("names", ["-R", "-J"])
@pytest.mark.parametrize("volume", ["disc", "partition"])
def test_extents_are_inside_their_volume(volume: str, names: str, request: pytest.FixtureRequest) -> None:
    """Windows reads only those. isoinfo lists the first block and the size of each file."""
    iso: Path = request.getfixturevalue(volume)
    listing = run("isoinfo", "-l", names, "-i", iso).decode()
    extents = [
        (int(size), int(block)) for size, block in re.findall(r"^[d-].* (\d+) \w+ +\d+ \d+ \[ *(\d+) ", listing, re.M)
    ]
    assert len(extents) >= len(IN_TREE)
    sizes = volume_blocks(iso.read_bytes())
    assert len(set(sizes)) == 1
    assert sizes[0] * BLOCK <= iso.stat().st_size
    assert max(block + -(-size // BLOCK) for size, block in extents) <= sizes[0]


# Mounts the whole stick, then partition 1, each with Rock Ridge, then with Joliet.
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
for module in /modules/*; do insmod $module; done
for device in vda vda1; do
    for options in ro ro,norock; do
        mount -t iso9660 -o $options /dev/$device /mnt || echo "can't mount $device"
        cd /mnt
        echo "begin $device $options"
        find . -type f -exec sha256sum {} +
        echo "end $device $options"
        cd /
        umount /mnt
    done
done
echo "all is read"
sleep 600
"""


def initrd(init: str, modules: Iterable[str], work: Path) -> Path:
    """Return an initrd with BusyBox, an init script, and kernel modules, numbered in their order."""
    root, tree = debian.unpack(debian.SIGNED), work / "initrd"
    for folder in ("bin", "dev", "mnt", "modules"):
        (tree / folder).mkdir(parents=True)
    (tree / "bin/busybox").write_bytes((root / "usr/bin/busybox").read_bytes())
    (tree / "init").write_text(init)
    for number, module in enumerate(modules):
        packed = next(root.rglob(f"{module}.ko.xz")).read_bytes()
        (tree / "modules" / f"{number}-{module}.ko").write_bytes(lzma.decompress(packed))
    for program in ("bin/busybox", "init"):
        (tree / program).chmod(0o755)
    file = work / "initrd.cpio"
    run(*unpacked("usr/bin/bsdtar"), "-cf", file, "--format", "newc", "-C", tree, ".")
    return file


@pytest.mark.thorough
def test_linux_sees_every_file(disc: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    """The Debian kernel, with and without Rock Ridge, on the whole stick and on its partition 1."""
    kernel = next(debian.unpack(debian.SIGNED).glob("boot/vmlinuz*"))
    modules = initrd(INIT, ("cdrom", "isofs", "virtio_blk", "nls_utf8"), tmp_path)
    media = ["-drive", f"if=virtio,format=raw,readonly=on,file={disc}"]
    media += ["-kernel", str(kernel), "-initrd", str(modules), "-append", "console=ttyS0 quiet"]
    with Machine(BIOS, media, tmp_path, "linux-reads", ()) as running:
        running.wait_for("all is read", 120)
        console = running.console.replace("\r", "")
    (disc.parent / "files").mkdir()
    for path, content in files.items():
        (disc.parent / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (disc.parent / "files" / path).write_bytes(content)
    expected = {path: run("sha256sum", disc.parent / "files" / path).split()[0].decode() for path in files}
    for device, paths in (("vda", ON_ESP | IN_TREE), ("vda1", IN_TREE)):
        for options in ("ro", "ro,norock"):
            listing = console.partition(f"begin {device} {options}\n")[2].partition(f"end {device} {options}\n")[0]
            found = {path: digest for digest, path in re.findall(r"^([0-9a-f]{64})  \./(.*)$", listing, re.MULTILINE)}
            assert found == {path: expected[path] for path in paths}, f"{device}, mounted {options}"
