"""Builds the template image from pinned Debian packages; nothing here is used at run time."""
