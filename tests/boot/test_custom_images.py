"""Images with changes that docs/how-to/customise.md describes boot; the rest is in tests/template."""

import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import trustme

from lab import debian, mok_manager, vlan_trunk
from lab.firmware import BIOS, UEFI, UEFI_SECURE, write_variables
from lab.lan import Lan
from lab.media import AHCI_CD
from template import apt
from template.paths import CACHE, CHECKOUT, PACKAGES
from template.pins import load_pins
from tests.boot.test_secure_boot import trust_microsoft
from tests.custom_checkout import CustomCheckout, documented_overrides, remove_secure_boot

SCRIPT = "src/boots_from/boot.ipxe"


def documented_lines(what: str) -> str:
    """Return the script lines that the page gives for a change, such as "A VLAN"."""
    page = (CHECKOUT / "docs/how-to/customise.md").read_text()
    (found,) = re.findall(rf"^- {what}:.*?\n    ```\n(.*?)    ```\n", page, re.MULTILINE | re.DOTALL)
    return re.sub("^    ", "", str(found), flags=re.MULTILINE)


def serve_greeting(lan: Lan, greeting: str) -> None:
    """Add a card to the LAN, and serve a script at /boot that prints a greeting."""
    lan.segment()
    (lan.www / "boot").write_text(f"#!ipxe\necho {greeting}\nsleep 600\n")
    lan.http()


