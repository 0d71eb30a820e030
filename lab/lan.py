"""Isolated LANs for tests: a network namespace with a tap for each network card, and real servers.

Card N of the machine is on segment N. The host side of a segment is 10.0.N.1 (and fd00:0:0:N::1), where dnsmasq serves
DHCP, DNS and TFTP. No packet leaves the namespace. For users other than root it is inside a user namespace.
"""

import hashlib
import mmap
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import boots_from
from lab import debian
from lab.firmware import UEFI, Firmware
from lab.link import Link
from lab.machine import Machine, nonce_script
from lab.media import AHCI_CD, Medium
from lab.namespaces import unshare

IQN = "iqn.2004-01.example.boots-from:disk"
# The DNS of every segment resolves both names to the host side of the segment.
NAME = "bty-server"
EXAMPLE = "boot.example.com"  # in the documentation


class Server:
    """A running server, whose output goes to a file."""

    def __init__(self, command: list[str], log: Path) -> None:
        """Start the server."""
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def wait_for(self, pattern: str, seconds: float = 60) -> "Server":
        """Wait until the output matches a pattern; raise AssertionError, with the output, after so many seconds."""
        return self.wait_until(lambda: bool(re.search(pattern, self.output())), seconds)

    def wait_until(self, started: Callable[[], bool], seconds: float = 60) -> "Server":
        """Wait until `started` returns true; raise AssertionError, with the output, on timeout or if it ends."""
        end = time.monotonic() + seconds
        while not started():
            assert self._process.poll() is None, f"{self.log.stem} ended: {self.output()}"
            assert time.monotonic() < end, f"{self.log.stem} did not start: {self.output()}"
            time.sleep(0.02)
        return self

    def output(self) -> str:
        """Return the output so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Terminate the server; kill it if it still runs after 3 s."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


class Lan:
    """A network namespace; a context manager that ends everything in it."""

    def __init__(self, work: Path, servers: Path) -> None:
        """Create an empty namespace.

        Args:
            work: a directory for configuration, logs and served files.
            servers: the directory of the unpacked server programs.
        """
        self.work = work
        self.www = work / "www"  # the document root of nginx
        self.www.mkdir()
        self._programs = servers
        self.cards: list[str] = []  # QEMU arguments for the network cards of the machine
        self.links: list[Link] = []  # links that behave like real ones
        self._servers: list[Server] = []
        # A separate /run and /etc, because the servers have fixed paths for sockets and locks, and need files in /etc
        # that a minimal host lacks.
        script = "ip link set lo up && mount -t tmpfs none /run && mount --bind $0 /etc && echo ready"
        holder = [*unshare("net", "mount"), "sh", "-c", f"{script} && exec sleep infinity", str(self._etc())]
        self._holder = subprocess.Popen(holder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise AssertionError(f"can't create a namespace for a LAN: {self._holder.communicate()[1].decode()}")
        user = [] if os.geteuid() == 0 else ["--preserve-credentials", "--user"]
        self.enter = ["nsenter", f"--target={self._holder.pid}", *user, "--net", "--mount"]

    def _etc(self) -> Path:
        """Make the directory for /etc, and return it."""
        etc = self.work / "etc"
        etc.mkdir()
        for name in ("services", "protocols", "netconfig"):
            shutil.copy(self._programs / "etc" / name, etc)
        (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n_rpc:x:0:0::/:/bin/sh\n")  # rpcbind needs _rpc
        (etc / "group").write_text("root:x:0:\n")
        (etc / "mtab").symlink_to("/proc/self/mounts")
        return etc

    def machine(self, firmware: Firmware, url: str, name: str, *more: str, medium: Medium = AHCI_CD) -> Machine:
        """Power on a machine on this LAN, with the image for a URL.

        Args:
            firmware: the kind of machine.
            url: the URL that the image boots from.
            name: the name of the console log.
            more: additional QEMU arguments.
            medium: the medium with the image.
        """
        return self.machine_with(firmware, boots_from.bake(url), medium, name, *more)

    def machine_with(self, firmware: Firmware, image: bytes, medium: Medium, name: str, *more: str) -> Machine:
        """Power on a machine on this LAN with a given image; the other arguments are those of `machine`."""
        file = self.work / "boots-from.iso"
        file.write_bytes(image)
        media = [*medium.arguments(file), *more]
        return Machine(firmware, media, self.work, name, self.cards, enter=self.enter, links=self.links)

    def run(self, *command: str) -> str:
        """Run a command in the namespace; return its standard output."""
        return subprocess.run([*self.enter, *command], check=True, capture_output=True, text=True).stdout

    def start(self, *command: str | Path, name: str) -> Server:
        """Start a server in the namespace, which is stopped together with the LAN."""
        process = Server([*self.enter, *map(str, command)], self.work / f"{name}.log")
        self._servers.append(process)
        return process

    def segment(
        self,
        *,
        dhcp: bool = True,
        answers_after: int = 0,
        dns: bool = True,
        router: str | None = "self",
        ipv4: bool = True,
        ipv6: str = "",
        card: str = "virtio-net-pci",
        link_after: float | None = None,
        spanning_tree: bool = False,
        options: tuple[str, ...] = (),
    ) -> int:
        """Add a segment and a network card of the machine on it; return their number.

        Args:
            dhcp: whether a DHCP server answers.
            answers_after: seconds until the DHCP server answers.
            dns: whether DHCP names a DNS server.
            router: "self" for the host side, the address of a router, or None for no router.
            ipv4: whether there is IPv4.
            ipv6: "", "slaac" or "dhcpv6".
            card: the QEMU model of the network card; always an e1000e with `link_after` or `spanning_tree`.
            link_after: seconds from opening the card until its link is up; the link drops when the card is closed.
                NEVER: the card is unplugged. None: the link of QEMU, always up.
            spanning_tree: whether the switch blocks the port for 30 s each time its link comes up.
            options: additional options of dnsmasq.
        """
        number = len(self.cards) // 4
        tap, host = f"tap{number}", f"10.0.{number}.1"
        self.run("ip", "tuntap", "add", "dev", tap, "mode", "tap")
        port = tap
        changed: Callable[[bool], object] = lambda up: None  # noqa: E731
        if spanning_tree:
            port = f"br{number}"
            self.run("ip", "link", "add", port, "type", "bridge", "stp_state", "1", "forward_delay", "1500")
            self.run("ip", "link", "set", tap, "master", port)
            link_after = link_after or 0
            # Otherwise the bridge would not notice that the link drops.
            changed = lambda up: self.run("ip", "link", "set", tap, "up" if up else "down")  # noqa: E731
        if link_after is not None:
            card = "e1000e"
            self.links.append(Link(f"card{number}", link_after, changed))
        if ipv4:
            self.run("ip", "address", "add", f"{host}/24", "dev", port)
        if ipv6:
            self.run("ip", "address", "add", f"fd00:0:0:{number}::1/64", "dev", port, "nodad")
        self.run("ip", "link", "set", port, "up")
        self.cards += ["-netdev", f"tap,id=lan{number},ifname={tap},script=no,downscript=no"]
        self.cards += ["-device", f"{card},id=card{number},netdev=lan{number},mac={self.mac(number)},romfile="]
        if dhcp:
            self._dnsmasq(number, port, answers_after, dns, router, ipv4, ipv6, options)
        return number

    def dhcp(self, number: int, port: str = "") -> None:
        """Start DHCP, DNS and TFTP on a segment without DHCP; `port` is its host side if that is not its tap."""
        self._dnsmasq(number, port or f"tap{number}")

    def _dnsmasq(
        self,
        number: int,
        port: str,
        answers_after: int = 0,
        dns: bool = True,
        router: str | None = "self",
        ipv4: bool = True,
        ipv6: str = "",
        options: tuple[str, ...] = (),
    ) -> None:
        host = f"10.0.{number}.1"
        leases = f"--dhcp-leasefile={self.work}/leases{number}"
        command = [
            "dnsmasq",
            "--no-daemon",
            "--conf-file=/dev/null",
            "--user=root",
            "--group=root",
            "--pid-file=",
            leases,
        ]
        command += ["--no-hosts", "--no-resolv", "--local-ttl=60", "--log-dhcp", "--log-queries"]
        command += [f"--interface={port}", "--bind-dynamic", "--except-interface=lo"]
        command += ["--enable-tftp", f"--tftp-root={self.www}"]
        if ipv4:
            command += [f"--dhcp-range=10.0.{number}.100,10.0.{number}.199,1h", f"--address=/{NAME}/{EXAMPLE}/{host}"]
            if router != "self":
                command.append(f"--dhcp-option=option:router{',' + router if router else ''}")
            if not dns:
                command.append("--dhcp-option=option:dns-server")
        if ipv6:
            prefix = f"fd00:0:0:{number}"
            range6 = f"{prefix}::,ra-only" if ipv6 == "slaac" else f"{prefix}::100,{prefix}::1ff,64"
            command += ["--enable-ra", f"--dhcp-range={range6}", f"--address=/{NAME}/{EXAMPLE}/{prefix}::1"]
        if answers_after:
            command.append(f"--dhcp-reply-delay={answers_after}")
        self.start(*command, *options, name=f"dnsmasq{number}").wait_for("started, version")

    @staticmethod
    def mac(number: int) -> str:
        """Return the MAC address of card `number`."""
        return f"52:54:00:00:00:{number + 1:02x}"

    def write_script(self, settings: str = "", name: str = "boot") -> str:
        """Write a script to `www`, for the servers, that prints a nonce and iPXE settings; return the nonce."""
        nonce, script = nonce_script(settings)
        (self.www / name).write_text(script)
        return nonce

    def http(self, more: str = "") -> None:
        """Start nginx on port 80 of every segment; `more` is added to its server block."""
        config = self.work / "nginx.conf"
        config.write_text(f"""\
