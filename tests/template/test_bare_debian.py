"""make iso on minimal Debian systems: everywhere the same image, byte for byte."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.namespaces import unshare
from template import apt
from template.paths import CACHE, CHECKOUT, PACKAGES, TEMPLATE
from template.pins import load_pins
from tests import fresh_checkout
from tests.template.local_archive import serving, signing_key

pytestmark = pytest.mark.thorough

URL = "http://boot.example.com/boot"
# The capabilities that Docker gives a container without --privileged.
CONTAINER = (
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"
)


class Root:
    """A minimal Debian system in a directory, for chroot."""

    def __init__(self, path: Path, suite: str) -> None:
        """Install the system: apt, and the packages that the README requires."""
        self.path = path
        include = "--include=make,git,python3,ca-certificates"
        # Installed as a tar file and unpacked in a user namespace, because a plain user can set owners only there.
        tar = path.with_suffix(".tar")
        install = ["mmdebstrap", "--variant=apt", include, suite, str(tar), apt.host_mirror()]
        subprocess.run(install, check=True, capture_output=True)
        path.mkdir()
        self.run_as_owner("tar", "--extract", f"--directory={path}", f"--file={tar}", "--exclude=./dev/*")
        tar.unlink()

    def run_as_owner(self, *command: str) -> None:
        """Run a command as the owner of all files; raise CalledProcessError if it fails."""
        subprocess.run([*unshare("mount"), *command], check=True)

    def checkout(self, owner: int = 0) -> str:
        """Copy the files under version control into the system; return their path in the system."""
        name = f"/srv/checkout-{owner}"
        path = fresh_checkout.copy(self.path / name[1:])
        self.run_as_owner("chown", "-R", f"{owner}:{owner}", str(path))
        return name

    def run(self, checkout: str, command: str, *prefix: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command in a checkout, with the command line `prefix` and the network of the host."""
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")
        mount = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && root=$0 && exec chroot "$root" "$@"'
        shell = [*prefix, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "sh", "-c"]
        enter = [*unshare("mount", "pid"), "--fork", "sh", "-ec", mount, str(self.path)]
        return subprocess.run(
            [*enter, *shell, f"cd {checkout} && {command}"], capture_output=True, text=True, check=False
        )

    def template_sha256(self, checkout: str) -> str:
        """Return the SHA-256 of the template in a checkout."""
        file = self.path / checkout[1:] / TEMPLATE.relative_to(CHECKOUT)
        return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    path = tmp_path_factory.mktemp("root") / request.param
    installed = Root(path, request.param)
    yield installed
    installed.run_as_owner("rm", "-rf", str(path))


def test_root_user_and_container_make_same_image(root: Root) -> None:
    expected = hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
    prefixes: dict[int, list[str]] = {
        0: [],
        1000: ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"],
        1: ["setpriv", f"--bounding-set={CONTAINER}", "--inh-caps=-all"],
    }
    for owner, prefix in prefixes.items():
        checkout = root.checkout(owner)
        result = root.run(checkout, f"make iso URL={URL}", *prefix)
        assert result.returncode == 0, result.stdout + result.stderr
        assert root.template_sha256(checkout) == expected


def test_other_distribution_builds_from_debian_mirror(root: Root, tmp_path: Path) -> None:
    """As on Ubuntu. A local archive serves the Debian packages."""
    debs: dict[str, list[Path]] = {}
    for package in apt.fetch(load_pins(PACKAGES), CACHE):
        debs.setdefault(package.suite, []).append(package.deb)
    checkout = root.checkout(2)
    root.run(checkout, "template/install-dependencies venv && template/install-dependencies iso")
    home = tmp_path / "gnupg"
    home.mkdir()
    with signing_key(home) as key, serving(tmp_path / "archive", key) as served:
        for suite in (*debs, "noble"):
            served.put(suite, *debs.get(suite, []))
        shutil.copy(key.keyring, root.path / "usr/share/keyrings/debian-archive-keyring.gpg")
        (root.path / "etc/apt/sources.list").write_text(f"deb {served.mirror} noble main\n")
        refused = root.run(checkout, f"make iso URL={URL}")
        assert refused.returncode == 2
        assert (
            "template: error: apt on this host has no Debian mirror: name one with "
            "make iso URL=... DEBIAN_MIRROR=http://MIRROR/debian, or build in a Debian container\n"
        ) in refused.stderr
        result = root.run(checkout, f"make iso URL={URL} DEBIAN_MIRROR={served.mirror}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert root.template_sha256(checkout) == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
