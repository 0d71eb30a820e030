"""Custom files in place of packaged ones: the [[override]] tables of packages.toml (docs/how-to/customise.md)."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from template import contents
from template.build_tools import BuildError
from template.paths import CHECKOUT
from template.pins import tables


@dataclass(frozen=True)
class Override:
    """A file that stands for a packaged one.

    `file` is its path in the checkout; `replaces` is a row's source in contents.py; `licence` is an SPDX expression.
    """

    file: str
    replaces: str
    licence: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return CHECKOUT / self.file

    @property
    def line(self) -> str:
        """What the image's own list says of it: "file SHA-256 replaces"."""
        return f"{self.path.name} {hashlib.sha256(self.path.read_bytes()).hexdigest()} {self.replaces}"


def load(file: Path) -> list[Override]:
    """Read the tables.

    Args:
        file: packages.toml.

    Raises:
        BuildError: one is not as it should be, its file is not there, or the image has nothing that it could replace.
    """
    own = tables(file, "override", Override)
    used = {contents.MBR, *(row.source for row in contents.ROWS if row.packaged)}
    replaced: set[str] = set()
    for one in own:
        # The Makefile reads the path, too, and a space would end it there.
        if not re.fullmatch(r"[\w.+~/-]+", one.file, re.ASCII):
            raise BuildError(f"{file.name}: can't take the path {one.file!r}: use A-Z, a-z, 0-9 and . _ + ~ - / alone")
        if not one.path.is_file():
            raise BuildError(
                f"{file.name}: no file {one.file} in the checkout: put it there, or remove its [[override]]"
            )
        if not re.fullmatch(r"[!-~]+( [!-~]+)*", one.licence):
            raise BuildError(f"{file.name}: {one.file} has no licence: write it as SPDX does, such as GPL-2.0-or-later")
        if one.replaces not in used:
            raise BuildError(
                f"{file.name}: nothing in the image comes from {one.replaces!r}, which {one.file} is to replace: "
                "take a source that template/contents.py names"
            )
        if one.replaces in replaced:
            raise BuildError(f"{file.name}: {one.replaces} is replaced twice: remove one [[override]]")
        replaced.add(one.replaces)
    return own
