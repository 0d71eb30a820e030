"""make iso from nothing on other machines than this one: the same image, byte for byte."""

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

URL = "http://bootserver/boot"
# What Docker gives a container without --privileged.
CONTAINER = (
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"
)


class Root:
    """A bare Debian of its own below a directory."""

    def __init__(self, place: Path, suite: str) -> None:
        """Make it: apt, and what the README asks for."""
        self.place = place
        include = "--include=make,git,python3,ca-certificates"
        # As an archive, whose owners a plain user then has in a namespace alone, for as long as he asks there.
        tar = place.with_suffix(".tar")
        made = ["mmdebstrap", "--variant=apt", include, suite, str(tar), apt.host_mirror()]
        subprocess.run(made, check=True, capture_output=True)
        place.mkdir()
        self.as_owner("tar", "--extract", f"--directory={place}", f"--file={tar}", "--exclude=./dev/*")
        tar.unlink()

    def as_owner(self, *command: str) -> None:
        """Run a command as who owns all of it; raise CalledProcessError if it fails."""
        subprocess.run([*unshare("mount"), *command], check=True)

    def checkout(self, owner: int = 0) -> str:
        """Put the files under version control into it; return where they lie."""
        name = f"/srv/checkout-{owner}"
        place = fresh_checkout.copy(self.place / name[1:])
        self.as_owner("chown", "-R", f"{owner}:{owner}", str(place))
        return name

    def run(self, place: str, command: str, *before: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command in a checkout, by the words `before` it; with the host's network."""
        shutil.copy("/etc/resolv.conf", self.place / "etc/resolv.conf")
        mount = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && root=$0 && exec chroot "$root" "$@"'
        inside = [*before, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "sh", "-c"]
        words = [*unshare("mount", "pid"), "--fork", "sh", "-ec", mount, str(self.place), *inside]
        return subprocess.run([*words, f"cd {place} && {command}"], capture_output=True, text=True, check=False)

    def image(self, place: str) -> str:
        """Return the SHA-256 of the template that was made in a checkout."""
        file = self.place / place[1:] / TEMPLATE.relative_to(CHECKOUT)
        return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    place = tmp_path_factory.mktemp("root") / request.param
    made = Root(place, request.param)
    yield made
    made.as_owner("rm", "-rf", str(place))


def test_the_same_image_as_root_as_a_user_and_in_a_container(root: Root) -> None:
    wanted = hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
    ways: dict[int, list[str]] = {
        0: [],
        1000: ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"],
        1: ["setpriv", f"--bounding-set={CONTAINER}", "--inh-caps=-all"],
    }
    for owner, before in ways.items():
        place = root.checkout(owner)
        result = root.run(place, f"make iso URL={URL}", *before)
        assert result.returncode == 0, result.stdout + result.stderr
        assert root.image(place) == wanted


def test_mirror_named_where_apt_knows_another_distribution(root: Root, tmp_path: Path) -> None:
    """As on Ubuntu. The archive is the test's own, with Debian's packages in it."""
    debs: dict[str, list[Path]] = {}
    for package in apt.fetch(load_pins(PACKAGES), CACHE):
        debs.setdefault(package.suite, []).append(package.deb)
    place = root.checkout(2)
    root.run(place, "template/install-dependencies venv && template/install-dependencies iso")
    home = tmp_path / "gnupg"
    home.mkdir()
    with signing_key(home) as key, serving(tmp_path / "archive", key) as served:
        for suite in (*debs, "noble"):
            served.put(suite, *debs.get(suite, []))
        shutil.copy(key.keyring, root.place / "usr/share/keyrings/debian-archive-keyring.gpg")
        (root.place / "etc/apt/sources.list").write_text(f"deb {served.mirror} noble main\n")
        refused = root.run(place, f"make iso URL={URL}")
        assert refused.returncode == 2
        assert (
            "template: apt on this host names no Debian mirror: name one, as in "
            "make iso URL=... DEBIAN_MIRROR=http://MIRROR/debian, or build in a Debian container\n"
        ) in refused.stderr
        result = root.run(place, f"make iso URL={URL} DEBIAN_MIRROR={served.mirror}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert root.image(place) == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
