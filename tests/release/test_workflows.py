"""Runs the scripts of the GitHub workflows, without GitHub."""

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
def test_release_requires_date_in_changelog(tmp_path: Path, state: str, status: int) -> None:
    (line,) = re.findall(r"^if grep .*not yet released.*$", scripts("release.yml", "check"), re.MULTILINE)
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} ({state})\n")
    script = f"version={VERSION}; {line}"
    assert subprocess.run(["bash", "-ec", script], cwd=tmp_path, check=False).returncode == status


def test_wheel_job_bakes_same_image_as_test_job(tmp_path: Path) -> None:
    """And fails if the image differs."""
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


def test_wheel_job_covers_oldest_and_current_python() -> None:
    pythons = job("ci.yml", "wheel")["strategy"]["matrix"]["python"]
    assert pythons[0] == "3.11"
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in pythons


def test_release_requires_own_repository(tmp_path: Path) -> None:
    """HOME is part of the package; in a fork it would otherwise still name this repository."""
    lines = scripts("release.yml", "check").splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("home="))
    server, _, repository = boots_from.HOME.partition("github.com")
    for owner, status in ((repository[1:], 0), ("somebody/fork", 1)):
        env = {**os.environ, "GITHUB_SERVER_URL": f"{server}github.com", "GITHUB_REPOSITORY": owner}
        command = ["bash", "-ec", "\n".join(lines[at : at + 2])]
        assert subprocess.run(command, cwd=CHECKOUT, env=env, check=False).returncode == status


def test_nothing_is_published_after_failed_upload() -> None:
    needs = {name: job("release.yml", name).get("needs") for name in ("build", "publish", "attach", "site")}
    assert needs == {"build": "check", "publish": "build", "attach": "publish", "site": "attach"}


def test_built_site_is_deployed() -> None:
    steps = job("release.yml", "build")["steps"]
    (made,) = (number for number, step in enumerate(steps) if step.get("run") == "make site")
    assert steps[made + 1]["with"] == {"name": "site", "path": "build/site", "if-no-files-found": "error"}
    download, upload, deploy = job("release.yml", "site")["steps"]
    assert download["with"] == {"name": "site", "path": "site"}
    assert upload["uses"].startswith("actions/upload-pages-artifact@") and upload["with"] == {"path": "site"}
    assert deploy["uses"].startswith("actions/deploy-pages@")
