"""One copy of each file: which bytes of the ISO change, and which ISOs are refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import debian
from template import build, contents, esp, iso, shared_files
from template.build_tools import BuildError, run
from template.paths import PACKAGES
from template.shared_files import BLOCK, DISC, Extent

# 40 files, so that their directory has several blocks.
SHARED = [f"EFI/BOOT/number {number:02}.efi" for number in range(40)]
UNSHARED = [*(f"EFI/BOOT/unshared {number:02}.txt" for number in range(40)), "boot/isolinux/isolinux.cfg", "readme.txt"]
SIZES = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK)
DATE = "20260101000000"


class Made:
    """A small ISO with an ESP, as xorriso made it, before its directory records are changed."""

    def __init__(self, work: Path) -> None:
        """Make the ISO in an empty directory."""
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": "1767225600"}
        packages = debian.unpack(PACKAGES)
        on_esp = {}
        for number, path in enumerate(SHARED):
            on_esp[path] = work / f"{number}"
            on_esp[path].write_bytes(
                f"{number}".encode().ljust(SIZES[number % len(SIZES)], b"x")[: SIZES[number % len(SIZES)]]
            )
        tree = work / "tree"
        isolinux = (packages / contents.find(contents.ISO, contents.ISOLINUX).source).read_bytes()
        in_tree = {path: shared_files.placeholder(path) for path in SHARED}
        in_tree |= {path: f"{path}\n".encode() for path in UNSHARED} | {contents.ISOLINUX: isolinux}
        for path, content in in_tree.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        esp.make(on_esp, work / "esp.img", env)
        iso.make(tree, work / "esp.img", packages / contents.MBR, work / "made.iso", DATE, env, last=SHARED)
        self.image = (work / "made.iso").read_bytes()
        self.esp = self.image.rindex((work / "esp.img").read_bytes()) // BLOCK
        places = esp.places(work / "esp.img")
        self.files = {
            path: Extent(self.esp + places[path] // BLOCK, file.stat().st_size) for path, file in on_esp.items()
        }
        self.contents = {path: file.read_bytes() for path, file in on_esp.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def pointed(made: Made) -> bytearray:
    image = bytearray(made.image)
    shared_files.point_into_esp(image, made.files, made.esp)
    return image


def test_records_of_disc_point_into_esp(made: Made) -> None:
    image = pointed(made)
    for tree in shared_files.trees(image):
        extents = [record.extent for record in shared_files.records(image, tree) if not record.directory]
        if tree.volume == DISC:
            assert set(made.files.values()) <= set(extents)
            assert len(extents) == len(SHARED) + len(UNSHARED) + 2  # isolinux.bin and the El Torito catalogue
        else:
            assert len(extents) == len(UNSHARED) + 2
    for path, extent in made.files.items():
        at = extent.block * BLOCK
        assert image[at : at + extent.size] == made.contents[path]


def test_other_bytes_stay_unchanged(made: Made) -> None:
    """Except for the volume size of Joliet and the placeholders, which are zeroed."""
    image = pointed(made)
    assert len(image) == len(made.image)
    assert b"boots-from: placeholder" not in image
    for tree in shared_files.trees(made.image):
        size = tree.size_field
        if image[size] != made.image[size]:
            assert (tree.volume, made.image[tree.descriptor]) == (DISC, 2)
            assert image[size] == image[16 * BLOCK + 80 : 16 * BLOCK + 88]
        image[size] = made.image[size]
        below = (record.extent for record in shared_files.records(made.image, tree) if record.directory)
        for directory in (tree.root, *below):
            begin = (tree.volume + directory.block) * BLOCK
            image[begin : begin + directory.size] = made.image[begin : begin + directory.size]
    for path in SHARED:
        at = made.image.index(shared_files.placeholder(path))
        assert not any(image[at : at + BLOCK])
        image[at : at + BLOCK] = shared_files.placeholder(path)
    assert image == made.image


def test_records_keep_all_other_fields(made: Made) -> None:
    """In partition 1 the records of the shared files are removed, and the others stay unchanged."""
    image = pointed(made)
    for before, after in zip(shared_files.trees(made.image), shared_files.trees(image), strict=True):
        extent_field = slice(2, 18) if before.volume == DISC else slice(0, 0)
        records_before, records_after = (
            [
                bytearray(content[record.at : record.at + record.length])
                for record in shared_files.records(content, tree)
            ]
            for content, tree in ((made.image, before), (image, after))
        )
        for record in records_before + records_after:
            record[extent_field] = bytes(16)[extent_field]
        assert records_after == [record for record in records_before if record in records_after]
        assert len(records_before) - len(records_after) == (0 if before.volume == DISC else len(SHARED))


def first_record(made: Made, tree: int) -> shared_files.Record:
    """Return the record of the first shared file in a tree."""
    image = made.image
    block = image.index(shared_files.placeholder(SHARED[0])) // BLOCK
    found = shared_files.trees(image)[tree]
    (record,) = (record for record in shared_files.records(image, found) if found.volume + record.extent.block == block)
    return record


def overwrite(image: bytearray, at: int, content: bytes) -> None:
    image[at : at + len(content)] = content


def remove_record(image: bytearray, made: Made, tree: int) -> None:
    """Make the record of a placeholder point to another file."""
    record, other = (
        first_record(made, tree),
        next(iter(shared_files.records(made.image, shared_files.trees(made.image)[tree]))),
    )
    overwrite(image, record.at + 2, made.image[other.at + 2 : other.at + 18])


def add_second_record(image: bytearray, made: Made, tree: int) -> None:
    """Make the record of an unshared file point to a placeholder."""
    record = first_record(made, tree)
    records = shared_files.records(made.image, shared_files.trees(made.image)[tree])
    other = next(candidate for candidate in records if not candidate.directory and candidate.extent.size < 30)
    overwrite(image, other.at + 2, made.image[record.at + 2 : record.at + 18])


def misalign_placeholder(image: bytearray, made: Made) -> None:
    """Make a placeholder begin at the last byte of a block."""
    overwrite(image, image.index(_PLACEHOLDER), bytes(BLOCK))
    overwrite(image, len(image) - BLOCK - 1, _PLACEHOLDER)


_PLACEHOLDER = shared_files.placeholder(SHARED[0])
REFUSED: dict[str, tuple[Callable[[bytearray, Made], None], str]] = {
    "no placeholder": (
        lambda image, made: overwrite(image, image.index(_PLACEHOLDER), bytes(BLOCK)),
        "number of placeholders for /EFI/BOOT/number 00.efi is 0, not 1",
    ),
    "two placeholders": (
        lambda image, made: overwrite(image, len(image) - BLOCK, _PLACEHOLDER),
        "number of placeholders for /EFI/BOOT/number 00.efi is 2, not 1",
    ),
    **{
        f"no record in tree {tree}": (
            lambda image, made, tree=tree: remove_record(image, made, tree),  # type: ignore[misc]
            "number of records of /EFI/BOOT/number 00.efi in a directory tree is 0, not 1",
        )
        for tree in range(4)
    },
    **{
        f"two records in tree {tree}": (
            lambda image, made, tree=tree: add_second_record(image, made, tree),  # type: ignore[misc]
            "number of records of /EFI/BOOT/number 00.efi in a directory tree is 2, not 1",
        )
        for tree in range(4)
    },
    "wrong size in record": (
        lambda image, made: overwrite(image, first_record(made, 0).at + 10, b"\1\0\0\0\0\0\0\1"),
        "size in the record of a placeholder is 1, not 2048",
    ),
    "byte orders disagree": (
        lambda image, made: overwrite(image, first_record(made, 0).at + 2, b"\1\0\0\0\0\0\0\2"),
        "block and size in a directory record is (",
    ),
    "no Joliet descriptor": (
        lambda image, made: overwrite(image, 18 * BLOCK, b"\xff"),
        "types of the descriptors of a volume is [1], not [1, 2]",
    ),
    "no descriptor of partition 1": (
        lambda image, made: overwrite(image, 32 * BLOCK + 1, b"CD002"),
        "identifier in a volume descriptor is bytearray(b'CD002'), not b'CD001'",
    ),
    **{
        f"wrong volume size in block {block}": (
            lambda image, made, block=block: overwrite(image, block * BLOCK + 80, bytes(8)),  # type: ignore[misc]
            "size of a volume is bytearray(",
        )
        for block in (16, 18, 32, 33)
    },
    "misaligned placeholder": (
        misalign_placeholder,
        "offset of the placeholder for /EFI/BOOT/number 00.efi in its block is 2047, not 0",
    ),
}


@pytest.mark.parametrize(("damage", "message"), REFUSED.values(), ids=REFUSED)
def test_unexpected_iso_is_refused(damage: Callable[[bytearray, Made], None], message: str, made: Made) -> None:
    image = bytearray(made.image)
    damage(image, made)
    assert image != made.image
    with pytest.raises(BuildError) as refused:
        shared_files.point_into_esp(image, made.files, made.esp)
    assert str(refused.value).startswith(f"xorriso made an unexpected ISO: {message}")
    assert str(refused.value).endswith(": report this as a bug")


def test_extent_behind_volume_is_refused(made: Made) -> None:
    blocks = len(made.image) // BLOCK
    path = SHARED[0]
    shared_files.point_into_esp(bytearray(made.image), made.files | {path: Extent(blocks - 1, BLOCK)}, made.esp)
    with pytest.raises(BuildError, match=f" ends at block {blocks + 1}, but its volume at {blocks}: report this"):
        shared_files.point_into_esp(bytearray(made.image), made.files | {path: Extent(blocks - 1, BLOCK + 1)}, made.esp)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    """It has no clusters, so there is no position to point to."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null"}
    files = {"empty.efi": tmp_path / "empty", "full.efi": tmp_path / "full"}
    for path, content in zip(files.values(), (b"", b"x"), strict=True):
        path.write_bytes(content)
    esp.make(files, tmp_path / "esp.img", env)
    with pytest.raises(BuildError, match=r"^empty\.efi is an empty file: remove its row from template/contents\.py$"):
        build.share_files(bytearray((tmp_path / "esp.img").read_bytes()), tmp_path / "esp.img", files)


