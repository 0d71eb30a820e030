"""Stores each file once, although ISO 9660 and the ESP both list it: the ISO 9660 directories point into the ESP.

xorriso builds the ISO 9660 tree with a placeholder for each file on the ESP: one block that contains the path of the
file. Afterwards this module changes the directory records of the placeholders to the position and size of the files
inside the ESP, and zeroes the placeholders. The volume of partition 1 ends where the ESP begins, so it can't point
there, and loses these records.

Not handled: files with several extents, Rock Ridge continuation areas, and relocated directories. Anything unexpected
is an error.

Sources: ECMA-119 (ISO 9660), sections 6.8 (directories), 7.3.3 (both byte orders), 8.4 and 8.5 (volume descriptors),
9.1 (directory record); Joliet specification; IEEE P1282 (Rock Ridge).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from template.build_tools import BuildError

BLOCK = 2048  # bytes: a block of ISO 9660
# First blocks of the two volumes: the disc, and partition 1, which has its own descriptors.
DISC, PARTITION = 0, 16

_DESCRIPTORS = 16  # blocks from the start of a volume to its descriptors
_PRIMARY, _JOLIET, _END = 1, 2, 255


@dataclass(frozen=True)
class Extent:
    """The content of a file: `block` is its first block, `size` is in bytes."""

    block: int
    size: int


@dataclass(frozen=True)
class Record:
    """A directory record.

    `at` is its position in the image and `length` its length, both in bytes. `extent` counts blocks from the start of
    its volume. `directory` is true for the record of a directory.
    """

    at: int
    length: int
    extent: Extent
    directory: bool


@dataclass(frozen=True)
class Tree:
    """The directory tree of a volume descriptor.

    `volume` is the first block of the volume; `descriptor` is the position of the descriptor in the image, in bytes;
    `root` is the root directory.
    """

    volume: int
    descriptor: int
    root: Extent

    @property
    def size_field(self) -> slice:
        """The bytes of the image that give the size of the volume, in blocks."""
        return slice(self.descriptor + 80, self.descriptor + 88)


def placeholder(path: str) -> bytes:
    """Return the block that represents a file of the ESP while xorriso builds the tree."""
    return f"boots-from: placeholder for /{path}\n".encode().ljust(BLOCK, b"#")


def point_into_esp(image: bytearray, files: dict[str, Extent], esp: int) -> None:
    """Make the records of the placeholders point to the files on the ESP, and remove the placeholders.

    Args:
        image: the hybrid ISO with placeholders, which is changed in place.
        files: path in the tree to the extent of the file; each path has a placeholder.
        esp: the first block of the ESP, where partition 1 ends.

    Raises:
        BuildError: the image is not exactly as expected.
    """
    blocks = {}
    for path in files:
        _expect(image.count(placeholder(path)), 1, f"number of placeholders for /{path}")
        block, rest = divmod(image.index(placeholder(path)), BLOCK)
        _expect(rest, 0, f"offset of the placeholder for /{path} in its block")
        blocks[block] = path
    total = len(image) // BLOCK
    for tree in trees(image):
        found = [record for record in records(image, tree) if tree.volume + record.extent.block in blocks]
        paths = [blocks[tree.volume + record.extent.block] for record in found]
        for path in files:
            _expect(paths.count(path), 1, f"number of records of /{path} in a directory tree")
        for record in found:
            _expect(record.extent.size, BLOCK, "size in the record of a placeholder")
        # xorriso ends the Joliet volume with the tree. bsdtar would then refuse files that lie behind it.
        end = total if (tree.volume, image[tree.descriptor]) == (DISC, _PRIMARY) else esp - tree.volume
        _expect(image[tree.size_field], _both(end), "size of a volume")
        if tree.volume == DISC:
            for record, path in zip(found, paths, strict=True):
                image[record.at + 2 : record.at + 18] = _both(files[path].block) + _both(files[path].size)
            image[tree.size_field] = _both(total)
        else:
            _remove(image, tree, found)
    for block in blocks:
        image[block * BLOCK : (block + 1) * BLOCK] = bytes(BLOCK)
    for tree in trees(image):
        end = total if tree.volume == DISC else esp - tree.volume
        for record in records(image, tree):
            last = record.extent.block - (-record.extent.size // BLOCK)
            if last > end:
                raise BuildError(
                    f"a file of the ISO 9660 tree ends at block {last}, but its volume at {end}: report this as a bug"
                )


def trees(image: bytes | bytearray) -> list[Tree]:
    """Return the four directory trees: ISO 9660 and Joliet, of the disc and of partition 1.

    Raises:
        BuildError: the image does not have exactly these four.
    """
    found = []
    for volume in (DISC, PARTITION):
        kinds = []
        at = (volume + _DESCRIPTORS) * BLOCK
        while image[at] != _END:
            _expect(image[at + 1 : at + 6], b"CD001", "identifier in a volume descriptor")
            if image[at] in (_PRIMARY, _JOLIET):
                kinds.append(image[at])
                found.append(Tree(volume, at, _extent(image, at + 156)))
            at += BLOCK
        _expect(kinds, [_PRIMARY, _JOLIET], "types of the descriptors of a volume")
    return found


def records(image: bytes | bytearray, tree: Tree) -> list[Record]:
    """Return the records of all files and directories of a tree, without the records for "." and ".."."""
    return [record for directory in _directories(image, tree) for record in _named(image, tree, directory)]


def _directories(image: bytes | bytearray, tree: Tree) -> Iterator[Extent]:
    """Return the directories of a tree, the root first."""
    waiting = [tree.root]
    while waiting:
        directory = waiting.pop()
        yield directory
        waiting += [record.extent for record in _named(image, tree, directory) if record.directory]


def _all(image: bytes | bytearray, tree: Tree, directory: Extent) -> Iterator[Record]:
    begin = (tree.volume + directory.block) * BLOCK
    for block in range(begin, begin + directory.size, BLOCK):
        at = block
        # Records don't cross the end of a block; the rest of it is zero.
        while at < block + BLOCK and image[at]:
            yield Record(at, image[at], _extent(image, at), bool(image[at + 25] & 2))
            at += image[at]


def _named(image: bytes | bytearray, tree: Tree, directory: Extent) -> list[Record]:
    return list(_all(image, tree, directory))[2:]


def _remove(image: bytearray, tree: Tree, gone: list[Record]) -> None:
    """Remove records from the directories of a tree; the records behind them move up within their block."""
    places = {record.at for record in gone}
    for record in gone:
        if b"CE\x1c\x01" in image[record.at : record.at + record.length]:
            raise BuildError("a directory record of the ISO has a continuation area: use shorter file names")
    for directory in list(_directories(image, tree)):
        begin = (tree.volume + directory.block) * BLOCK
        for block in range(begin, begin + directory.size, BLOCK):
            kept = [
                image[record.at : record.at + record.length]
                for record in _all(image, tree, directory)
                if block <= record.at < block + BLOCK and record.at not in places
            ]
            image[block : block + BLOCK] = b"".join(kept).ljust(BLOCK, b"\0")


def _extent(image: bytes | bytearray, record: int) -> Extent:
    block, size = image[record + 2 : record + 10], image[record + 10 : record + 18]
    found = Extent(int.from_bytes(block[:4], "little"), int.from_bytes(size[:4], "little"))
    _expect((block, size), (_both(found.block), _both(found.size)), "block and size in a directory record")
    return found


def _both(number: int) -> bytes:
    """Return a number in both byte orders."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _expect(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise BuildError(f"xorriso made an unexpected ISO: {what} is {found!r}, not {expected!r}: report this as a bug")
