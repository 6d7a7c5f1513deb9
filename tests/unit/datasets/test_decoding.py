import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dass.datasets.decoding import UndecodableError, decode


def _file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _flat(color: object, mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    return Image.new(mode, size, color)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_formats(kind, mode):
    color = 120 if mode == "L" else (120, 120, 120)
    image = decode(_file(_flat(color, mode), kind), 8)
    assert image.shape == (8, 8, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - 120).max() <= 2


def test_alpha_lies_on_white():
    half = decode(_file(_flat((255, 0, 0, 128), "RGBA")), 8)
    assert np.abs(half[0, 0].astype(int) - [255, 127, 127]).max() <= 1
    assert (decode(_file(_flat((0, 0), "LA")), 8) == 255).all()


def test_palette_with_and_without_a_transparent_colour():
    image = _flat((10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.abs(decode(_file(image), 8)[0, 0].astype(int) - [10, 200, 30]).max() <= 2
    transparent = image.getpixel((0, 0))
    assert (decode(_file(image, transparency=transparent), 8) == 255).all()
    assert (decode(_file(image, transparency=bytes(256)), 8) == 255).all()


def test_one_bit_and_sixteen_bit_grey():
    assert (decode(_file(_flat(1, "1")), 8) == 255).all()
    deep = Image.fromarray(np.full((16, 16), 0x8000, dtype=np.uint16))
    assert (decode(_file(deep), 8) == 0x80).all()


def test_cmyk():
    image = decode(_file(_flat((0, 255, 255, 0), "CMYK"), "JPEG"), 8)
    assert np.abs(image[0, 0].astype(int) - [255, 0, 0]).max() <= 3


def test_thirty_two_bit_grey_has_no_range():
    with pytest.raises(UndecodableError, match="32 bits"):
        decode(_file(_flat(0.5, "F"), "TIFF"), 8)


@pytest.mark.parametrize("size", [(30, 10), (10, 30), (31, 10), (16, 16), (3, 2)])
def test_the_central_square_is_kept(size):
    """The middle is green, what lies beyond the central square is red; the resize blends the border of both."""
    side = min(size)
    image = Image.new("RGB", size, "red")
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    image.paste("lime", (left, top, left + side, top + side))
    decoded = decode(_file(image), 16)
    assert (decoded[5:-5, 5:-5] == [0, 255, 0]).all()


def test_the_same_as_resizing_the_whole_and_cropping():
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8))
    expected = whole.resize((30, 10), Image.Resampling.BICUBIC).crop((10, 0, 20, 10))
    assert (decode(_file(whole), 10) == np.asarray(expected)).all()


def test_resize_is_antialiased():
    board = np.indices((64, 64)).sum(0) % 2 * 255
    assert np.abs(decode(board.astype(np.uint8), 16).astype(int) - 127).max() <= 12


def test_same_size_is_exact_and_pixels_are_taken_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (decode(pixels, 8) == pixels).all()
    assert (decode(_file(Image.fromarray(pixels)), 8) == pixels).all()


def test_a_large_jpeg_read_at_reduced_scale_is_close_to_the_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    large = Image.fromarray(pixels).resize((512, 512), Image.Resampling.BICUBIC)
    reduced = decode(_file(large, "JPEG", quality=95), 32).astype(int)
    assert np.abs(reduced - decode(np.asarray(large), 32)).max() <= 8


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=5))
@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd metadata; here only the outcome counts
def test_damaged_bytes_decode_or_are_named_so(cut, flips):
    data = bytearray(_file(_flat((1, 2, 3)), "JPEG")[: 1000 - cut])
    for position, change in flips:
        data[position % len(data)] ^= change
    try:
        assert decode(bytes(data), 8).shape == (8, 8, 3)
    except UndecodableError as error:
        assert str(error)


@pytest.mark.parametrize("data", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_image(data):
    with pytest.raises(UndecodableError):
        decode(data, 8)
