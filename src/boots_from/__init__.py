"""Bake a bootable image that loads iPXE and boots from a URL.

The Python API is one function, for who serves images one class, and their exceptions:

    >>> import boots_from
    >>> image = boots_from.bake("http://bootserver.example/boot")
    >>> sector = boots_from.Image("http://bootserver.example/boot").read(32768, 2048)
"""

from boots_from.errors import BootsFromError, TemplateError, UrlError
from boots_from.image import Image, bake

__version__ = "0.1.0"
HOME = "https://github.com/boots-from/boots-from"  # a release elsewhere is refused: .github/workflows/release.yml
__all__ = ["HOME", "BootsFromError", "Image", "TemplateError", "UrlError", "__version__", "bake"]
