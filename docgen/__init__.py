"""Writes the parts of docs/ that come from real runs: the boot matrix, the pictures of screens, the layout."""
