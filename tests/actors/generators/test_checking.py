"""The check that bytes are a picture."""

import struct
import threading
import warnings
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from limner.actors.generators import Instant, check_picture, checking
from limner.messages.errors import GenerationFailed
from limner.messages.ids import picture_id
from limner.messages.pictures import Picture

BOUNDS = {"max_bytes": 1 << 20, "max_pixels": 1_000_000}


def noise(seed: int = 0, size: tuple[int, int] = (24, 16)) -> Image.Image:
    data = bytes((at * 73 + seed * 31 + at * at) % 256 for at in range(size[0] * size[1] * 3))
    return Image.frombytes("RGB", size, data)


def encoded(form: str, image: Image.Image | None = None, **options: object) -> bytes:
    data = BytesIO()
    (image or noise()).save(data, form, **options)
    return data.getvalue()


FORMS = {
    "png": encoded("PNG"),
    "png in palette": encoded("PNG", noise().quantize(16)),
    "png that moves": encoded("PNG", save_all=True, append_images=[noise(1), noise(2)]),
    "jpeg": encoded("JPEG"),
    "jpeg in passes": encoded("JPEG", progressive=True),
    "webp": encoded("WEBP"),
    "webp without loss": encoded("WEBP", lossless=True),
    "webp that moves": encoded("WEBP", save_all=True, append_images=[noise(1), noise(2)]),
    "gif": encoded("GIF"),
    "gif that moves": encoded("GIF", save_all=True, append_images=[noise(1), noise(2)]),
}


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    checking._checked.clear()


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_picture_is_described_by_its_bytes(form):
    data = FORMS[form]
    assert check_picture(data, **BOUNDS) == Picture(
        id=picture_id(data),
        url="",
        media_type=f"image/{form.split()[0]}",
        width=24,
        height=16,
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_that_is_cut_off_is_refused_unless_it_loses_no_pixel(form):
    data = FORMS[form]
    passed, refused = [], []
    for length in range(len(data)):
        try:
            check_picture(data[:length], **BOUNDS)
        except GenerationFailed as failed:
            refused.append(failed)
        else:
            passed.append(length)
    assert all(failed.retryable and "\n" not in str(failed) for failed in refused)
    # the marks at the end of a file, behind its last pixel, are all that may be missing
    assert all(length >= len(data) - 24 for length in passed)
    end = b"\xff\xd9" if form.startswith("jpeg") else b""
    for length in passed:
        assert frames(data[:length] + end) == frames(data)


def frames(data: bytes) -> list[bytes]:
    pixels = []
    with Image.open(BytesIO(data)) as image:
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            pixels.append(image.convert("RGBA").tobytes())
    return pixels


@settings(max_examples=400)
@given(
    form=st.sampled_from(sorted(FORMS)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_are_a_picture_or_a_failure_and_never_a_warning(form, changes):
    data = bytearray(FORMS[form])
    for place, value in changes:
        data[int(place * len(data))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with suppress(GenerationFailed):
            picture = check_picture(bytes(data), **BOUNDS)
            assert picture.width * picture.height <= BOUNDS["max_pixels"]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(GenerationFailed) as failed:
        check_picture(data, **BOUNDS)
    assert failed.value.retryable


@pytest.mark.parametrize(
    "data",
    [None, "a string", 7, bytearray(FORMS["png"]), b"", b"<svg/>", b"BM" + bytes(60),
     encoded("BMP"), encoded("TIFF"), encoded("ICO"),
     b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<html>busy</html>"],
)  # fmt: skip
def test_what_is_not_one_of_the_four_is_refused_in_one_line(data):
    with pytest.raises(GenerationFailed, match="the generator gave no") as failed:
        check_picture(data, **BOUNDS)
    assert "\n" not in str(failed.value)
    assert len(str(failed.value)) < 200


def test_bounds_are_looked_at_before_a_pixel_is_decoded():
    bomb = png_header(30_000, 30_000)
    assert len(bomb) < 1_000
    with pytest.raises(GenerationFailed, match="900,000,000 pixels, more than 64,000,000"):
        check_picture(bomb, max_bytes=1 << 20, max_pixels=64_000_000)
    with pytest.raises(GenerationFailed, match=r"bytes, more than 100"):
        check_picture(FORMS["png"], max_bytes=100, max_pixels=10_000)
    with pytest.raises(GenerationFailed, match="384 pixels, more than 383"):
        check_picture(FORMS["png"], max_bytes=1 << 20, max_pixels=383)


def test_all_frames_together_are_bounded():
    for form in ("gif that moves", "webp that moves", "png that moves"):
        check_picture(FORMS[form], max_bytes=1 << 20, max_pixels=3 * 384)
        with pytest.raises(GenerationFailed, match="more than 1,151"):
            check_picture(FORMS[form], max_bytes=1 << 20, max_pixels=3 * 384 - 1)


def test_a_picture_of_endless_frames_or_passes_is_refused():
    one = Image.new("L", (1, 1))
    more = [Image.new("L", (1, 1), at % 256) for at in range(1_001)]
    film = encoded("GIF", one, save_all=True, append_images=more)
    with pytest.raises(GenerationFailed, match="1,000 frames"):
        check_picture(film, **BOUNDS)
    passes = FORMS["jpeg"][:-2] + b"\xff\xda\x00\x02" * 300 + b"\xff\xd9"
    with pytest.raises(GenerationFailed, match="200 passes"):
        check_picture(passes, **BOUNDS)


def test_a_smaller_bound_holds_for_a_picture_that_is_remembered():
    data = FORMS["png"]
    check_picture(data, **BOUNDS)
    with pytest.raises(GenerationFailed, match="pixels"):
        check_picture(data, max_bytes=1 << 20, max_pixels=10)
    with pytest.raises(GenerationFailed, match="bytes"):
        check_picture(data, max_bytes=10, max_pixels=1_000_000)


def test_the_same_bytes_are_decoded_once():
    data = FORMS["png"]
    first = check_picture(data, **BOUNDS)
    assert check_picture(bytes(bytearray(data)), **BOUNDS) is first


def test_what_is_remembered_is_bounded_and_a_failure_is_not():
    for seed in range(checking.CACHED + 20):
        check_picture(encoded("PNG", noise(seed, (4, 4 + seed))), **BOUNDS)
    assert len(checking._checked) == checking.CACHED
    for _ in range(2):
        with pytest.raises(GenerationFailed):
            check_picture(FORMS["png"][:60], **BOUNDS)
    assert picture_id(FORMS["png"][:60]) not in checking._checked


def test_many_threads_may_check_at_one_time():
    pictures = [encoded("PNG", noise(seed)) for seed in range(20)]
    found: list[str] = []

    def check() -> None:
        found.extend(check_picture(data, **BOUNDS).id for data in pictures)

    filters = list(warnings.filters)
    threads = [threading.Thread(target=check) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(picture_id(data) for data in pictures * 6)
    assert list(warnings.filters) == filters


def test_what_instant_gives_is_a_picture():
    data = Instant()._picture.data
    assert check_picture(data, **BOUNDS).media_type == "image/png"


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a sound PNG with further chunks before its pixels, and behind them."""
    data = FORMS["png"]
    more = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    at = data.index(b"IDAT") - 4
    end = data.index(b"IEND") - 4
    return data[:at] + more + data[at:end] + more + data[end:]


LARGE = zlib.compress(bytes(3 << 20), 9)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"zTXt", b"workflow\0\0" + LARGE)],
        [(b"iTXt", b"parameters\0\1\0\0\0" + LARGE)],
        [(b"iCCP", b"profile\0\0" + LARGE)],
        [(b"tEXt", b"prompt\0" + b"x" * 400_000)] * 200,
        [(b"zTXt", b"broken\0\0no zlib")],
        [(b"eXIf", b"no exif")],
    ],
)
def test_what_stands_beside_the_pixels_of_a_png_refuses_none(chunks):
    data = png_with(*chunks)
    picture = check_picture(data, max_bytes=1 << 28, max_pixels=1_000_000)
    assert (picture.id, picture.width) == (picture_id(data), 24)
    with pytest.raises(GenerationFailed, match="broken or cut off"):
        check_picture(data[: data.index(b"IDAT") + 30], max_bytes=1 << 28, max_pixels=1_000_000)


JPEGS = {
    "plain": FORMS["jpeg"],
    "in passes": FORMS["jpeg in passes"],
    "grey": encoded("JPEG", noise().convert("L")),
    "large": encoded("JPEG", noise(3, (97, 61)), quality=95, subsampling=0),
    "in passes, large": encoded("JPEG", noise(3, (97, 61)), quality=95, progressive=True),
    "with restarts": encoded("JPEG", noise(2, (80, 80)), restart_marker_blocks=2),
    "flat": encoded("JPEG", Image.new("RGB", (40, 40), (1, 2, 3))),
}


@pytest.mark.parametrize("form", JPEGS)
def test_a_jpeg_without_an_end_marker_has_all_its_pixels(form):
    data = JPEGS[form]
    assert data.endswith(b"\xff\xd9")
    for without in (data[:-2], data[:-1]):
        assert check_picture(without, **BOUNDS).media_type == "image/jpeg"


@pytest.mark.parametrize("form", JPEGS)
def test_a_jpeg_that_lacks_a_pixel_is_cut_off(form):
    data = JPEGS[form]
    whole = frames(data)
    for length in {*range(len(data) - 60, len(data) - 2), *range(0, len(data) - 60, 37)}:
        try:
            check_picture(data[:length], **BOUNDS)
        except GenerationFailed:
            continue
        assert frames(data[:length] + b"\xff\xd9") == whole, length


def test_the_bounds_hold_for_a_jpeg_without_an_end_too():
    with pytest.raises(GenerationFailed, match="384 pixels, more than 383"):
        check_picture(FORMS["jpeg"][:-2], max_bytes=1 << 20, max_pixels=383)
    passes = FORMS["jpeg"][:-2] + b"\xff\xda\x00\x02" * 300
    with pytest.raises(GenerationFailed, match="200 passes"):
        check_picture(passes, **BOUNDS)
