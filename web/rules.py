"""The rules as data: what the page's JavaScript takes from chain_url.py, boot_script.py and image.py.

The text of the script is rendered for two URLs that are single control characters, which no checked
URL can hold: where they stand, the page puts the URL that is echoed and the one that is booted from.
"""

from itertools import product
from typing import Any

from boots_from import boot_script, chain_url, cli, image
from boots_from.chain_url import ChainUrl, Scheme

# Where the script echoes the URL, and where it boots from it.
_SHOWN, _URL = "\x01", "\x02"

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
        "scripts": _scripts(),
        "slot_size": image.SLOT_SIZE,
    }


def _scripts() -> dict[str, str]:
    """Return the script's text for each kind of URL that it differs for."""
    schemes = {scheme.boot: scheme for scheme in chain_url.SCHEMES if scheme.boot and scheme.name != "https"}
    schemes_of: dict[tuple[str, str], Scheme] = {(boot, "plain"): scheme for boot, scheme in schemes.items()}
    schemes_of["chain", "https"] = chain_url.BY_NAME["https"]
    scripts = {}
    for (boot, kind), literal6 in product(schemes_of, (False, True)):
        scheme = schemes_of[boot, kind]
        script = boot_script.render(ChainUrl(_URL, scheme, "//[" + _SHOWN if literal6 else _SHOWN)).decode("ascii")
        scripts[f"{boot} {'IPv6' if literal6 else 'IPv4'} {kind}"] = script.replace("//[" + _SHOWN, _SHOWN)
    return scripts
