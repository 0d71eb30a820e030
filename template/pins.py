"""Reads the TOML files that list Debian packages: packages.toml for the template, lab/packages/ for the tests.

Not handled: whether a suite really has these packages (see template/apt.py).
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
    """A binary package in a suite, with its exact version and the SHA-256 of the .deb.

    An empty `version` means the newest one in the suite. `architecture` is a Debian architecture name; if it is empty,
    the package is architecture-independent or built for this host. `folder` is a directory to unpack the package into,
    for a package with the same file names as another one.
    """

    name: str
    suite: str
    version: str = ""
    sha256: str = ""
    architecture: str = ""
    folder: str = ""

    @property
    def qualified_name(self) -> str:
        """Return the name of the package as apt expects it."""
        return f"{self.name}:{self.architecture}" if self.architecture else self.name


def load_pins(file: Path) -> list[Pin]:
    """Read a TOML file: a `[[package]]` table is a pin, a `[[latest]]` table lists package names without versions.

    Raises:
        BuildError: the file is not valid TOML, or one of its tables is not valid.
    """
    pins = tables(file, "package", Pin)
    latest = _toml(file).get("latest", [])
    return pins + [Pin(name, table["suite"]) for table in latest for name in table["names"]]


def find(pins: Iterable[Pin], qualified_name: str, suite: str) -> Pin | None:
    """Return the pin of a package in a suite, or None; two suites may have packages with the same name."""
    for pin in pins:
        if (pin.qualified_name, pin.suite) == (qualified_name, suite):
            return pin
    return None


def tables(file: Path, name: str, kind: type[_Table]) -> list[_Table]:
    """Read the tables `[[name]]` of a TOML file.

    Args:
        file: the TOML file.
        name: the name of the tables.
        kind: the dataclass to make from each table; all its fields are strings.

    Raises:
        BuildError: the file is not valid TOML, or a table has a missing or an unknown field.
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
        optional = "".join(f", optionally {key}" for key in keys if key not in needed)
        raise BuildError(
            f"{file.name}: a table [[{name}]] must have the strings {', '.join(needed)}{optional}: correct it"
        )
    return [kind(**table) for table in found]


def _toml(file: Path) -> dict[str, Any]:
    try:
        read = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{file.name} is not valid TOML ({error}): correct it") from None
    if unknown := sorted(set(read) - {"package", "latest", "override"}):
        raise BuildError(f"{file.name}: unknown table [[{unknown[0]}]]: use package, latest or override")
    return read
