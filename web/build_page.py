"""The web page that makes images: one HTML file, from page.html, the scripts, the rules and the template."""

import base64
import gzip
import hashlib
import html
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import boots_from
from boots_from import boot_url, cli, image
from web import rules

HERE = Path(__file__).resolve().parent
NAME = "boots-from.html"


def make(template: bytes) -> bytes:
    """Return the page: one file that contains everything and sends no request.

    Args:
        template: the template image.

    Raises:
        TemplateError: the template is damaged.
    """
    data = json.dumps(rules.export() | {"slot_offset": image.slot_offset(template)}, indent=1).replace("<", "\\u003c")
    scripts = {name: (HERE / f"{name}.js").read_text() for name in ("start", "check", "sha256", "typing", "page")}
    scripts["rules"] = f'"use strict";\nconst data = {data};\n'
    styles = {"style": (HERE / "style.css").read_text(), "without_scripts": "#blocked { display: none; }"}
    # The page may fetch nothing, and run only these scripts, so a damaged script does not run (Content Security Policy,
    # level 3).
    policy = [
        "default-src 'none'",
        f"script-src {' '.join(map(_source, scripts.values()))}",
        f"style-src {' '.join(map(_source, styles.values()))}",
        "img-src data:",  # the icon
        "form-action 'none'",
        "base-uri 'none'",
    ]
    stem, dot, suffix = cli.OUTPUT.partition(".")
    # mtime=0: the same bytes in every build. The template is in an HTML comment, because WebKit needs 15 s for so much
    # text in an element.
    packed = base64.b64encode(gzip.compress(template, 9, mtime=0)).decode("ascii")
    return (
        (HERE / "page.html")
        .read_text()
        .format(
            csp="; ".join(policy),
            icon=urllib.parse.quote((HERE / "icon.svg").read_text().strip()),
            page_name=NAME,
            steps=(HERE / "steps.html")
            .read_text()
            .format(output=cli.OUTPUT, stem=stem, suffix=dot + suffix, size=f"{len(template) / 1e6:.1f}"),
            output=cli.OUTPUT,
            script=image.SCRIPT,
            version=boots_from.__version__,
            hashes="\n".join(_hashes(template)),
            schemes="\n".join(_schemes()),
            packages="\n".join(f"<li>{html.escape(line)}</li>" for line in _packages(template)),
            template_sha256=hashlib.sha256(template).hexdigest(),
            template=packed,
            **styles,
            **scripts,
        )
        .encode()
    )


def _hashes(template: bytes) -> Iterator[str]:
    """Yield each file to enroll, with its hash in rows of 16 bytes, as MokManager shows it."""
    for line in image.hashes_to_enroll(template):
        path, sha256, purpose = line.split(maxsplit=2)
        name = path.rsplit("/", 1)[1]
        rows = "\n".join(image.mok_rows(sha256))
        label = f"Copy the hash of {name}"
        yield (
            f'<dt><code>{path}</code>, {purpose}</dt>\n<dd><code class="rows" id="{name}">{rows}</code>'
            f'<button type="button" class="copy" data-of="{name}" aria-label="{label}">Copy</button></dd>'
        )


def _schemes() -> Iterator[str]:
    """Yield a table row for each scheme that iPXE can boot from."""
    for scheme in boot_url.SCHEMES:
        if scheme.boot:
            yield (
                f'<tr><th scope="row">{scheme.transport}</th><td><code>{scheme.form}</code>'
                f'<button type="button" class="example">{scheme.example}</button></td></tr>'
            )


def _packages(template: bytes) -> Iterator[str]:
    """Yield a line for each package in the image, and for each custom file that replaces a file of a package."""
    for line in image.packages(template):
        package, version, suite, _ = line.split()
        yield f"{package} {version} (Debian {suite})"
    for line in image.overrides(template):
        file, sha256, source = line.split()
        yield f"{file}, not from Debian, in place of {source}; SHA-256 {sha256}"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
