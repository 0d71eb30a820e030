"""The rules for URLs as data, from the Python modules, for the JavaScript of the page."""

from typing import Any

from boots_from import boot_script, boot_url, cli, image, messages

# Names in boot_url.
_URL_RULES = (
    "SETTING", "SCHEME", "HOST", "DOTTED", "IPV4", "IPV6", "IPV6_SETTINGS", "USERINFO", "ROOT_PATH", "ADDRESS",
    "LOCAL_PATH", "SPACES", "QUOTES", "OPENING", "CLOSING", "ASSIGNED", "NO_COLON", "BARE_IPV6", "SCHEMES", "OVER",
    "FROM_SETTING", "FROM_ROOT_PATH", "HOST_FIELD", "PORT_FIELD", "HOST_SLIPS", "SLIPS",
)  # fmt: skip

# The page has no shell that may have replaced a setting.
NOTHING_AFTER = messages.NOTHING_AFTER._replace(remedy="write a value, or a setting such as {right}")


def export() -> dict[str, Any]:
    """Return the rules, ready for JSON."""
    return {
        "output": cli.OUTPUT,
        **{name.lower(): _plain(getattr(boot_url, name)) for name in _URL_RULES},
        "messages": {name: _plain(value) for name, value in vars(messages).items() if name.isupper()},
        "shown": boot_script.SHOWN,
        "boot": boot_script.BOOT,
        "script": boot_script.text(),
        "slot_size": image.SLOT_SIZE,
    }


def _plain(value: Any) -> Any:
    """Return a named tuple as a dictionary, because JSON would drop the names."""
    if value == messages.NOTHING_AFTER:
        value = NOTHING_AFTER
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
