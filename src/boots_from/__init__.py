"""Bake a bootable image that loads iPXE and boots from a URL.

The Python API is one function and its exceptions:

    >>> import boots_from
    >>> image = boots_from.bake("http://bootserver.example/boot")
"""

from boots_from.errors import BootsFromError, TemplateError, UrlError
from boots_from.image import bake

__version__ = "0.1.0"
__all__ = ["BootsFromError", "TemplateError", "UrlError", "__version__", "bake"]