def test_fragmented_file_is_refused(tmp_path: Path) -> None:
    """As on an ESP from which files were deleted before."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null"}
    image = tmp_path / "esp.img"
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * BLOCK)
    large.write_bytes(b"y" * 20 * BLOCK)
    esp.make({f"{number}": small for number in range(40)}, image, env)
    free = ["mdel", "-i", str(image), *(f"::{number}" for number in range(0, 40, 2))]
    run(free, env)
    run(["mcopy", "-i", str(image), str(large), "::large"], env)
    with pytest.raises(BuildError, match=r"^large is fragmented on the ESP, so ISO 9660 can't list it: report this as"):
        esp.places(image)


@pytest.mark.parametrize(
    ("clusters", "kind"), [(100, b"FAT12"), (4000, b"FAT12"), (4060, b"FAT16"), (4085, b"FAT16"), (4500, b"FAT16")]
)
def test_esp_of_any_size_is_valid(clusters: int, kind: bytes, tmp_path: Path) -> None:
    """FAT12 or FAT16, never close to the limit between them; each cluster is a block of ISO 9660."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": "1767225600"}
    file, image = tmp_path / "file", tmp_path / "esp.img"
    file.write_bytes(b"x" * BLOCK * (clusters - 16))
    esp.make({"EFI/file": file}, image, env)
    content = image.read_bytes()
    assert content[54:59] == kind
    start = esp.data_start(content)
    assert start % BLOCK == 0
    count = (len(content) - start) // BLOCK
    assert abs(count - 4085) >= 16
    assert (count >= 4085) == (kind == b"FAT16")
    run(["fsck.vfat", "-n", str(image)], env)
    (place,) = esp.places(image).values()
    assert content[place : place + file.stat().st_size] == file.read_bytes()


def test_rock_ridge_continuation_is_refused(made: Made) -> None:
    """A CE entry, which a long name needs: its continuation area would stay behind when the record is removed."""
    for tree, refused in ((0, False), (1, False), (2, True), (3, True)):
        image = bytearray(made.image)
        record = first_record(made, tree)
        entry = record.at + record.length - 12  # after the name
        overwrite(image, entry, b"CE\x1c\x01")
        if refused:
            with pytest.raises(
                BuildError, match=r"^a directory record of the ISO has a continuation area: use shorter"
            ):
                shared_files.point_into_esp(image, made.files, made.esp)
        else:
            shared_files.point_into_esp(image, made.files, made.esp)
