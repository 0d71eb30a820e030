"""The wheel and the sdist: exactly these files, the same image, and never without the template."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import boots_from
from lab import debian
from lab.namespaces import unshare
from template.paths import CACHE, CHECKOUT
from tests.pinned_packages import pinned_only

URL = "http://boot.example.com/boot"
VERSION = boots_from.__version__
MODULES = ("__init__", "__main__", "boot_script", "boot_url", "cli", "errors", "image", "messages", "resources")
PACKAGE = {f"boots_from/{module}.py" for module in MODULES} | {
    f"boots_from/{name}" for name in ("boot.ipxe", "py.typed", "template.iso")
}
MAN_PAGE = "man/boots-from.1"
INSTALLED_MAN_PAGE = f"boots_from-{VERSION}.data/data/share/man/man1/boots-from.1"
SOURCES = ("src", "template", "man", "README.md", "LICENSE", "NOTICE", "pyproject.toml")


def build(source: Path, output: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Build with the tools of this environment, without a network."""
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(output), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the sdist and the wheel that was built from it."""
    output = tmp_path_factory.mktemp("dist")
    result = build(CHECKOUT, output)
    assert result.returncode == 0, result.stdout + result.stderr
    return output


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"boots_from-{VERSION}-py3-none-any.whl"


def test_wheel_has_exactly_these_files(wheel: Path) -> None:
    info = f"boots_from-{VERSION}.dist-info"
    licences = {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"}
    metadata = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")} | licences
    with zipfile.ZipFile(wheel) as opened:
        assert set(opened.namelist()) == PACKAGE | metadata | {INSTALLED_MAN_PAGE}


@pinned_only
def test_wheel_is_at_most_5_megabytes(wheel: Path) -> None:
    assert wheel.stat().st_size <= 5_000_000


def test_sdist_has_exactly_these_files(dist: Path) -> None:
    with tarfile.open(dist / f"boots_from-{VERSION}.tar.gz") as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    template = {path.name for path in (CHECKOUT / "template").iterdir() if path.is_file()}
    others = {"PKG-INFO", "README.md", "LICENSE", "NOTICE", "pyproject.toml", ".gitignore", MAN_PAGE}
    assert (
        names
        == {f"src/{name}" for name in (*PACKAGE, "__main__.py")} | {f"template/{name}" for name in template} | others
    )


def test_wheel_from_checkout_equals_wheel_from_sdist(wheel: Path, tmp_path: Path) -> None:
    result = build(CHECKOUT, tmp_path, "--wheel")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_installed_command_bakes_the_same_image(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment, without a network, with only the command on the PATH."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    trap(tmp_path)
    command = ["env", "-i", f"PATH={place / 'bin'}", str(place / "bin/boots-from"), URL]
    subprocess.run([*unshare("net"), *command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_wheel_runs_as_a_zip_file(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-m", "boots_from", URL]
    env = {**os.environ, "PYTHONPATH": str(wheel)}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


@pytest.mark.parametrize("version", ["3.13", pytest.param("3.14", marks=pytest.mark.thorough)])
def test_newer_pythons_bake_the_same_image(wheel: Path, tmp_path: Path, version: str) -> None:
    """The Python packages of Debian, with newer libraries from Debian; warnings are errors."""
    root = debian.unpack(Path(__file__).with_name(f"python{version}.toml"))
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "installed")
    for place in (wheel, tmp_path / "installed"):
        env = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(place), "PATH": "/nonexistent"}
        command = [*debian.program(root, f"usr/bin/python{version}"), "-W", "error", "-m", "boots_from"]
        subprocess.run([*command, URL], cwd=tmp_path, env=env, check=True, stdout=subprocess.DEVNULL)
        assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def test_runs_in_read_only_package(wheel: Path, tmp_path: Path) -> None:
    """The command writes nothing beside the package: no lock and no cache."""
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "installed")
    output = tmp_path / "output"
    output.mkdir()
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$2" && shift 2 && exec "$@"'
    command = [sys.executable, "-S", "-W", "error", "-m", "boots_from", URL]
    shell = [*unshare("mount"), "sh", "-ec", script, "sh", str(tmp_path / "installed"), str(output), *command]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    subprocess.run(shell, env=env, check=True, stdout=subprocess.DEVNULL)
    assert (output / "boots-from.iso").read_bytes() == boots_from.bake(URL)


def without_template(place: Path) -> Path:
    """Copy the sources of the wheel, and the Debian packages in the cache, to `place`; return `place`."""
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, place / name, ignore=shutil.ignore_patterns("template.iso"))
        else:
            shutil.copy(CHECKOUT / name, place / name)
    shutil.copytree(CACHE, place / "build/packages", ignore=shutil.ignore_patterns("apt"))
    return place


@pytest.mark.parametrize("what", ["--wheel", "--sdist"])
def test_fresh_checkout_makes_the_template_first(dist: Path, tmp_path: Path, what: str) -> None:
    source = without_template(tmp_path / "source")
    result = build(source, tmp_path / "dist", what)
    assert result.returncode == 0, result.stdout + result.stderr
    (made,) = (tmp_path / "dist").iterdir()
    if what == "--wheel":
        assert made.read_bytes() == (dist / made.name).read_bytes()
    else:
        with tarfile.open(made) as opened, tarfile.open(dist / made.name) as other:
            names, expected = ({name.partition("/")[2] for name in tar.getnames()} for tar in (opened, other))
        assert names | {".gitignore"} == expected


def test_no_wheel_if_the_template_cannot_be_made(tmp_path: Path) -> None:
    """Without the tools on the PATH, one line names them, and nothing is installed."""
    source = without_template(tmp_path / "source")
    (tmp_path / "bin").mkdir()
    for name in ("sh", "python3", "dpkg-deb", "hash-to-efi-sig-list", "apt-get"):
        program = shutil.which(name)
        assert program
        (tmp_path / "bin" / name).symlink_to(program if name != "python3" else Path(sys.executable).resolve())
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(tmp_path / "dist"),
        str(source),
    ]
    env = {**os.environ, "PATH": str(tmp_path / "bin")}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert result.returncode != 0
    message = "tools to build the template are missing: install the Debian packages xorriso mtools\n"
    assert f"install-dependencies: error: {message}" in result.stderr
    assert not list(tmp_path.glob("dist/*"))


def test_wheel_metadata_names_licence_and_addresses(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        lines = opened.read(f"boots_from-{VERSION}.dist-info/METADATA").decode().partition("\n\n")[0].splitlines()
    assert "License-Expression: GPL-2.0-or-later" in lines
    assert [line for line in lines if line.startswith("License-File")] == [
        "License-File: LICENSE",
        "License-File: NOTICE",
    ]
    assert "Metadata-Version: 2.4" in lines
    urls = {
        "Source": boots_from.HOME,
        "Changelog": f"{boots_from.HOME}/blob/main/CHANGELOG.md",
        "Issues": f"{boots_from.HOME}/issues",
    }
    assert {f"Project-URL: {name}, {url}" for name, url in urls.items()} <= set(lines)
    assert [line for line in lines if line.startswith(("Provides-Extra", "Requires-Dist", "License:"))] == []


def test_description_has_no_relative_links(wheel: Path) -> None:
    """PyPI shows the description without the files that it links to."""
    with zipfile.ZipFile(wheel) as opened:
        text = opened.read(f"boots_from-{VERSION}.dist-info/METADATA").decode().partition("\n\n")[2]
    readme = (CHECKOUT / "README.md").read_text()
    relative = re.findall(r"(!?)\[[^\]]*\]\((?!https?:|#)([^)]+)\)", readme)
    assert len(relative) > 15 and ("!", "docs/screens/boots-uefi.png") in relative
    for picture, link in relative:
        assert f"]({boots_from.HOME}/{'raw' if picture else 'blob'}/v{VERSION}/{link})" in text
    assert re.findall(r"\]\((?!https?:|#)", text) == []
    assert len(text.splitlines()) == len(readme.splitlines())


def trap(directory: Path) -> None:
    """Put modules with the names of imported ones into a directory: a program that imports one fails."""
    for name in ("hashlib", "threading", "stat", "errno", "tempfile", "boots_from", "template", "runpy"):
        (directory / f"{name}.py").write_text("raise SystemExit('taken from the current directory')\n")


def test_checkout_has_the_command(tmp_path: Path) -> None:
    """`python3 src`, which make iso uses. It imports no module from the current directory."""
    trap(tmp_path)
    subprocess.run(["python3", CHECKOUT / "src", URL], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "boots-from.iso").read_bytes() == boots_from.bake(URL)
