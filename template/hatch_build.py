"""Build hooks for hatchling: builds the template for the wheel and the sdist, and adapts README.md for PyPI."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeHook(MetadataHookInterface):
    """Makes the relative links in README.md absolute, to the files of this version on GitHub."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description of the package.

        Args:
            metadata: the metadata of the project, whose "readme" is set.
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
    """Builds the template if it is missing, as in a fresh checkout; the sdist already contains it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the template before hatchling collects the files.

        Args:
            version: "standard" or "editable".
            build_data: data for the builder, which is not changed.

        Raises:
            SystemExit: the template is missing and can't be built; the lines above give the reason.
        """
        root = Path(self.root)
        if (root / "src" / "boots_from" / "template.iso").is_file():
            return
        # "list" only checks for the tools, because building a Python package must not install anything on the host.
        check = subprocess.run([root / "template" / "install-dependencies", "iso", "list"], check=False)
        paths = f"sys.path[:0] = [{str(root)!r}, {str(root / 'src')!r}]"
        make = f"import sys; {paths}; from template.__main__ import main; sys.exit(main())"
        if check.returncode or subprocess.run([sys.executable, "-P", "-c", make], check=False).returncode:
            raise SystemExit("template: error: can't build the package without its template: see the message above")
