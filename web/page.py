"""The page that bakes: one HTML file, made from page.html, its scripts, the rules and the template."""

import base64
import gzip
import hashlib
import html
import json
from pathlib import Path

import boots_from
from boots_from import cli, image
from web import rules

HERE = Path(__file__).resolve().parent
NAME = "boots-from.html"


def make(template: bytes) -> bytes:
    """Return the page: one file that holds everything, and asks nobody for anything.

    Args:
        template: the image that it bakes from.

    Raises:
        TemplateError: the template is damaged.
    """
    data = rules.export() | {
        "template_sha256": hashlib.sha256(template).hexdigest(),
        "slot_offset": image.slot_offset(template),
    }
    style, check, page = ((HERE / name).read_text() for name in ("style.css", "check.js", "page.js"))
    # Nothing may be fetched, and nothing run but these two scripts (Content Security Policy, level 3).
    policy = [
        "default-src 'none'",
        f"script-src {_source(check)} {_source(page)}",
        f"style-src {_source(style)}",
        "form-action 'none'",
        "base-uri 'none'",
    ]
    hashes = []
    for line in image.enrolled_hashes(template):
        path, sha256, what = line.split(maxsplit=2)
        rows = "\n".join(image.mok_rows(sha256))
        name = path.rsplit("/", 1)[1]
        hashes.append(
            f'<code>{path}</code> ({what}), which shows as <code class="hash" id="{name}">{rows}</code>'
            f'<button type="button" class="plain copy" data-of="{name}">Copy {name}\'s hash</button>'
        )
    firmware = []
    for line in image.firmware(template):
        package, version, suite, _ = line.split()
        firmware.append(f"{package} {version} (Debian {suite})")
    for line in image.own_files(template):
        file, sha256, source = line.split()
        firmware.append(f"{file}, not Debian's, in place of {source}; SHA-256 {sha256}")
    # mtime=0: the same bytes at every build.
    packed = base64.b64encode(gzip.compress(template, 9, mtime=0)).decode("ascii")
    return (
        (HERE / "page.html")
        .read_text()
        .format(
            csp="; ".join(policy),
            style=style,
            check=check,
            page=page,
            rules=json.dumps(data, indent=1).replace("<", "\\u003c"),
            template=packed,
            template_sha256=data["template_sha256"],
            size=f"{len(template):,}",
            output=cli.OUTPUT,
            script=image.SCRIPT,
            version=boots_from.__version__,
            hashes="\n".join(hashes),
            firmware="\n".join(f"<li>{html.escape(line)}</li>" for line in firmware),
        )
        .encode()
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
