"""One copy of each file: what is rewritten of the ISO that xorriso made, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import debs
from template import build, contents, esp, iso, shared
from template.checkout import FIRMWARE
from template.shared import BLOCK, DISC, Extent
from template.tool import BuildError, run

# So many that the directory has several blocks.
SHARED = [f"EFI/BOOT/number {number:02}.efi" for number in range(40)]
OWN = [*(f"EFI/BOOT/own {number:02}.txt" for number in range(40)), "boot/isolinux/isolinux.cfg", "readme.txt"]
SIZES = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK)
DATE = "20260101000000"


class Made:
    """An ISO of xorriso's with an ESP, both small, before its records are rewritten."""

    def __init__(self, work: Path) -> None:
        """Make it in an empty directory."""
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": "1767225600"}
        packages = debs.unpack(FIRMWARE)
        on_esp = {}
        for number, path in enumerate(SHARED):
            on_esp[path] = work / f"{number}"
            on_esp[path].write_bytes(
                f"{number}".encode().ljust(SIZES[number % len(SIZES)], b"x")[: SIZES[number % len(SIZES)]]
            )
        tree = work / "tree"
        isolinux = (packages / contents.find(contents.ISO, contents.ISOLINUX).source).read_bytes()
        held = {path: shared.placeholder(path) for path in SHARED}
        held |= {path: f"{path}\n".encode() for path in OWN} | {contents.ISOLINUX: isolinux}
        for path, content in held.items():
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
    shared.point_into_esp(image, made.files, made.esp)
    return image


def test_records_of_the_disc_point_to_the_files(made: Made) -> None:
    image = pointed(made)
    for tree in shared.trees(image):
        extents = [record.extent for record in shared.records(image, tree) if not record.directory]
        if tree.volume == DISC:
            assert set(made.files.values()) <= set(extents)
            assert len(extents) == len(SHARED) + len(OWN) + 2  # isolinux.bin and the El Torito catalogue
        else:
            assert len(extents) == len(OWN) + 2
    for path, extent in made.files.items():
        at = extent.block * BLOCK
        assert image[at : at + extent.size] == made.contents[path]


def test_nothing_else_is_changed(made: Made) -> None:
    """But for Joliet's size of the volume; and no placeholder is left."""
    image = pointed(made)
    assert len(image) == len(made.image)
    assert b"boots-from: here is nothing" not in image
    for tree in shared.trees(made.image):
        size = tree.blocks
        if image[size] != made.image[size]:
            assert (tree.volume, made.image[tree.descriptor]) == (DISC, 2)
            assert image[size] == image[16 * BLOCK + 80 : 16 * BLOCK + 88]
        image[size] = made.image[size]
        below = (record.extent for record in shared.records(made.image, tree) if record.directory)
        for directory in (tree.root, *below):
            begin = (tree.volume + directory.block) * BLOCK
            image[begin : begin + directory.size] = made.image[begin : begin + directory.size]
    for path in SHARED:
        at = made.image.index(shared.placeholder(path))
        assert not any(image[at : at + BLOCK])
        image[at : at + BLOCK] = shared.placeholder(path)
    assert image == made.image


def test_records_are_what_they_were_but_for_the_place(made: Made) -> None:
    """Of partition 1 those of the shared files are gone, and the others are as they were."""
    image = pointed(made)
    for before, after in zip(shared.trees(made.image), shared.trees(image), strict=True):
        placed = slice(2, 18) if before.volume == DISC else slice(0, 0)
        had, has = (
            [bytearray(content[record.at : record.at + record.length]) for record in shared.records(content, tree)]
            for content, tree in ((made.image, before), (image, after))
        )
        for record in had + has:
            record[placed] = bytes(16)[placed]
        assert has == [record for record in had if record in has]
        assert len(had) - len(has) == (0 if before.volume == DISC else len(SHARED))


def first_record(made: Made, tree: int) -> shared.Record:
    """Return the record of the first shared file in a tree."""
    image = made.image
    block = image.index(shared.placeholder(SHARED[0])) // BLOCK
    found = shared.trees(image)[tree]
    (record,) = (record for record in shared.records(image, found) if found.volume + record.extent.block == block)
    return record


def change(image: bytearray, at: int, content: bytes) -> None:
    image[at : at + len(content)] = content


def without_a_record(image: bytearray, made: Made, tree: int) -> None:
    """Let it point to another file."""
    record, other = first_record(made, tree), next(iter(shared.records(made.image, shared.trees(made.image)[tree])))
    change(image, record.at + 2, made.image[other.at + 2 : other.at + 18])


def record_of_another(image: bytearray, made: Made, tree: int) -> None:
    """Let one of the other files point to a placeholder."""
    record = first_record(made, tree)
    listed = shared.records(made.image, shared.trees(made.image)[tree])
    other = next(one for one in listed if not one.directory and one.extent.size < 30)
    change(image, other.at + 2, made.image[record.at + 2 : record.at + 18])


def between_two_blocks(image: bytearray, made: Made) -> None:
    """Let a placeholder begin with the last byte of a block."""
    change(image, image.index(_PLACEHOLDER), bytes(BLOCK))
    change(image, len(image) - BLOCK - 1, _PLACEHOLDER)


