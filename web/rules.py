"""The rules as data: what the page's JavaScript takes from the modules that bake."""

from typing import Any

from boots_from import boot_script, boot_url, cli, image, messages

_OF_URLS = (
    "SETTING", "SCHEME", "HOST", "DOTTED", "IPV4", "IPV6", "IPV6_SETTINGS", "USERINFO", "ROOT_PATH", "ADDRESS",
    "LOCAL_PATH", "SPACES", "QUOTES", "OPENING", "CLOSING", "ASSIGNED", "NO_COLON", "BARE_IPV6", "SCHEMES", "OVER",
    "FROM_SETTING", "FROM_ROOT_PATH", "HOST_FIELD", "PORT_FIELD", "HOST_SLIPS", "SLIPS",
)  # fmt: skip


# A page has no shell, which may have taken a setting.
NOTHING_AFTER = messages.NOTHING_AFTER._replace(remedy="write a value, or a setting such as {right}")


def export() -> dict[str, Any]:
    """Return them, ready for JSON."""
    return {
        "output": cli.OUTPUT,
        **{name.lower(): _plain(getattr(boot_url, name)) for name in _OF_URLS},
        "messages": {name: _plain(value) for name, value in vars(messages).items() if name.isupper()},
        "shown": boot_script.SHOWN,
        "boot": boot_script.BOOT,
        "script": boot_script.text(),
        "slot_size": image.SLOT_SIZE,
    }


def _plain(value: Any) -> Any:
    """Return a row with its names, which JSON would leave out."""
    if value == messages.NOTHING_AFTER:
        value = NOTHING_AFTER
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
