"""The data files of the package, which may be in a directory or in a zip file."""

import mmap
import os

from boots_from.errors import REINSTALL, TemplateError


def mapped(name: str) -> bytes | mmap.mmap:
    """Return a data file as `read` does, but mapped into memory if possible, which takes a tenth of the time.

    Use the result only briefly: the file must not be truncated in the meantime.
    """
    try:
        with open(_path(name), "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # in a zip file, missing, or empty
        return read(name)


def read(name: str) -> bytes:
    """Return a data file from beside the modules; raise TemplateError if it cannot be read."""
    path = _path(name)
    loader = globals().get("__loader__")
    try:
        if loader is not None and hasattr(loader, "get_data"):  # which can read from a zip file
            return bytes(loader.get_data(path))
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or "not found"  # zipimport gives none
        raise TemplateError(f"cannot read {path} ({reason}): {REINSTALL}") from None


def _path(name: str) -> str:
    return os.path.join(os.path.dirname(__file__), name)
