"""Generates the parts of docs/ that come from real runs: boot results, iPXE commands, screenshots, image layout."""
