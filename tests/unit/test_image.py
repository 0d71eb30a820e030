"""The slot of the template is found and filled, and nothing else changes; the script that fills it."""

import contextlib
import mmap
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings

import boots_from
from boots_from import boot_script, boot_url, image, resources
from boots_from.errors import REINSTALL, TemplateError, UrlError
from template.paths import CHECKOUT
from tests.unit.url_strategies import ACCEPTED

TEMPLATE = image.read_template()
SLOT = slice(offset := TEMPLATE.index(image.SLOT), offset + image.SLOT_SIZE)


def url_booted(script: bytes) -> str:
    """Return the URL that a script boots from: the last argument of its boot command."""
    (found,) = re.findall(rb"^(?:imgselect|sanboot) .*?(\S+) && goto \w+ \|\|$", script, re.MULTILINE)
    return bytes(found).decode()


def test_slot_is_a_script_of_slot_size() -> None:
    assert len(image.SLOT) == image.SLOT_SIZE == 14336
    assert image.SLOT.startswith(b"#!ipxe\n")
    assert image.SLOT.isascii()
    assert TEMPLATE.count(image.SLOT) == 1
    assert image.slot_offset(TEMPLATE) == SLOT.start


@given(ACCEPTED)
@settings(max_examples=60)
def test_image_differs_from_template_only_in_slot(url: str) -> None:
    baked = boots_from.bake(url)
    assert len(baked) == len(TEMPLATE)
    script = baked[SLOT]
    restored = bytearray(baked)
    restored[SLOT] = image.SLOT
    assert bytes(restored) == TEMPLATE
    assert script == image.script_for(boot_url.parse(url)).ljust(image.SLOT_SIZE, b"\n")
    assert script.isascii()
    assert url_booted(script) == url


@given(ACCEPTED)
def test_script_has_userinfo_only_in_boot_command(url: str) -> None:
    parsed = boot_url.parse(url)
    for line in image.script_for(parsed).decode().splitlines():
        if not line.startswith(("imgselect ", "sanboot ")):
            assert parsed.url == parsed.public or parsed.url not in line


# Columns of a line on the screen. A line of all 80 would be followed by an empty one.
COLUMNS = 79
# A card has "netN MAC CHIP: " before the reason, of 35 columns for virtio-net, and an error has ", https://ipxe.org/CODE"
# after it.
BEFORE, LINK = 35, 27


@pytest.mark.parametrize("url", ["http://h/x", "https://h/x", "iscsi:h:::1:iqn.2004-01.x:y", "http://[::1]/x"])
def test_screen_lines_fit_79_columns(url: str) -> None:
    """An error of a card may have two lines."""
    for line in image.script_for(boot_url.parse(url)).decode().splitlines():
        assert len(line.partition("echo ")[2].removesuffix(" ||")) <= COLUMNS
        if line.startswith("set why") and "${" not in line.partition("why${i}")[2]:
            assert len(line.split(" ", 2)[2]) <= COLUMNS - BEFORE
        if re.match(r"set (e[0-9a-f]{8}|words [^$])", line):
            assert len(line.split(" ", 2)[2]) <= 2 * COLUMNS + 1 - BEFORE - LINK


def echoed(url: str) -> set[str]:
    """Return the lines with a URL that the script shows."""
    script = image.script_for(boot_url.parse(url)).decode()
    return {
        line.removeprefix("echo ").removesuffix(" ||")
        for line in script.splitlines()
        if "://" in line and "echo " in line
    }


def test_screen_shows_at_most_two_lines_of_the_url() -> None:
    url = "http://h/".ljust(2 * COLUMNS, "x")
    assert echoed(url) == {url}
    assert echoed(url + "x") == {url[:-3] + "..."}


@pytest.mark.parametrize(
    "form", ["{}h/x", "{}h/" + "x" * 160, "{}" + "h" * 160 + "/", "{}h/?a=1#z", "{}${{next-server}}:80/"]
)
@pytest.mark.parametrize("scheme", ["http", "https", "tftp"])
def test_screen_shows_no_user_information(scheme: str, form: str) -> None:
    url = f"{scheme}://{form.format('user:hunter2@')}"
    shown = url.replace("user:hunter2@", "")
    (line,) = echoed(url)
    assert line == (shown if len(shown) <= 158 else shown[:155] + "...")
    script = image.script_for(boot_url.parse(url)).decode()
    assert script.count("hunter2") == script.count("user:") == 1  # in the boot command


