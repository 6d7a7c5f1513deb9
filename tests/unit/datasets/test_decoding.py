import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dass.datasets import decoding
from dass.datasets.decoding import UndecodableError


def decode(source: bytes | np.ndarray, resolution: int) -> np.ndarray:
    return decoding.decode(source, resolution).pixels


def _file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _flat(color: object, mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    return Image.new(mode, size, color)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "DIB"])
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


def _grey(value: int, kind: str = "PNG") -> bytes:
    return _file(Image.fromarray(np.full((8, 8), value, dtype=np.uint16)), kind)


def _pgm(value: int, most: int) -> bytes:
    return f"P5 8 8 {most}\n".encode() + np.full((8, 8), value, ">u2").tobytes()


def _deep_tiff(values: tuple[int, ...], packed: bool) -> bytes:
    """A TIFF of 16 bits a channel, which Pillow does not write either."""
    pixels = np.tile(np.array(values, "<u2"), 64).tobytes()
    body = zlib.compress(pixels) if packed else pixels
    end = 8 + 2 + 9 * 12 + 4  # of the header and of one directory of nine fields
    fields = (
        (256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 3, end), (259, 3, 1, 8 if packed else 1), (262, 3, 1, 2),
        (273, 4, 1, end + 6), (277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, len(body)),
    )  # fmt: skip
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *field) for field in fields) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + body


def _deep_png(values: tuple[int, ...]) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write: 3 or 4 values of one pixel, everywhere."""
    row = b"\0" + np.tile(np.array(values, ">u2"), 8).tobytes()
    kind = {3: 2, 4: 6}[len(values)]
    header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(row * 8)), (b"IEND", b""))
    )


# A file of 16 bits a value; the bits that it needs; a pixel where they are what the set has.
DEEP = {
    "8 bits": (_grey(200), 8, (200, 200, 200)),
    "10 bits": (_grey(1023), 10, (255, 255, 255)),
    "12 bits": (_grey(4095), 12, (255, 255, 255)),
    "12 bits, half": (_grey(2048), 12, (128, 128, 128)),
    "12 bits, TIFF": (_grey(2048, "TIFF"), 12, (128, 128, 128)),
    "12 bits, JPEG 2000": (_grey(2048, "JPEG2000"), 12, (128, 128, 128)),
    "14 bits": (_grey(8192), 14, (128, 128, 128)),
    "15 bits are those of 16": (_grey(20_000), 16, (78, 78, 78)),
    "16 bits": (_grey(65_535), 16, (255, 255, 255)),
    "PGM that states its range": (_pgm(2048, 4095), 16, (128, 128, 128)),
    "PGM that does not": (_pgm(2048, 65_535), 12, (128, 128, 128)),
    "RGB": (_deep_png((4095, 2048, 0)), 12, (255, 128, 0)),
    "RGB of 16 bits": (_deep_png((65_535, 256, 0)), 16, (255, 1, 0)),
    "RGB, TIFF": (_deep_tiff((4095, 2048, 0), packed=False), 12, (255, 128, 0)),
    "RGB, packed TIFF": (_deep_tiff((4095, 2048, 0), packed=True), 12, (255, 128, 0)),
    "RGB with alpha": (_deep_png((4095, 2048, 0, 0)), 12, (255, 255, 255)),
}


@pytest.mark.parametrize(("data", "bits", "pixel"), DEEP.values(), ids=DEEP)
def test_files_of_16_bits(data, bits, pixel):
    assert decoding.decode(data, 8).deep_bits == bits
    decoded = decoding.decode(data, 8, bits)
    assert tuple(decoded.pixels[3, 3]) == pixel


def test_what_is_brighter_than_the_depth_becomes_white():
    assert (decoding.decode(_grey(5000), 8, 12).pixels == 255).all()


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 3_001)])
def test_too_many_pixels_are_refused_in_our_words(size):
    header = bytearray(_file(_flat(0)))
    header[16:24] = b"".join(side.to_bytes(4) for side in size)
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    with pytest.raises(UndecodableError, match=r"more than 178,956,970 pixels") as caught:
        decode(bytes(header), 8)
    assert "bomb" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_panorama_is_read():
    """Of more pixels than Pillow takes without a warning, 89 million."""
    panorama = _file(_flat(7, "L", size=(90_000, 1_000)), compress_level=1)
    assert (decode(panorama, 8) == 7).all()


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


@settings(max_examples=60)
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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html></html>", "web page"), (b"hello", "known format"),
    ],
)  # fmt: skip
def test_what_is_in_place_of_an_image_is_named(data, said):
    with pytest.raises(UndecodableError, match=said):
        decode(data, 8)


@pytest.mark.parametrize("data", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_image(data):
    with pytest.raises(UndecodableError):
        decode(data, 8)
