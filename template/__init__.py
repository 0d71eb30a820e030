"""Build time only: makes the template image from Debian's firmware packages."""
