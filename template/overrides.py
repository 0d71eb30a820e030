"""Reads the [[override]] tables of packages.toml: custom files in place of packaged ones (docs/how-to/customise.md)."""

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
    """A custom file that replaces a packaged one.

    `file` is its path in the checkout; `replaces` is the `source` of a row in contents.py; `licence` is an SPDX
    expression.
    """

    file: str
    replaces: str
    licence: str

    @property
    def path(self) -> Path:
        """The absolute path of the file."""
        return CHECKOUT / self.file

    @property
    def line(self) -> str:
        """The line in the list inside the image: file name, SHA-256, path of the replaced file."""
        return f"{self.path.name} {hashlib.sha256(self.path.read_bytes()).hexdigest()} {self.replaces}"


def load(file: Path) -> list[Override]:
    """Read and check the [[override]] tables.

    Args:
        file: packages.toml.

    Raises:
        BuildError: a table is not valid, its file is missing, or the image contains no file that it could replace.
    """
    overrides = tables(file, "override", Override)
    sources = {contents.MBR, *(row.source for row in contents.ROWS if row.packaged)}
    replaced: set[str] = set()
    for override in overrides:
        # The Makefile also reads this path, as a list of words.
        if not re.fullmatch(r"[\w.+~/-]+", override.file, re.ASCII):
            raise BuildError(
                f"{file.name}: unusable path {override.file!r} in [[override]]: use only A-Z, a-z, 0-9 and . _ + ~ - /"
            )
        if not override.path.is_file():
            raise BuildError(
                f"{file.name}: no file {override.file} in the checkout: add the file, or remove its [[override]]"
            )
        if not re.fullmatch(r"[!-~]+( [!-~]+)*", override.licence):
            raise BuildError(
                f"{file.name}: {override.file} has no valid licence: use an SPDX expression such as GPL-2.0-or-later"
            )
        if override.replaces not in sources:
            raise BuildError(
                f"{file.name}: {override.file} replaces {override.replaces!r}, which is not in the image: "
                "use a source from template/contents.py"
            )
        if override.replaces in replaced:
            raise BuildError(f"{file.name}: two [[override]] tables replace {override.replaces}: remove one")
        replaced.add(override.replaces)
    return overrides
