"""Files of the package, which may be a directory or a zip file."""

import mmap
import os

from boots_from.errors import TemplateError


def mapped(name: str) -> bytes | mmap.mmap:
    """Return a file as `read` does, but mapped into memory where it is a file: that takes a tenth of the time.

    For who needs it but for a moment: it must not be truncated meanwhile.
    """
    try:
        with open(_path(name), "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # in a zip file, not there, or empty
        return read(name)


def read(name: str) -> bytes:
    """Return a file that is packed beside the modules; raise TemplateError if it can't be read."""
    path = _path(name)
    loader = globals().get("__loader__")
    try:
        if hasattr(loader, "get_data"):  # also reads from a zip file
            return bytes(loader.get_data(path))
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        why = error.strerror or "it is not there"  # zipimport gives no reason
        raise TemplateError(f"can't read {path} ({why}): reinstall boots-from, or run make in its checkout") from None


def _path(name: str) -> str:
    return os.path.join(os.path.dirname(__file__), name)
