"""The tools that lay out the template, and how a failure of the build is said."""

import shlex
import subprocess


class BuildError(Exception):
    """The template can't be built; `str()` is one line for the user: what is wrong, and what to do."""


def say(text: str) -> None:
    """Print a step of the build."""
    print(f"  {text}", flush=True)


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    """Run a build tool and return what it prints; raise BuildError with its last words if it fails."""
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise BuildError(f"{command[0]} failed: {last[0]} (the command: {shlex.join(command)})")
    return result.stdout
