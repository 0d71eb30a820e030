"""Files of the package, which may be a directory or a zip file."""

import os

from boots_from.errors import TemplateError


def read(name: str) -> bytes:
    """Return a file that is packed beside the modules; raise TemplateError if it can't be read."""
    path = os.path.join(os.path.dirname(__file__), name)
    loader = globals().get("__loader__")
    try:
        if loader is not None and hasattr(loader, "get_data"):  # also reads from a zip file
            return bytes(loader.get_data(path))
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise TemplateError(
            f"can't read {path} ({error.strerror}): reinstall boots-from, or run make in its checkout"
        ) from None
