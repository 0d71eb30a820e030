"""Messages of the build when a tool of the host fails."""

import re
from pathlib import Path

import pytest

from template.build_tools import BuildError, no_space, run


@pytest.mark.parametrize(
    "output",
    ["mcopy: No space left on device", "you don't have enough free space", "exceeds free space", "Disk quota exceeded"],
)
def test_full_disk_is_known_by_words(output: str, tmp_path: Path) -> None:
    """A quota leaves the disk itself with space."""
    full = no_space(tmp_path, f"E: {output}\n")
    assert str(full) == f"no space left in {tmp_path}; the build needs about 100 MB: free some space"


def test_other_error_is_not_full_disk(tmp_path: Path) -> None:
    assert no_space(tmp_path, "E: unable to locate the package") is None


def test_full_temporary_directory_names_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the directory itself, and of one that a build made there; not of others."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "boots-from-abc/firmware").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for place, remedy in (
        (tmp_path, "free some space, or name another directory in TMPDIR"),
        (tmp_path / "boots-from-abc/firmware", "free some space, or name another directory in TMPDIR"),
        (tmp_path / "other", "free some space"),
    ):
        named = place if place.name == "other" else tmp_path
        wanted = f"no space left in {named}; the build needs about 100 MB: {remedy}"
        assert str(no_space(place, "no space left")) == wanted


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo out; echo first >&2; echo last >&2; exit 3", "last"),
        ("echo first; echo 'words on standard output'; exit 1", "words on standard output"),
        ("exit 1", "no reason given"),
    ],
)
def test_failed_tool_gives_last_words(script: str, reason: str) -> None:
    with pytest.raises(BuildError, match=rf"^sh failed: {reason} \(command: {re.escape('sh -c ')}"):
        run(["sh", "-c", script])


def test_tool_gets_only_given_environment() -> None:
    assert run(["/usr/bin/env"], {"TZ": "UTC"}) == "TZ=UTC\n"