def test_every_placeholder_of_the_script_has_a_value() -> None:
    found = set(re.findall(r"@(\w*)@", boot_script.text()))
    assert found == {"URL", "SHOWN", "SCHEME", "FAMILY", "ADDRESS", "FILE", "BOOT", "THEN"}
    assert set(boot_script.BOOT) == {scheme.boot for scheme in boot_url.SCHEMES if scheme.boot}


@pytest.mark.parametrize("url", ["http://h/@URL@?@SHOWN@", "tftp://1.2.3.4/@FILE@@ADDRESS@"])
def test_placeholders_in_the_url_stay(url: str) -> None:
    assert url_booted(image.script_for(boot_url.parse(url))) == url


@pytest.mark.parametrize("url", ["http://h/x\\", "http://h/?x\\", "tftp://1.2.3.4/x\\"])
def test_no_line_of_the_script_ends_with_a_backslash(url: str) -> None:
    """iPXE would join such a line to the next one."""
    for line in image.script_for(boot_url.parse(url)).decode().splitlines():
        assert not line.endswith("\\")


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://[fd00::1]/x", "iseq ipv6 ipv6 && goto ipv6 ||"),
        ("http://user:p@[fd00::1]:80/x", "iseq ipv6 ipv6 && goto ipv6 ||"),
        ("ISCSI:[fd00::1]:::1:iqn.2004-01.x:y", "iseq ipv6 ipv6 && goto ipv6 ||"),
        ("http://h/boot?mirror=http://[fd00::1]/x", "iseq ipv4 ipv6 && goto ipv6 ||"),
        ("tftp://10.0.0.1:69/d/x.0?y#z", "iseq tftp tftp && set ${c}/filename d/x.0 ||"),
        ("tftp://10.0.0.1/d/x.0", "iseq tftp tftp && set ${c}/next-server 10.0.0.1 ||"),
        ("TFTP://h//d/x.0", "iseq tftp tftp && set ${c}/filename /d/x.0 ||"),
        ("tftp://h/x.0", "iseq tftp tftp && set ${c}/next-server  ||"),
        ("${filename}", "iseq none tftp && set ${c}/filename  ||"),
        ("tftp://${next-server}/${a/b}/x.0", "iseq tftp tftp && set ${c}/filename  ||"),
    ],
)
def test_script_holds_values_of_url(url: str, line: str) -> None:
    assert line in image.script_for(boot_url.parse(url)).decode().splitlines()


@pytest.mark.parametrize(
    ("url", "public", "file"),
    [
        ("http://h/x", "http://h/x", ""),
        ("http://user:secret@h/x", "http://h/x", ""),
        ("tftp://h/d/x.0", "tftp://h/d/x.0", "d/x.0"),
        ("tftp://user:secret@h/d/x.0", "tftp://h/d/x.0", "d/x.0"),
        ("tftp://h/secret@b", "tftp://...@b", "..."),
        ("tftp://5.5.5.5/secret@5.5.5.5", "tftp://...@5.5.5.5", "..."),
        ("http://h/secret@b", "http://...@b", ""),
    ],
)
def test_redacted_script_has_no_password(url: str, public: str, file: str) -> None:
    parsed = boot_url.parse(url)
    script = boot_script.redact(parsed)
    assert url_booted(script) == public
    assert f"{parsed.scheme.name} tftp && set ${{c}}/filename {file} ||" in script.decode()
    assert b"secret" not in script
    # The host also may be half a password.
    assert script.count(b"5.5.5.5") == public.count("5.5.5.5") * script.count(public.encode())


def test_hash_is_split_like_on_mokmanager_screen() -> None:
    first, second = image.mok_rows(bytes(range(0xA0, 0xC0)).hex())
    assert first == "A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AC AD AE AF"
    assert second == "B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 BA BB BC BD BE BF"


def test_same_url_gives_same_bytes() -> None:
    assert boots_from.bake("http://h/x") == boots_from.bake("http://h/x")


def longest(prefix: str) -> str:
    """Return the longest URL with this start that fits, according to the message of a refusal."""
    return prefix.ljust(refused_limit(prefix + "x" * 9000), "x")


