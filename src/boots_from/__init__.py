"""Bake a bootable image that loads iPXE and boots from a URL.

The Python API is one function, one class for servers that send images in parts, and their exceptions:

    >>> import boots_from
    >>> image = boots_from.bake("http://boot.example.com/boot")
    >>> sector = boots_from.Image("http://boot.example.com/boot").read(32768, 2048)
"""

from boots_from.errors import BootsFromError, TemplateError, UrlError
from boots_from.image import Image, bake

__version__ = "0.1.0"
HOME = "https://github.com/boots-from/boots-from"  # .github/workflows/release.yml refuses to release elsewhere
__all__ = ["HOME", "BootsFromError", "Image", "TemplateError", "UrlError", "__version__", "bake"]
