"""Runs the tools that build the template, and turns their failures into error messages."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

WORK = "boots-from-"  # prefix of the temporary directories of a build


class BuildError(Exception):
    """The template can't be built; `str()` is one line for the user: what is wrong, and what to do."""


def print_step(text: str) -> None:
    """Print a step of the build."""
    print(f"  {text}", flush=True)


def no_space(directory: Path, output: str) -> BuildError | None:
    """Return the error to raise if a tool failed because the disk is full, or None if it failed for another reason.

    Args:
        directory: the directory that the tool was writing to; it need not exist.
        output: what the tool printed.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    full = shutil.disk_usage(existing).free < 2**16  # some tools fail without giving the reason
    if not full and not re.search(r"(?i)no space left|enough free space|exceeds free space|quota exceeded", output):
        return None
    temporary = Path(tempfile.gettempdir()).absolute()
    remedy = "free some space"
    if directory == temporary or str(directory).startswith(str(temporary / WORK)):
        directory, remedy = temporary, "free some space, or name another directory in TMPDIR"
    return BuildError(f"no space left in {directory}; the build needs about 100 MB: {remedy}")


def english() -> dict[str, str]:
    """Return the environment for a tool whose messages are read by `no_space` or become a part of ours."""
    return {**os.environ, "LC_ALL": "C"}


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    """Run a build tool and return its standard output.

    Raises:
        BuildError: the tool failed; the message has the last line that it printed.
    """
    result = subprocess.run(command, env=env or english(), capture_output=True, text=True, check=False)
    if result.returncode:
        if full := no_space(Path(tempfile.gettempdir()), result.stderr + result.stdout):
            raise full
        last = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise BuildError(f"{command[0]} failed: {last[0]} (command: {shlex.join(command)})")
    return result.stdout