class Owner:
    """The owner of a machine with Secure Boot on, whose UEFI variables are in `work`, and who has a signing key."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._key, self._certificate = work / "key.pem", work / "certificate.pem"
        ca = trustme.CA(key_type=trustme.KeyType.RSA)
        ca.private_key_pem.write_to_path(self._key)
        ca.cert_pem.write_to_path(self._certificate)

    def sign(self, program: Path, signed: Path) -> None:
        """Sign an EFI program."""
        keys: list[str | Path] = ["--key", self._key, "--cert", self._certificate]
        subprocess.run(["sbsign", *keys, "--output", signed, program], check=True, capture_output=True)

    def enroll_key(self) -> None:
        """Add the key to db."""
        variables = UEFI_SECURE.pflash[1]
        write_variables(variables, self._work / variables.name, "--add-db", str(uuid.uuid4()), self._certificate)


def test_static_address_and_menu_boot_without_dhcp(lan: Lan, tmp_path: Path) -> None:
    """The menu chooses its default when it times out."""
    checkout = CustomCheckout(tmp_path / "checkout")
    menu = "menu Where to?\nitem there There\nchoose --timeout 1000 where\n"
    shared_line = "goto ${round}\n"
    static_address = documented_lines("A static address")
    checkout.edit(SCRIPT, (":try\n", f"{menu}:try\n"), (shared_line, f"{static_address}{shared_line}"))
    lan.segment(dhcp=False)
    (lan.www / "there").write_text("#!ipxe\necho Hello, ${ip} by ${gateway}, ${dns}\nsleep 600\n")
    lan.http()
    baked = checkout.bake("http://10.0.0.1/${where}")
    with lan.machine_with(BIOS, baked, AHCI_CD, "custom-static") as machine:
        machine.wait_for("Where to?", BIOS.seconds)
        machine.wait_for("Hello, 10.0.0.77 by 10.0.0.1, 10.0.0.1", 20)
    assert [(path, client) for path, _, _, client in lan.requests()] == [("/there", "10.0.0.77")]


@pytest.mark.thorough
def test_vlan_boots(lan: Lan, tmp_path: Path) -> None:
    checkout = CustomCheckout(tmp_path / "checkout")
    checkout.edit(SCRIPT, ("set c net${i}\n", documented_lines("A VLAN")))
    lan.cards += ["-netdev", f"{vlan_trunk.NETDEV},id=trunk"]
    lan.cards += ["-device", f"virtio-net-pci,netdev=trunk,mac={lan.mac(0)},romfile="]
    lan.start(sys.executable, vlan_trunk.__file__, "5", "vlan5", name="trunk").wait_for("ready")
    lan.run("ip", "address", "add", "10.0.0.1/24", "dev", "vlan5")
    lan.run("ip", "link", "set", "vlan5", "up")
    lan.dhcp(0, "vlan5")
    (lan.www / "boot").write_text("#!ipxe\necho Hello, ${netX/mac} ${ip}\nsleep 600\n")
    lan.http()
    with lan.machine_with(BIOS, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-vlan") as machine:
        machine.wait_for(f"Hello, {lan.mac(0)} 10.0.0.1", BIOS.seconds)


def test_custom_ipxe_build_boots(lan: Lan, tmp_path: Path) -> None:
    """iPXE 2.0 from Debian stands for a custom build."""
    checkout = CustomCheckout(tmp_path / "checkout")
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.folder == "ecdsa"], CACHE)
    replaces = "usr/lib/ipxe/ipxe.lkrn"
    checkout.write("own/ipxe.lkrn", (apt.unpack(package, tmp_path) / replaces).read_bytes())
    table = f'[[override]]\nfile = "own/ipxe.lkrn"\nreplaces = "{replaces}"\nlicence = "GPL-2.0-or-later"\n'
    checkout.append("template/packages.toml", table)
    serve_greeting(lan, "Hello from ${version}")
    with lan.machine_with(BIOS, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-own") as machine:
        machine.wait_for(f"Hello from {package.version}", BIOS.seconds)
    assert [agent for _, agent, _, _ in lan.requests()] == [f"iPXE/{package.version}"]


@pytest.mark.thorough
def test_script_in_larger_slot_boots(lan: Lan, tmp_path: Path) -> None:
    checkout = CustomCheckout(tmp_path / "checkout")
    checkout.edit("src/boots_from/image.py", ("SLOT_SIZE = 14336", "SLOT_SIZE = 32768"))
    checkout.edit(SCRIPT, (":try\n", "set more and more of it\n" * 400 + ":try\n"))
    serve_greeting(lan, "Hello, ${more}")
    with lan.machine_with(BIOS, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-longer") as machine:
        machine.wait_for("Hello, and more of it", BIOS.seconds)


@pytest.mark.thorough
def test_image_without_shim_boots(lan: Lan, tmp_path: Path) -> None:
    checkout = CustomCheckout(tmp_path / "checkout")
    remove_secure_boot(checkout)
    serve_greeting(lan, "Hello from the server")
    with lan.machine_with(UEFI, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-no-secure-boot") as machine:
        machine.wait_for("Hello from the server", UEFI.seconds)


@pytest.mark.thorough
def test_ipxe_signed_with_key_in_db_boots_under_secure_boot(lan: Lan, tmp_path: Path) -> None:
    """The owner of the machine has added the key to db, so MokManager does not ask."""
    checkout = CustomCheckout(tmp_path / "checkout")
    (package,) = apt.fetch([pin for pin in load_pins(PACKAGES) if pin.name == "ipxe"][:1], CACHE)
    unsigned = apt.unpack(package, tmp_path) / "usr/lib/ipxe/ipxe-amd64.efi"
    owner = Owner(lan.work)
    (checkout.path / "own").mkdir()
    owner.sign(unsigned, checkout.path / "own/mine.efi")
    checkout.append("template/packages.toml", documented_overrides("Use your own file"))
    owner.enroll_key()
    serve_greeting(lan, "Hello from the server")
    with lan.machine_with(UEFI_SECURE, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-signed") as machine:
        machine.wait_for("Hello from the server", UEFI_SECURE.seconds)


@pytest.mark.parametrize(("number", "trusts", "revokes_2011"), [(1, "uefi23", True), (2, "uefi11", False)])
@pytest.mark.thorough
def test_shim_with_one_signature_starts(number: int, trusts: str, revokes_2011: bool, lan: Lan, tmp_path: Path) -> None:
    """Firmware that revokes the CA of the removed signature starts it."""
    checkout = CustomCheckout(tmp_path / "checkout")
    checkout.bake()
    page = (CHECKOUT / "docs/how-to/customise.md").read_text()
    (commands,) = re.findall(r"```sh\n(mkdir -p own\n.*?)```", page, re.DOTALL)
    assert commands.count("--signum 1") == 1
    checkout.run("sh", "-ec", commands.replace("--signum 1", f"--signum {number}"))
    left = checkout.run("sbverify", "--list", "own/shimx64.efi")
    assert left.count("image signature issuers") == 1
    assert f"UEFI CA {2023 if number == 1 else 2011}" in left
    checkout.append("template/packages.toml", documented_overrides("A shim with one signature"))
    trust_microsoft(lan.work, trusts, revokes_2011)
    with lan.machine_with(UEFI_SECURE, checkout.bake(), AHCI_CD, f"custom-shim-{number}") as machine:
        machine.wait_for(mok_manager.REFUSED, UEFI_SECURE.seconds, may_fail=True)


@pytest.mark.thorough
def test_signed_ipxe_with_its_own_shim_boots(lan: Lan, tmp_path: Path) -> None:
    """A test CA in db replaces Microsoft: it signs a shim that starts ipxe.efi, and iPXE."""
    checkout = CustomCheckout(tmp_path / "checkout")
    owner = Owner(lan.work)
    root = debian.unpack(PACKAGES)
    shim = (root / "usr/lib/shim/shimx64.efi.signed").read_bytes()
    name, other = ("\\grubx64.efi".encode("utf-16-le"), "\\ipxe.efi".encode("utf-16-le"))
    assert shim.count(name) == 1
    unsigned = {"shimx64.efi": shim.replace(name, other.ljust(len(name), b"\0"))}
    unsigned["ipxe.efi"] = (root / "usr/lib/ipxe/ipxe-amd64.efi").read_bytes()
    (checkout.path / "own").mkdir()
    for file, content in unsigned.items():
        program = tmp_path / file
        program.write_bytes(content)
        if file.startswith("shim"):
            for _ in range(2):  # the signatures by Microsoft
                subprocess.run(["sbattach", "--remove", program], check=True, capture_output=True)
        owner.sign(program, checkout.path / "own" / file)
    checkout.append("template/packages.toml", documented_overrides("The signed build of the iPXE project"))
    checkout.edit(
        "template/contents.py",
        ('"EFI/BOOT/grubx64.efi"', '"EFI/BOOT/ipxe.efi"'),
        (
            '"the main iPXE for x86-64, under the only name that shim starts", enroll="x86-64",',
            '"the main iPXE for x86-64",',
        ),
    )
    owner.enroll_key()
    serve_greeting(lan, "Hello from the server")
    with lan.machine_with(UEFI_SECURE, checkout.bake("http://bty-server/boot"), AHCI_CD, "custom-vendor") as machine:
        machine.wait_for("Hello from the server", UEFI_SECURE.seconds)
    assert "EFI/BOOT/ipxe.efi" not in checkout.python("-m", "boots_from", "--version")
