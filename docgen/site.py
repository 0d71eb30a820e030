"""The documentation site: python -m docgen.site, which make site runs.

Assembles the sources of the site in build/site-source: docs/, the pages of the top folder, and the page that writes
images. Then MkDocs makes build/site from it, and refuses dead links. mkdocs.yml has the rest.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boots_from
from boots_from import image
from template.paths import BUILD, CHECKOUT
from web import build_page

SOURCE = BUILD / "site-source"
TOP = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
IMAGE_PAGE = "boots-from.html"
# What GitHub shows as nothing becomes a button.
BUTTON = "<!-- the site has a button here -->"
STYLE = """\
.md-typeset h1, .md-typeset h2 { font-weight: 600; color: inherit; }
/* A path or a hash breaks anywhere, before a table becomes wider than the page. */
.md-typeset table:not([class]) code { overflow-wrap: anywhere; }
.md-typeset table:not([class]) :is(th, td) { min-width: 2.5rem; }
.md-typeset table:not([class]) td:first-child { min-width: 5rem; }
.md-typeset table:not([class]) td[style*="right"] { white-space: nowrap; }
.md-typeset table:not([class]) td:has(code) { min-width: 7rem; }
@media (max-width: 44em) {
  .md-typeset h1 { font-size: 1.5em; }
  .md-typeset table:not([class]) :is(th, td) { padding: .5em .6em; }
  .md-typeset .headerlink { display: none; }
  .md-typeset .md-button { padding: .5em 1em; }
}
"""


def in_site(text: str, folder: str) -> str:
    """Return a page's text with the links that lead out of docs/ as the site has them.

    Args:
        text: in Markdown.
        folder: the page's, in the site; "" for the top.
    """
    for name in TOP:
        target = posixpath.relpath(name.lower(), folder or ".")
        text = re.sub(rf"\]\((?:\.\./)*{re.escape(name)}", f"]({target}", text)
    text = text.replace(BUTTON, f"[Write an image in your browser]({IMAGE_PAGE}){{ .md-button .md-button--primary }}")
    return re.sub(r"\]\((?:\.\./)*(LICENSE|NOTICE)\)", rf"]({boots_from.HOME}/blob/main/\1)", text)


def assemble(source: Path) -> None:
    """Write what the site is made of into a folder that is not there yet.

    Raises:
        TemplateError: there is no template, or it is damaged.
    """
    shutil.copytree(CHECKOUT / "docs", source)
    for page in source.rglob("*.md"):
        page.write_text(in_site(page.read_text(), page.parent.relative_to(source).as_posix()))
    for name in TOP:
        text = (CHECKOUT / name).read_text().replace("](docs/", "](")
        (source / name.lower()).write_text(in_site(text, ""))
    (source / IMAGE_PAGE).write_bytes(build_page.make(image.read_template()))
    shutil.copy(CHECKOUT / "web" / "icon.svg", source / "favicon.svg")
    (source / "site.css").write_text(STYLE)


def main() -> int:
    """Make the site; return the exit status, which is not 0 if a link is dead."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    assemble(SOURCE)
    # Or the theme prints a notice about the next major version of MkDocs.
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", "mkdocs.yml"]
    return subprocess.run(command, cwd=CHECKOUT, env=env, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
