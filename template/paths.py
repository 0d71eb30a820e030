"""Where things lie in the checkout."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = CHECKOUT / "template" / "packages.toml"
TEMPLATE = CHECKOUT / "src" / "boots_from" / "template.iso"
BUILD = CHECKOUT / "build"  # what is fetched and unpacked
CACHE = BUILD / "packages"
DIST = CHECKOUT / "dist"  # what is made to be given away