daemon off; master_process off; worker_processes 1; user root; pid {self.work}/nginx.pid; error_log stderr notice;
events {{ }}
http {{
    log_format request escape=none '$request|$http_user_agent|$status|$remote_addr';
    access_log {self.work}/access.log request;
    client_body_temp_path {self.work}/t1; proxy_temp_path {self.work}/t2; fastcgi_temp_path {self.work}/t3;
    uwsgi_temp_path {self.work}/t4; scgi_temp_path {self.work}/t5;
    server {{
        listen 80; listen [::]:80;
        root {self.www};
        {more}
    }}
}}
""")
        options = ("-c", config, "-p", self.work, "-e", "stderr")
        self._start_unpacked("usr/sbin/nginx", *options, name="nginx").wait_for("using the .* event")

    def https_directives(self, certificate: trustme.LeafCert) -> str:
        """Return the directives for `http()` to listen also on port 443, with this certificate."""
        file = self.work / "server.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(file)
        return f"listen 443 ssl; listen [::]:443 ssl; ssl_certificate {file}; ssl_certificate_key {file};"

    def nfs(self, folder: Path | None = None) -> None:
        """Export files over NFS v3, as /export.

        Args:
            folder: the directory to export, on a disk, because the server does not support tmpfs. Only root can use it,
                because the server opens files with open_by_handle_at(2). None: copies of the files in `www`, in memory;
                after 2 MiB, the most that the server keeps, a file reads as filler.
        """
        path, fsal = (folder, "VFS") if folder else ("/export", "MEM")
        config = self.work / "ganesha.conf"
        plugins = next(self._programs.rglob("libfsalmem.so")).parent
        config.write_text(f"""\
