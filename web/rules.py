"""The rules as data: what the page's JavaScript takes from chain_url.py, boot_script.py and image.py."""

from typing import Any

from boots_from import boot_script, chain_url, cli, image

_PATTERNS = (
    "SETTING", "SCHEME", "HOST", "USERINFO", "ROOT_PATH", "ADDRESS", "LOCAL_PATH", "QUOTES", "LOOPBACK", "OCTAL",
    "SLIPS", "ISCSI_LUN", "ISCSI_TARGET", "AOE", "IB_SRP_FIELDS",
)  # fmt: skip


def export() -> dict[str, Any]:
    """Return them, ready for JSON."""
    return {
        "output": cli.OUTPUT,
        "schemes": [{**scheme._asdict(), "how": scheme.how} for scheme in chain_url.SCHEMES],
        "messages": chain_url.MESSAGES,
        "from_setting": chain_url.FROM_SETTING._asdict(),
        "from_root_path": chain_url.FROM_ROOT_PATH._asdict(),
        **{name.lower(): getattr(chain_url, name) for name in _PATTERNS},
        "examples": chain_url.EXAMPLES,
        "shown": boot_script.SHOWN,
        "boot": boot_script.BOOT,
        "script": boot_script.text(),
        "slot_size": image.SLOT_SIZE,
    }
