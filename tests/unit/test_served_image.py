"""boots_from.Image: the same bytes as bake(), one template in memory, safe in any number of threads."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import boots_from
from boots_from import boot_url, image
from boots_from.errors import BootsFromError, TemplateError
from template.paths import CHECKOUT
from tests.unit.url_strategies import ACCEPTED

URL = "http://boot.example.com/boot"
WHOLE = boots_from.bake(URL)
IMAGE = boots_from.Image(URL)

# Offsets where one piece ends and the next begins, and any others, also after the end.
_EDGES = [0, image.CHUNK, len(WHOLE), WHOLE.index(b"#!ipxe\n"), WHOLE.index(b"#!ipxe\n") + image.SLOT_SIZE]
_NEAR = st.builds(lambda edge, by: max(0, edge + by), st.sampled_from(_EDGES), st.integers(-3, 3))
PLACES = _NEAR | st.integers(0, len(WHOLE) + 10)
SIZES = st.none() | st.integers(0, 5) | PLACES


@given(PLACES, SIZES)
def test_every_range_equals_baked_image(start: int, size: int | None) -> None:
    expected = WHOLE[start:] if size is None else WHOLE[start : start + size]
    assert IMAGE.read(start, size) == expected
    chunks = list(IMAGE.chunks(start, size))
    assert b"".join(chunks) == expected
    assert all(0 < len(chunk) <= image.CHUNK for chunk in chunks)


@given(ACCEPTED)
@settings(max_examples=30)
def test_each_url_has_its_own_image(url: str) -> None:
    made, baked = boots_from.Image(url), boots_from.bake(url)
    assert (made.size, made.sha256) == (len(baked), hashlib.sha256(baked).hexdigest())
    assert made.read() == baked
    assert made.warnings == boot_url.parse(url).warnings


@pytest.mark.parametrize(("start", "size"), [(-1, 1), (0, -1), (-1, None)])
def test_negative_ranges_are_refused(start: int, size: int | None) -> None:
    for read in (IMAGE.read, IMAGE.chunks):
        with pytest.raises(ValueError, match=rf"^start and size must not be negative: {start}, {size}$"):
            read(start, size)


def test_warning_shows_no_password() -> None:
    (warning,) = boots_from.Image("http://user:secret@h/x?mac=").warnings
    assert "no value" in warning
    assert "secret" not in warning


@pytest.mark.parametrize("url", ["", "ftp://h/x", "http://user:secret@/x", "http://h/" + "x" * 9000])
def test_bad_url_is_refused_as_by_bake(url: str) -> None:
    with pytest.raises(BootsFromError) as by_bake:
        boots_from.bake(url)
    with pytest.raises(type(by_bake.value)) as refused:
        boots_from.Image(url)
    assert str(refused.value) == str(by_bake.value)


def test_damaged_template_is_refused_until_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_template_parts", [])
    with monkeypatch.context() as damaged:
        damaged.setattr(image, "read_template", lambda: WHOLE)
        for _ in range(2):
            with pytest.raises(TemplateError, match=r"^the template is damaged "):
                boots_from.Image(URL)
    assert boots_from.Image(URL).sha256 == IMAGE.sha256


# In a separate interpreter, which has not read the template yet and whose memory holds nothing else.
THREADS = """\
import hashlib, sys, threading
import boots_from

opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None)

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def serve(number):
    start.wait()
    image = images[number] = boots_from.Image(f"http://boot.example.com/boot?{number}")
    digest = hashlib.sha256()
    for chunk in image.chunks():
        digest.update(chunk)
    sums[number] = digest.hexdigest()

images, sums, start = {}, {}, threading.Barrier(200)
threads = [threading.Thread(target=serve, args=[number]) for number in range(200)]
before = memory("VmHWM")
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(str(file).endswith("template.iso") for file in opened))
print(memory("VmHWM") - before)
assert len(set(sums.values())) == 200
assert all(images[number].sha256 == sums[number] for number in sums)
before = memory("VmRSS")
more = [boots_from.Image(f"http://boot.example.com/boot?{number}") for number in range(1000)]
print(memory("VmRSS") - before)
"""


def test_200_threads_share_one_template() -> None:
    command = [sys.executable, "-c", THREADS]
    environment = {"PYTHONPATH": str(CHECKOUT / "src")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    times_read, threads, images = map(int, done.stdout.split())
    print(f"200 threads: {threads / 1024:.1f} MiB; 1,000 more images: {images / 1000:.1f} KiB each")
    assert times_read == 1
    assert threads < 48 * 1024  # KiB: the template of 10 MiB, 200 chunks of 64 KiB and 200 stacks
    assert images < 1000 * 20


def test_sha256_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = boots_from.Image(URL)
    assert made.sha256 == hashlib.sha256(WHOLE).hexdigest()
    monkeypatch.delattr(image, "sha256")
    assert made.sha256 == hashlib.sha256(WHOLE).hexdigest()


def test_chunks_have_64_kib() -> None:
    sizes = [len(chunk) for chunk in boots_from.Image("http://h/x").chunks()]
    assert max(sizes) == 2**16
    assert sum(sizes) == len(image.read_template())
