"""The build hook of wheel and sdist: no package without the template."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplateHook(BuildHookInterface):  # type: ignore[type-arg]
    """Refuse to build where the template is missing; an editable install builds it later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check before anything is packed.

        Args:
            version: "standard" or "editable".
            build_data: the builder's; not changed.

        Raises:
            SystemExit: there is no template.
        """
        template = Path(self.root, "src", "boots_from", "template.iso")
        if version != "editable" and not template.is_file():
            raise SystemExit(f"boots-from: no {template.name} to pack: run make template in the checkout first")
