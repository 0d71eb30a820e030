"""A small Debian archive for tests: real packages, signed, and served over HTTP on loopback."""

import hashlib
import random
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from template.pins import Pin

SUITE = "teststable"
OTHER = "s390x"  # an architecture other than that of the host


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass
class Key:
    """A key that signs an archive: the gpg command line that uses it, and a keyring with its public half."""

    gpg: list[str]
    keyring: Path


@contextmanager
def signing_key(home: Path) -> Iterator[Key]:
    """Create a key in an empty directory, and stop its gpg-agent when the block ends."""
    home.chmod(0o700)
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    generate = ["--quick-generate-key", "test@example.org", "ed25519", "sign", "never"]
    subprocess.run([*gpg, "--passphrase", "", *generate], check=True, capture_output=True)
    keyring = home / "keyring.gpg"
    subprocess.run([*gpg, "--no-autostart", "--export", "-o", keyring], check=True, capture_output=True)
    try:
        yield Key(gpg, keyring)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


@dataclass
class Archive:
    """A package archive: the directory `root`, served at the URI `mirror`."""

    root: Path
    mirror: str
    key: Key
    origin: str = "Test Vendor"

    @property
    def keyring(self) -> Path:
        return self.key.keyring

    def publish(self, name: str, version: str, architecture: str = "all", suite: str = SUITE, size: int = 0) -> Pin:
        """Build a package with `size` bytes of random data, make it the only one in a suite, and return its pin."""
        tree = self.root.parent / f"{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        fields = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "t <t@example.org>"}
        control = "".join(f"{key}: {value}\n" for key, value in fields.items()) + "Description: test\n"
        (tree / "DEBIAN/control").write_text(control)
        (tree / "usr").mkdir()
        (tree / "usr/payload").write_text(version)
        if size:
            (tree / "usr/more").write_bytes(random.Random(version).randbytes(size))
        deb = tree.with_suffix(".deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
        self.put(suite, deb)
        return Pin(name, suite, version, hashlib.sha256(deb.read_bytes()).hexdigest())

    def put(self, suite: str, *debs: Path) -> None:
        """Replace the content of a suite with these packages; the index of the suite has expired."""
        command = ["dpkg", "--print-architecture"]
        native = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        indexes: dict[str, str] = dict.fromkeys((native, OTHER, "amd64", "arm64"), "")
        for deb in debs:
            control = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True).stdout
            fields = {name: re.search(rf"^{name}: (.*)", control, re.MULTILINE) for name in ("Package", "Architecture")}
            name, architecture = (found[1] if found else "" for found in fields.values())
            content = deb.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            file = self.root / "pool" / f"{name}-{sha256[:16]}.deb"
            file.parent.mkdir(exist_ok=True)
            shutil.copyfile(deb, file)
            stanza = f"{control}Filename: pool/{file.name}\nSize: {len(content)}\nSHA256: {sha256}\n\n"
            for index in indexes if architecture == "all" else [architecture]:
                indexes[index] += stanza
        self._sign(suite, indexes)

    def weaken(self, name: str) -> None:
        """Sign the suite again, with an index that has only MD5 hashes."""
        suite = self.root / "dists" / name
        lines = (suite / "Release").read_text().replace("SHA256:", "MD5Sum:").splitlines()
        for number, line in enumerate(lines):
            if line.startswith(" "):
                _, size, file = line.split()
                digest = hashlib.md5((suite / file).read_bytes(), usedforsecurity=False).hexdigest()
                lines[number] = f" {digest} {size} {file}"
        (suite / "Release").write_text("\n".join([*lines, ""]))
        self._clearsign(suite)

    def _sign(self, name: str, indexes: dict[str, str]) -> None:
        suite = self.root / "dists" / name
        release = (
            f"Origin: {self.origin}\nSuite: {name}\nCodename: {name}\nComponents: main\n"
            f"Architectures: {' '.join(indexes)}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\nSHA256:\n"
        )
        for architecture, index in indexes.items():
            file = f"main/binary-{architecture}/Packages"
            content = index.encode()
            (suite / file).parent.mkdir(parents=True, exist_ok=True)
            (suite / file).write_bytes(content)
            release += f" {hashlib.sha256(content).hexdigest()} {len(content)} {file}\n"
        (suite / "Release").write_text(release)
        self._clearsign(suite)

    def _clearsign(self, suite: Path) -> None:
        (suite / "InRelease").unlink(missing_ok=True)
        sign = [*self.key.gpg, "--clearsign", "-o", str(suite / "InRelease"), str(suite / "Release")]
        subprocess.run(sign, check=True, capture_output=True)

    @property
    def debs(self) -> list[Path]:
        return list((self.root / "pool").iterdir())


@contextmanager
def serving(root: Path, key: Key) -> Iterator[Archive]:
    """Create an empty archive and serve it until the block ends."""
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Archive(root, f"http://127.0.0.1:{server.server_port}/", key)
        finally:
            server.shutdown()
            thread.join()