NFS_CORE_PARAM {{
    Protocols = 3; NFS_Port = 2049; MNT_Port = 20048;
    Enable_NLM = false; Enable_RQUOTA = false; Plugins_Dir = "{plugins}"; allow_set_io_flusher_fail = true;
    mount_path_pseudo = true;
}}
NFSV4 {{ UseGetpwnam = true; Graceless = true; }}
MEM {{ Inode_Size = 0x200000; }}
EXPORT {{
    Export_Id = 1; Path = {path}; Pseudo = /export; Access_Type = RW; Squash = None; SecType = sys;
    Transports = TCP; PrivilegedPort = false; FSAL {{ Name = {fsal}; }}
}}
""")
        socket = Path(f"/proc/{self._holder.pid}/root/run/rpcbind.sock")
        self._start_unpacked("usr/sbin/rpcbind", "-f", name="rpcbind").wait_until(socket.exists)
        log = self.work / "ganesha.log"
        log.touch()
        pid_file = self.work / "ganesha.pid"
        server = self._start_unpacked(
            "usr/bin/ganesha.nfsd", "-F", "-L", log, "-f", config, "-p", pid_file, name="nfsd"
        )
        server.log = log
        server.wait_for("NFS SERVER INITIALIZED")
        # ganesha.nfsd also starts if the export failed.
        assert "No export entries" not in log.read_text()
        for file in () if folder else self.www.iterdir():
            self.run(
                *debian.program(self._programs, "usr/bin/nfs-cp"),
                str(file),
                f"nfs://127.0.0.1/export/{file.name}",
            )

    def iscsi(self, address: str, disk: Path, target: str = IQN) -> None:
        """Serve a disk image as LUN 1 of the target (LUN 0 is the controller of tgt)."""
        options = ("-f", "--iscsi", f"portal={address}:3260")
        server = self._start_unpacked("usr/sbin/tgtd", *options, name="tgtd")
        server.wait_until(lambda: self._tgtadm("--mode=sys", "--op=show").returncode == 0)
        for arguments in (
            ("--mode=target", "--op=new", "--tid=1", f"--targetname={target}"),
            ("--mode=logicalunit", "--op=new", "--tid=1", "--lun=1", f"--backing-store={disk}"),
            ("--mode=target", "--op=bind", "--tid=1", "--initiator-address=ALL"),
        ):
            assert not (result := self._tgtadm(*arguments)).returncode, result.stderr

    def _tgtadm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.enter, *debian.program(self._programs, "usr/sbin/tgtadm"), "--lld=iscsi", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def _start_unpacked(self, program: str, *arguments: str | Path, name: str) -> Server:
        return self.start(*debian.program(self._programs, program), *arguments, name=name)

    def faulty(self, content: str, kind: str) -> Server:
        """Start an HTTP server with a fault on port 8080; `kind` is KIND [NUMBER] of lab/faulty_http.py."""
        file = self.work / "faulty.txt"
        file.write_text(content)
        script = Path(__file__).with_name("faulty_http.py")
        return self.start(sys.executable, script, "8080", file, *kind.split(), name="faulty").wait_for("ready")

    def requests(self) -> list[list[str]]:
        """Return the requests to nginx so far: URI, user agent, status, address of the client."""
        log = self.work / "access.log"
        lines = [line.rsplit("|", 3) for line in log.read_text().splitlines()] if log.exists() else []
        return [[request.split(" ")[1], *others] for request, *others in lines]

    def __enter__(self) -> "Lan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self._servers):
            server.stop()
            if error:  # pytest shows this with the failed test
                print(f"--- end of the log of {server.log.stem}\n{server.output()[-2000:]}")
        self._holder.kill()
        self._holder.communicate()


# EFI_SIGNATURE_LISTs with one X.509 certificate each (UEFI 2.10, section 32.4.1).
_X509_GUID = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le


def der(ca: trustme.CA) -> bytes:
    """Return the certificate of a CA, in DER."""
    return x509.load_pem_x509_certificate(ca.cert_pem.bytes()).public_bytes(Encoding.DER)


def trusting(cas: list[trustme.CA], work: Path, firmware: Firmware = UEFI) -> Firmware:
    """Return a kind of machine with CAs enrolled in its TLS store, as from the firmware setup or by a BMC.

    Args:
        cas: the CAs.
        work: the directory for the file with the certificates.
        firmware: the kind of machine, with UEFI.
    """
    content = b""
    for certificate in map(der, cas):
        sizes = (28 + 16 + len(certificate), 0, 16 + len(certificate))
        content += _X509_GUID + b"".join(size.to_bytes(4, "little") for size in sizes) + bytes(16) + certificate
    enrolled = work / "cacerts"
    enrolled.write_bytes(content)
    options = ("-fw_cfg", f"name=etc/edk2/https/cacerts,file={enrolled}")
    return replace(firmware, command=(*firmware.command, *options))


# SHA-256 of the certificate of the iPXE root CA, the only CA that iPXE trusts without a store in the firmware. Source:
# iPXE, src/crypto/rootcert.c.
_IPXE_ROOT_CA = bytes.fromhex("9faf717b7f8ca2f93c256c79f8ac5591895d66d1ff3bee6397a70d29c65eed1a")


def memory_in(file: Path) -> list[str]:
    """Return QEMU arguments for a machine with its memory in a file."""
    ram = f"memory-backend-file,id=ram,size=512M,share=on,mem-path={file}"
    return ["-object", ram, "-machine", "memory-backend=ram"]


def trust_in_memory(running: Machine, ca: trustme.CA, file: Path) -> None:
    """Replace the root CA of a running iPXE, so that it trusts `ca` like a public CA.

    The machine is paused meanwhile: on a busy host it could check the certificate before the CA is replaced.

    Args:
        running: the machine, which shows the banner of iPXE.
        ca: the new root CA.
        file: the memory of the machine (see memory_in).
    """
    running.monitor("stop")
    with file.open("r+b") as memory, mmap.mmap(memory.fileno(), 0) as content:
        at = content.find(_IPXE_ROOT_CA)
        assert at >= 0
        while at >= 0:
            content[at : at + 32] = hashlib.sha256(der(ca)).digest()
            at = content.find(_IPXE_ROOT_CA)
    running.monitor("cont")


def with_root(leaf: trustme.LeafCert, ca: trustme.CA) -> trustme.LeafCert:
    """Return a certificate whose chain includes the CA certificate, which such an iPXE requires."""
    chain = [pem.bytes() for pem in (*leaf.cert_chain_pems, ca.cert_pem)]
    return trustme.LeafCert(leaf.private_key_pem.bytes(), chain[0], chain[1:])
