"""The tools that lay out the template, and how a failure of the build is said."""

import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

WORK = "boots-from-"  # how the directories begin that a build makes below the temporary one


class BuildError(Exception):
    """The template can't be built; `str()` is one line for the user: what is wrong, and what to do."""


def say(text: str) -> None:
    """Print a step of the build."""
    print(f"  {text}", flush=True)


def no_space(directory: Path, said: str) -> BuildError | None:
    """Return the error of a tool that found a full disk, or None if what it says is something else.

    Args:
        directory: what it was to write into.
        said: its words.
    """
    full = shutil.disk_usage(directory).free < 2**16  # not every tool says why it failed
    if not full and not re.search(r"(?i)no space left|enough free space|exceeds free space|quota exceeded", said):
        return None
    work = Path(tempfile.gettempdir()).absolute()
    remedy = "free some"
    if directory == work or str(directory).startswith(str(work / WORK)):
        directory, remedy = work, "free some, or name another directory in TMPDIR"
    return BuildError(f"no space left in {directory} (the build takes about 100 MB): {remedy}")


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    """Run a build tool and return what it prints; raise BuildError with its last words if it fails."""
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if result.returncode:
        if full := no_space(Path(tempfile.gettempdir()), result.stderr + result.stdout):
            raise full
        last = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise BuildError(f"{command[0]} failed: {last[0]} (the command: {shlex.join(command)})")
    return result.stdout
