"""The build hooks of wheel and sdist: no package without the template, and a description that PyPI can show."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeHook(MetadataHookInterface):
    """Let README.md's links lead to the files of this version, from wherever it is shown."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in `readme`.

        Args:
            metadata: the project's; its "readme" is set.
        """
        root = Path(self.root)
        module = (root / "src/boots_from/__init__.py").read_text()
        version, home = (re.findall(rf'^{name} = "(.*?)"', module, re.MULTILINE)[0] for name in ("__version__", "HOME"))
        text = re.sub(
            r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)]+)\)",
            lambda link: f"{link[1]}[{link[2]}]({home}/{'raw' if link[1] else 'blob'}/v{version}/{link[3]})",
            (root / "README.md").read_text(),
        )
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class TemplateHook(BuildHookInterface):  # type: ignore[type-arg]
    """Make the template where it is missing, as in a fresh checkout; the sdist holds it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do it before anything is packed.

        Args:
            version: "standard" or "editable".
            build_data: the builder's; not changed.

        Raises:
            SystemExit: there is no template, and it can't be made; the line above says why.
        """
        root = Path(self.root)
        if (root / "src" / "boots_from" / "template.iso").is_file():
            return
        # Only looked for: a build installs nothing on the host.
        lacking = subprocess.run([root / "template" / "install-dependencies", "iso", "list"], check=False)
        paths = f"sys.path[:0] = [{str(root)!r}, {str(root / 'src')!r}]"
        make = f"import sys; {paths}; from template.__main__ import main; sys.exit(main())"
        if lacking.returncode or subprocess.run([sys.executable, "-P", "-c", make], check=False).returncode:
            raise SystemExit("boots-from: no template to pack, for the reason above")
