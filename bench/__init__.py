"""Measures times and sizes of the command, the page and the boot, and runs soak tests."""
