"""A checkout with changes of the kinds that docs/how-to/customise.md describes."""

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

from boots_from import image
from template.paths import CACHE, CHECKOUT, TEMPLATE
from tests import fresh_checkout

URL = "http://boot.example.com/boot"


class CustomCheckout:
    """A fresh checkout that shares the Python environment, packages and template of this one."""

    def __init__(self, path: Path) -> None:
        """Make it at `path`, which must not exist yet."""
        self.path = fresh_checkout.copy(path)
        (path / ".venv").symlink_to(CHECKOUT / ".venv")
        (path / "build").mkdir()
        (path / "build/packages").symlink_to(CACHE)
        shutil.copy(TEMPLATE, self._template)  # copied last, so that make finds it newer than its sources

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace texts in a file, from old to new; each old text must occur exactly once."""
        text = (self.path / file).read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times, expected once"
            text = text.replace(old, new)
        (self.path / file).write_text(text)

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command in the checkout; return its stdout and stderr.

        Raises:
            AssertionError: the exit status is not `status`.
        """
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "COV"))}
        env["PYTHONPATH"] = str(self.path / "src")
        result = subprocess.run(command, cwd=self.path, env=env, capture_output=True, text=True, check=False)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout + result.stderr

    def make(self, *arguments: str, status: int = 0) -> str:
        """Run make, as `run` does."""
        return self.run("make", *arguments, status=status)

    def python(self, *arguments: str, status: int = 0) -> str:
        """Run Python with the modules of this checkout, as `run` does."""
        return self.run(".venv/bin/python", *arguments, status=status)

    def bake(self, url: str = URL, output: str = "boots-from.iso") -> bytes:
        """Run make iso; return the image that it writes to `output`."""
        self.make("iso", f"URL={url}")
        return (self.path / output).read_bytes()

    @property
    def _template(self) -> Path:
        return self.path / TEMPLATE.relative_to(CHECKOUT)

    @property
    def template(self) -> bytes:
        """The template image."""
        return self._template.read_bytes()

    def append(self, file: str, text: str) -> None:
        """Append text to a file."""
        with (self.path / file).open("a") as opened:
            opened.write(text)

    def write(self, file: str, content: bytes) -> None:
        """Write a file; its directory is made if it does not exist."""
        (self.path / file).parent.mkdir(exist_ok=True)
        (self.path / file).write_bytes(content)


def documented_overrides(section: str) -> str:
    """Return the [[override]] tables in a section of docs/how-to/customise.md."""
    page = (CHECKOUT / "docs/how-to/customise.md").read_text()
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    ((_, tables),) = re.findall(r"^( *)```toml\n(.*?)\1```", text, re.MULTILINE | re.DOTALL)
    return textwrap.dedent(tables)


def script(baked: bytes, size: int = image.SLOT_SIZE) -> str:
    """Return the script of an image whose slot has `size` bytes."""
    return baked[(start := baked.index(b"#!ipxe\n")) : start + size].decode("ascii").rstrip("\n")


def remove_secure_boot(checkout: CustomCheckout) -> None:
    """Remove shim and MokManager from the image, so that UEFI starts iPXE directly."""
    rows = checkout.path / "template/contents.py"
    text = rows.read_text()
    shim, mok_manager = '"EFI/BOOT/BOOT(?:X64|AA64).EFI", "usr/lib/shim/', '"EFI/BOOT/mm(?:x64|aa64).efi"'
    for path, count in (("HINT", 1), (shim, 2), (mok_manager, 2)):
        row = rf"^    Row\((?:\n        )?ESP, {path}.*(?:\n        .*)*(?:\n    )?\),\n"
        text, found = re.subn(row, "", text, flags=re.MULTILINE)
        assert found == count
    for old, new in (("grubx64.efi", "BOOTX64.EFI"), ("grubaa64.efi", "BOOTAA64.EFI")):
        assert text.count(f'"EFI/BOOT/{old}"') == 1
        text = text.replace(f'"EFI/BOOT/{old}"', f'"EFI/BOOT/{new}"')
    text, found = re.subn(r",\s+enroll=.*(?=,\n)", "", text)
    assert found == 5
    rows.write_text(text)
    packages = checkout.path / "template/packages.toml"
    kept, mark, _ = packages.read_text().partition("# Secure Boot:")
    assert mark
    packages.write_text(kept)
