"""Pinned Debian packages, as TOML files list them: the template in packages.toml, the tests in lab/packages/.

Not handled: whether a suite has them (template/apt.py).
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar

from template.build_tools import BuildError

_Table = TypeVar("_Table")


@dataclass(frozen=True)
class Pin:
    """The one file that is wanted: a binary package's version in a suite, and the .deb's SHA-256.

    Without a version it is whatever the suite has. `architecture` is Debian's name of the one that it
    is built for; without it, it is this host's, or the package is for all. `folder` is where its files
    are unpacked, for one of two packages whose files have the same names.
    """

    name: str
    suite: str
    version: str = ""
    sha256: str = ""
    architecture: str = ""
    folder: str = ""

    @property
    def qualified_name(self) -> str:
        """Return the package's name as apt takes it."""
        return f"{self.name}:{self.architecture}" if self.architecture else self.name


def load_pins(file: Path) -> list[Pin]:
    """Read a TOML file: `[[package]]` tables, one for each pin; `[[latest]]`, names of one suite, any version.

    Raises:
        BuildError: the file is no TOML, or a table is not as it should be.
    """
    pins = tables(file, "package", Pin)
    latest = _toml(file).get("latest", [])
    return pins + [Pin(name, table["suite"]) for table in latest for name in table["names"]]


def find(pins: Iterable[Pin], qualified_name: str, suite: str) -> Pin | None:
    """Return the pin of a package, which two suites may have under one name; None if there is none."""
    for pin in pins:
        if (pin.qualified_name, pin.suite) == (qualified_name, suite):
            return pin
    return None


def tables(file: Path, name: str, kind: type[_Table]) -> list[_Table]:
    """Read a TOML file's tables of one name.

    Args:
        file: the file.
        name: the tables', which stands between two pairs of brackets.
        kind: what such a table becomes; all its fields are strings.

    Raises:
        BuildError: the file is no TOML, or a table lacks a field, or has another.
    """
    found = _toml(file).get(name, [])
    keys = signature(kind).parameters
    needed = [key for key, parameter in keys.items() if parameter.default is Parameter.empty]

    def fits(table: object) -> bool:
        return (
            isinstance(table, dict)
            and set(needed) <= set(table) <= set(keys)
            and all(isinstance(value, str) for value in table.values())
        )

    if not isinstance(found, list) or not all(map(fits, found)):
        others = "".join(f", perhaps {key}" for key in keys if key not in needed)
        raise BuildError(f"{file.name}: a table [[{name}]] has {', '.join(needed)}{others}, all in quotes: correct it")
    return [kind(**table) for table in found]


def _toml(file: Path) -> dict[str, Any]:
    try:
        read = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{file.name} is no TOML ({error}): correct it there") from None
    if unknown := sorted(set(read) - {"package", "latest", "override"}):
        raise BuildError(f"{file.name}: unknown table [[{unknown[0]}]]: there are package, latest and override")
    return read
