"""One copy of each file that two file systems list: ISO 9660's directories point into the ESP.

xorriso lays out the tree with a placeholder for each such file, a block that names it. Then the directory records of
the placeholders get the place and the size that the files have inside the ESP. The volume of partition 1, which ends
where the ESP begins, can't point there: its records are taken out. The placeholders become zeros.

Not handled: files of several extents, Rock Ridge's continuation areas and relocated directories. Whatever is not there
exactly as expected is refused.

Sources: ECMA-119 (ISO 9660), sections 6.8 (directories), 7.3.3 (both byte orders), 8.4 and 8.5 (volume descriptors),
9.1 (directory record); Joliet specification; IEEE P1282 (Rock Ridge).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from template.build_tools import BuildError

BLOCK = 2048  # bytes: ISO 9660's
# The blocks in which volumes begin: the disc, and partition 1, which has descriptors of its own.
DISC, PARTITION = 0, 16

_DESCRIPTORS = 16  # blocks from the start of a volume
_PRIMARY, _JOLIET, _END = 1, 2, 255


@dataclass(frozen=True)
class Extent:
    """A file's bytes: the first block of the disc, and the size in bytes."""

    block: int
    size: int


@dataclass(frozen=True)
class Record:
    """A directory record: where it is in the image, its length in bytes, and what it names, by blocks of its volume."""

    at: int
    length: int
    extent: Extent
    directory: bool


@dataclass(frozen=True)
class Tree:
    """The tree of a volume descriptor: its volume's first block, where it is in the image, and its root directory."""

    volume: int
    descriptor: int
    root: Extent

    @property
    def blocks(self) -> slice:
        """Where the descriptor has the volume's size, in blocks."""
        return slice(self.descriptor + 80, self.descriptor + 88)


def placeholder(path: str) -> bytes:
    """Return what stands for a file of the tree while xorriso lays that out: a block."""
    return f"boots-from: here is nothing but a name for /{path}\n".encode().ljust(BLOCK, b"#")


def point_into_esp(image: bytearray, files: dict[str, Extent], esp: int) -> None:
    """Let the tree's records point to the files themselves; change nothing else.

    Args:
        image: the hybrid ISO, with placeholders.
        files: path in the tree to where the file's bytes are; for each of these there is a placeholder.
        esp: the ESP's first block, where partition 1 ends.

    Raises:
        BuildError: the image is not exactly as expected.
    """
    blocks = {}
    for path in files:
        _expect(image.count(placeholder(path)), 1, f"placeholders of /{path}")
        block, rest = divmod(image.index(placeholder(path)), BLOCK)
        _expect(rest, 0, f"as the byte of a block where the placeholder of /{path} begins")
        blocks[block] = path
    whole = len(image) // BLOCK
    for tree in trees(image):
        found = [record for record in records(image, tree) if tree.volume + record.extent.block in blocks]
        paths = [blocks[tree.volume + record.extent.block] for record in found]
        for path in files:
            _expect(paths.count(path), 1, f"records of /{path} in a directory tree")
        for record in found:
            _expect(record.extent.size, BLOCK, "bytes in a placeholder's record")
        # xorriso lets Joliet's volume end with the tree, and bsdtar then refuses what lies behind it.
        end = whole if (tree.volume, image[tree.descriptor]) == (DISC, _PRIMARY) else esp - tree.volume
        _expect(image[tree.blocks], _both(end), "as the size of a volume")
        if tree.volume == DISC:
            for record, path in zip(found, paths, strict=True):
                image[record.at + 2 : record.at + 18] = _both(files[path].block) + _both(files[path].size)
            image[tree.blocks] = _both(whole)
        else:
            _remove(image, tree, found)
    for block in blocks:
        image[block * BLOCK : (block + 1) * BLOCK] = bytes(BLOCK)
    for tree in trees(image):
        end = whole if tree.volume == DISC else esp - tree.volume
        for record in records(image, tree):
            last = record.extent.block - (-record.extent.size // BLOCK)
            if last > end:
                raise BuildError(f"a file of the ISO 9660 tree ends at block {last}, behind its volume's {end}")


def trees(image: bytes | bytearray) -> list[Tree]:
    """Return the four directory trees: ISO 9660 and Joliet, of the disc and of partition 1.

    Raises:
        BuildError: others are there, or not all.
    """
    found = []
    for volume in (DISC, PARTITION):
        kinds = []
        at = (volume + _DESCRIPTORS) * BLOCK
        while image[at] != _END:
            _expect(image[at + 1 : at + 6], b"CD001", "in a volume descriptor")
            if image[at] in (_PRIMARY, _JOLIET):
                kinds.append(image[at])
                found.append(Tree(volume, at, _extent(image, at + 156)))
            at += BLOCK
        _expect(kinds, [_PRIMARY, _JOLIET], "as the volume descriptors of a volume")
    return found


def records(image: bytes | bytearray, tree: Tree) -> list[Record]:
    """Return the records of all files and directories of a tree, but for a directory's own and its parent's."""
    return [record for directory in _directories(image, tree) for record in _named(image, tree, directory)]


def _directories(image: bytes | bytearray, tree: Tree) -> Iterator[Extent]:
    """Return the tree's directories, the root first."""
    waiting = [tree.root]
    while waiting:
        directory = waiting.pop()
        yield directory
        waiting += [record.extent for record in _named(image, tree, directory) if record.directory]


def _all(image: bytes | bytearray, tree: Tree, directory: Extent) -> Iterator[Record]:
    begin = (tree.volume + directory.block) * BLOCK
    for block in range(begin, begin + directory.size, BLOCK):
        at = block
        # No record crosses the end of a block: zeros fill it.
        while at < block + BLOCK and image[at]:
            yield Record(at, image[at], _extent(image, at), bool(image[at + 25] & 2))
            at += image[at]


def _named(image: bytes | bytearray, tree: Tree, directory: Extent) -> list[Record]:
    return list(_all(image, tree, directory))[2:]


def _remove(image: bytearray, tree: Tree, gone: list[Record]) -> None:
    """Take records out of the tree's directories; the others move up within their block."""
    places = {record.at for record in gone}
    for record in gone:
        if b"CE\x1c\x01" in image[record.at : record.at + record.length]:
            raise BuildError("a directory record of the ISO goes on elsewhere: a file's name is too long")
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
    _expect((block, size), (_both(found.block), _both(found.size)), "in a directory record")
    return found


def _both(number: int) -> bytes:
    """Return a number in both byte orders."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise BuildError(f"the ISO that xorriso made is not as expected: {found!r}, not {wanted!r}, {what}")