_PLACEHOLDER = shared.placeholder(SHARED[0])
REFUSED: dict[str, tuple[Callable[[bytearray, Made], None], str]] = {
    "no placeholder": (
        lambda image, made: change(image, image.index(_PLACEHOLDER), bytes(BLOCK)),
        "0, not 1, placeholders of /EFI/BOOT/number 00.efi",
    ),
    "two placeholders": (
        lambda image, made: change(image, len(image) - BLOCK, _PLACEHOLDER),
        "2, not 1, placeholders of /EFI/BOOT/number 00.efi",
    ),
    **{
        f"no record in tree {tree}": (
            lambda image, made, tree=tree: without_a_record(image, made, tree),  # type: ignore[misc]
            "0, not 1, records of /EFI/BOOT/number 00.efi in a directory tree",
        )
        for tree in range(4)
    },
    **{
        f"two records in tree {tree}": (
            lambda image, made, tree=tree: record_of_another(image, made, tree),  # type: ignore[misc]
            "2, not 1, records of /EFI/BOOT/number 00.efi in a directory tree",
        )
        for tree in range(4)
    },
    "another size": (
        lambda image, made: change(image, first_record(made, 0).at + 10, b"\1\0\0\0\0\0\0\1"),
        "1, not 2048, bytes in a placeholder's record",
    ),
    "two byte orders that differ": (
        lambda image, made: change(image, first_record(made, 0).at + 2, b"\1\0\0\0\0\0\0\2"),
        "in a directory record",
    ),
    "no Joliet": (
        lambda image, made: change(image, 18 * BLOCK, b"\xff"),
        "[1], not [1, 2], as the volume descriptors of a volume",
    ),
    "no descriptor": (lambda image, made: change(image, 32 * BLOCK + 1, b"CD002"), "in a volume descriptor"),
    **{
        f"another size of the volume, in block {block}": (
            lambda image, made, block=block: change(image, block * BLOCK + 80, bytes(8)),  # type: ignore[misc]
            "as the size of a volume",
        )
        for block in (16, 18, 32, 33)
    },
    "a placeholder between two blocks": (
        between_two_blocks,
        "2047, not 0, as the byte of a block where the placeholder of /EFI/BOOT/number 00.efi begins",
    ),
}


@pytest.mark.parametrize(("damage", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_is_not_as_expected(damage: Callable[[bytearray, Made], None], message: str, made: Made) -> None:
    image = bytearray(made.image)
    damage(image, made)
    assert image != made.image
    with pytest.raises(BuildError) as refused:
        shared.point_into_esp(image, made.files, made.esp)
    assert str(refused.value).startswith("the ISO that xorriso made is not as expected: ")
    assert str(refused.value).endswith(message)


def test_refuses_an_extent_behind_the_volume(made: Made) -> None:
    blocks = len(made.image) // BLOCK
    path = SHARED[0]
    shared.point_into_esp(bytearray(made.image), made.files | {path: Extent(blocks - 1, BLOCK)}, made.esp)
    with pytest.raises(BuildError, match=f"ends at block {blocks + 1}, behind its volume's {blocks}"):
        shared.point_into_esp(bytearray(made.image), made.files | {path: Extent(blocks - 1, BLOCK + 1)}, made.esp)


def test_refuses_an_empty_file(tmp_path: Path) -> None:
    """It has no cluster."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null"}
    files = {"empty.efi": tmp_path / "empty", "full.efi": tmp_path / "full"}
    for path, content in zip(files.values(), (b"", b"x"), strict=True):
        path.write_bytes(content)
    esp.make(files, tmp_path / "esp.img", env)
    with pytest.raises(BuildError, match=r"^empty\.efi is an empty file: leave its row out of template/contents\.py$"):
        build.share(bytearray((tmp_path / "esp.img").read_bytes()), tmp_path / "esp.img", files)


def test_refuses_a_file_in_pieces(tmp_path: Path) -> None:
    """As on an ESP that was written to before."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null"}
    image = tmp_path / "esp.img"
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * BLOCK)
    large.write_bytes(b"y" * 20 * BLOCK)
    esp.make({f"{number}": small for number in range(40)}, image, env)
    free = ["mdel", "-i", str(image), *(f"::{number}" for number in range(0, 40, 2))]
    run(free, env)
    run(["mcopy", "-i", str(image), str(large), "::large"], env)
    with pytest.raises(BuildError, match=r"^the ESP's large is in several pieces: ISO 9660 can't point to it$"):
        esp.places(image)


@pytest.mark.parametrize(
    ("clusters", "kind"), [(100, b"FAT12"), (4000, b"FAT12"), (4060, b"FAT16"), (4085, b"FAT16"), (4500, b"FAT16")]
)
def test_every_size_of_esp_is_sound(clusters: int, kind: bytes, tmp_path: Path) -> None:
    """FAT12 or FAT16, and never near the number of clusters where it changes; each cluster is a block."""
    env = {"PATH": os.environ["PATH"], "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": "1767225600"}
    file, image = tmp_path / "file", tmp_path / "esp.img"
    file.write_bytes(b"x" * BLOCK * (clusters - 16))
    esp.make({"EFI/file": file}, image, env)
    content = image.read_bytes()
    assert content[54:59] == kind
    data = esp.data(content)
    assert data % BLOCK == 0
    count = (len(content) - data) // BLOCK
    assert abs(count - 4085) >= 16
    assert (count >= 4085) == (kind == b"FAT16")
    run(["fsck.vfat", "-n", str(image)], env)
    (place,) = esp.places(image).values()
    assert content[place : place + file.stat().st_size] == file.read_bytes()


def test_record_continued_elsewhere_is_refused(made: Made) -> None:
    """By Rock Ridge's CE entry, which a long name needs: it would be left behind where its record is taken out."""
    for tree, outcome in ((0, None), (1, None), (2, "refused"), (3, "refused")):
        image = bytearray(made.image)
        record = first_record(made, tree)
        entry = record.at + record.length - 12  # behind the name
        change(image, entry, b"CE\x1c\x01")
        if outcome:
            with pytest.raises(BuildError, match=r"^a directory record of the ISO goes on elsewhere: a file's name is"):
                shared.point_into_esp(image, made.files, made.esp)
        else:
            shared.point_into_esp(image, made.files, made.esp)