def refused_limit(url: str) -> int:
    """Return the number of bytes in the message that refuses a URL."""
    with pytest.raises(UrlError) as refused:
        image.script_for(boot_url.parse(url))
    limit = re.search(r"use at most (\d+) bytes", str(refused.value))
    assert limit
    return int(limit[1])


@pytest.mark.parametrize(
    "prefix", ["http://h/", "http://user:password@h/", "tftp://h/", "tftp://hh/", "http://h/${uuid}"]
)
def test_longest_url_fits_and_one_more_byte_does_not(prefix: str) -> None:
    url = longest(prefix)
    baked = boots_from.bake(url)
    script = baked[SLOT]
    assert url_booted(script) == url
    # Only the script of a tftp URL, with the path in it twice, may leave a byte of the slot free.
    assert not script.endswith(b"\n\n" if prefix.startswith("http:") else b"\n\n\n")
    with pytest.raises(UrlError) as refused:
        boots_from.bake(url + "x")
    assert str(refused.value) == (f"the URL is {len(url) + 1} bytes long, 1 too many: use at most {len(url)} bytes")


@pytest.mark.parametrize("query", ["?", "?" + "y" * 50, "#y", "?y#" + "z" * 3000])
def test_longest_tftp_url_fills_the_slot(query: str) -> None:
    """The script holds the path twice, but the query and the fragment, which are cut off first, only once."""
    for url in ("tftp://h/".ljust(2000, "x") + query, "tftp://h/".ljust(1560, "x") + query):
        with contextlib.suppress(UrlError):
            image.script_for(boot_url.parse(url))
            continue
        limit = refused_limit(url)
        image.script_for(boot_url.parse(url[:limit]))
        with pytest.raises(UrlError):
            image.script_for(boot_url.parse(url[: limit + 1]))


@pytest.mark.parametrize(("start", "sentence"), [("http://h/", "URL of"), ("tftp://h/", "for tftp one of")])
def test_length_that_page_promises_fits(start: str, sentence: str) -> None:
    page = (CHECKOUT / "docs/reference/urls.md").read_text()
    (number,) = re.findall(f"{sentence} ([0-9,]+)", page)
    image.script_for(boot_url.parse(start.ljust(int(number.replace(",", "")), "x")))


