"""The workflows' own scripts, run here; GitHub's machines can't be had in a test."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import boots_from
from template.paths import CHECKOUT

VERSION = boots_from.__version__


def job(workflow: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(CHECKOUT / ".github/workflows" / workflow)
    jobs: dict[str, dict[str, Any]] = loaded["jobs"]
    return jobs[name]


def scripts(workflow: str, name: str) -> str:
    return "\n".join(step["run"] for step in job(workflow, name)["steps"] if "run" in step)


@pytest.mark.parametrize(("state", "status"), [("not yet released", 1), ("2026-12-01", 0)])
def test_release_wants_a_changelog_that_says_when(tmp_path: Path, state: str, status: int) -> None:
    (line,) = re.findall(r"^if grep .*not yet released.*$", scripts("release.yml", "check"), re.MULTILINE)
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} ({state})\n")
    script = f"version={VERSION}; {line}"
    assert subprocess.run(["bash", "-ec", script], cwd=tmp_path, check=False).returncode == status


def test_wheel_of_one_job_bakes_the_same_image_in_the_other(tmp_path: Path) -> None:
    """And another image is noticed."""
    build = job("ci.yml", "test")["steps"]
    (made,) = (step["run"] for step in build if "SHA256SUMS" in step.get("run", ""))
    first, second = tmp_path / "first", tmp_path / "second"
    for name in ("src", "template", "man", "README.md", "LICENSE", "NOTICE", "pyproject.toml"):
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        first.mkdir(exist_ok=True)
        copy(CHECKOUT / name, first / name)
    (first / ".venv").symlink_to(CHECKOUT / ".venv")
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", made], cwd=first, check=True)
    venv.create(second / "venv", with_pip=True)
    shutil.copytree(first / "wheel", second / "wheel")
    env = {**os.environ, "PATH": f"{second / 'venv/bin'}:{os.environ['PATH']}"}
    command = ["bash", "-e", "-o", "pipefail", "-c", scripts("ci.yml", "wheel")]
    subprocess.run(command, cwd=second, env=env, check=True)
    sums = second / "wheel/SHA256SUMS"
    sums.write_text(sums.read_text()[::-1])
    assert subprocess.run(command, cwd=second, env=env, check=False).returncode == 1


def test_wheel_is_tried_with_every_python_from_the_oldest() -> None:
    pythons = job("ci.yml", "wheel")["strategy"]["matrix"]["python"]
    assert pythons[0] == "3.11"
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in pythons


def test_release_wants_its_own_address(tmp_path: Path) -> None:
    """The package names where it is from; another repository's release would name this one."""
    lines = scripts("release.yml", "check").splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("home="))
    server, _, repository = boots_from.HOME.partition("github.com")
    for owner, status in ((repository[1:], 0), ("somebody/fork", 1)):
        env = {**os.environ, "GITHUB_SERVER_URL": f"{server}github.com", "GITHUB_REPOSITORY": owner}
        command = ["bash", "-ec", "\n".join(lines[at : at + 2])]
        assert subprocess.run(command, cwd=CHECKOUT, env=env, check=False).returncode == status


def test_nothing_is_attached_that_pypi_refused() -> None:
    needs = {name: job("release.yml", name).get("needs") for name in ("build", "publish", "attach", "site")}
    assert needs == {"build": "check", "publish": "build", "attach": "publish", "site": "attach"}


def test_site_that_is_made_is_published() -> None:
    steps = job("release.yml", "build")["steps"]
    (made,) = (number for number, step in enumerate(steps) if step.get("run") == "make site")
    assert steps[made + 1]["with"] == {"name": "site", "path": "build/site", "if-no-files-found": "error"}
    fetched, packed, deployed = job("release.yml", "site")["steps"]
    assert fetched["with"] == {"name": "site", "path": "site"}
    assert packed["uses"].startswith("actions/upload-pages-artifact@") and packed["with"] == {"path": "site"}
    assert deployed["uses"].startswith("actions/deploy-pages@")
