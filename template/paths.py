"""Paths in the checkout."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = CHECKOUT / "template" / "packages.toml"
TEMPLATE = CHECKOUT / "src" / "boots_from" / "template.iso"
BUILD = CHECKOUT / "build"  # downloads, unpacked packages, boot logs
CACHE = BUILD / "packages"
DIST = CHECKOUT / "dist"  # release files