LINE = b"\n# boots-from slot: "  # the start of the second and of the last line of the slot
DAMAGED = {
    "no slot": TEMPLATE.replace(image.SLOT, b"\n" * image.SLOT_SIZE),
    "one slot too many": TEMPLATE + image.SLOT,
    "one slot too many, before the template": image.SLOT + TEMPLATE,
    "one damaged slot too many": TEMPLATE + image.SLOT[1:],
    "first byte": TEMPLATE.replace(image.SLOT, b"?" + image.SLOT[1:]),
    "last byte": TEMPLATE.replace(image.SLOT, image.SLOT[:-1] + b"?"),
    "second line": TEMPLATE.replace(LINE, b"\n?" + LINE[2:], 1),
    "a byte in the middle": TEMPLATE.replace(image.SLOT, image.SLOT[:2000] + b"?" + image.SLOT[2001:]),
    "a byte missing": TEMPLATE.replace(image.SLOT, image.SLOT[:2000] + image.SLOT[2001:]),
    "half a slot too many": TEMPLATE + image.SLOT[:2048],
    "the other half too many": TEMPLATE + image.SLOT[-2048:],
    "only the end of a slot": image.SLOT[-2048:],
    "truncated": TEMPLATE[: SLOT.start + 100],
    "nothing before the second line": TEMPLATE[SLOT.start + 7 :],
    "empty": b"",
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_damaged_template_is_refused(damaged: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    message = rf"^the template is damaged .*: {REINSTALL}$"
    with pytest.raises(TemplateError, match=message):
        image.pieces(damaged, b"#!ipxe\n")
    monkeypatch.setattr(image, "map_template", lambda: damaged)
    with pytest.raises(TemplateError, match=message):
        boots_from.bake("http://h/x")


def test_template_that_is_only_a_slot() -> None:
    assert image.fill(image.SLOT, b"#!ipxe\n") == b"#!ipxe\n".ljust(image.SLOT_SIZE, b"\n")


def test_script_longer_than_the_slot_is_refused() -> None:
    image.fill(TEMPLATE, b"x" * image.SLOT_SIZE)
    with pytest.raises(ValueError, match="the script has 14337 bytes, but the slot only 14336"):
        image.fill(TEMPLATE, b"x" * (image.SLOT_SIZE + 1))


def test_template_lists_its_packages() -> None:
    lines = image.packages(TEMPLATE)
    shim = [
        "shim-signed:amd64",
        "shim-signed:arm64",
        "shim-helpers-amd64-signed:amd64",
        "shim-helpers-arm64-signed:arm64",
    ]
    assert [line.split()[0] for line in lines] == ["ipxe", "ipxe", "isolinux", "syslinux-common", *shim]
    assert {line.split()[2] for line in lines if not line.startswith("ipxe 2.")} == {"trixie"}
    assert all(re.fullmatch(r"\S+ \S+ \S+ [0-9a-f]{64}", line) for line in lines)
    with pytest.raises(TemplateError, match=r"^the template is damaged \(a list in packages\.txt is missing\): "):
        image.packages(b"no list here")
    assert image.packages(image.PACKAGE_LIST_TITLE + b"one\ntwo\n\nthree\n\n") == ["one", "two"]


def test_template_lists_hashes_to_enroll() -> None:
    lines = image.hashes_to_enroll(TEMPLATE)
    names = ["grubx64.efi", "grubaa64.efi", "ecdsa-ipxe-x86_64.efi", "ecdsa-ipxe-arm64.efi"]
    names += ["mark-running-x86_64.efi", "mark-running-arm64.efi"]
    assert [line.split()[0] for line in lines] == [f"EFI/BOOT/{name}" for name in names]
    assert all(
        re.fullmatch(r"\S+ [0-9a-f]{64} (x86-64|ARM64)(, ECDSA iPXE|, local disk by sanboot)?", line) for line in lines
    )
    with pytest.raises(TemplateError):
        image.hashes_to_enroll(image.PACKAGE_LIST_TITLE)


@pytest.mark.parametrize("loader", [None, object()], ids=["no loader", "loader without get_data"])
def test_loader_that_cannot_read_files(monkeypatch: pytest.MonkeyPatch, loader: object) -> None:
    monkeypatch.setitem(vars(resources), "__loader__", loader)
    assert resources.read("template.iso") == TEMPLATE
    with pytest.raises(
        TemplateError, match=r"^cannot read .*nothing\.iso \(No such file or directory\): reinstall boots-from"
    ):
        resources.read("nothing.iso")


def from_zip(directory: Path, *left_out: str) -> subprocess.CompletedProcess[bytes]:
    """Bake with the package in a zip file."""
    package, packed = Path(image.__file__).parent, directory / "package.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in package.iterdir():
            if path.is_file() and path.name not in left_out:
                file.write(path, f"boots_from/{path.name}")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import boots_from; "
    code += "sys.stdout.buffer.write(boots_from.bake('http://h/x'))"
    return subprocess.run([sys.executable, "-c", code, packed], cwd=directory, capture_output=True, check=False)


def test_package_in_zip_file_bakes_same_image(tmp_path: Path) -> None:
    result = from_zip(tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == boots_from.bake("http://h/x")


def test_zip_file_without_template_is_refused(tmp_path: Path) -> None:
    result = from_zip(tmp_path, "template.iso")
    place = tmp_path / "package.zip/boots_from/template.iso"
    assert result.stderr.decode().splitlines()[-1] == (
        f"boots_from.errors.TemplateError: cannot read {place} (not found): {REINSTALL}"
    )


def test_template_is_mapped_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "read", lambda name: pytest.fail("it was read"))
    with image.map_template() as mapped:  # type: ignore[union-attr]
        assert isinstance(mapped, mmap.mmap)
        assert mapped[:] == TEMPLATE


@pytest.mark.parametrize("url", ["http://h/x", "tftp://h/x", "iscsi:h:::1:iqn.2004-01.x:y", "${filename}"])
def test_every_goto_in_script_has_one_label(url: str) -> None:
    script = image.script_for(boot_url.parse(url)).decode()
    labels = re.findall(r"^:(\S+)", script, re.MULTILINE)
    assert len(set(labels)) == len(labels)
    wanted = set(re.findall(r"\bgoto ([\w-]+)(?=[ \n])", script))
    assert wanted - set(labels) == set()
