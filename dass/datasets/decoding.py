"""One image of any common kind -> a square of uint8 RGB."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

RESIZE_RULE = (
    "shorter side resized (antialiased bicubic), then the central square; a large JPEG is decoded at the smallest DCT "
    "scale that leaves twice the resolution; alpha is laid on white; EXIF orientation is not applied"
)
# The usual depths of cameras, scanners and satellites. A set has one, so that its images keep their relation.
DEEP_BITS = (8, 10, 12, 14, 16)
DEEP_RULE = (
    "the values of 16-bit files are taken as {bits}-bit, the smallest of 8, 10, 12, 14 and 16 bits that holds the "
    "brightest of all images, and brought to 8 bits"
)
# What image datasets are made of. EPS and the like, which would start other programs, are not among them.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "QOI")

# What servers and repositories give in place of images, by its beginning.
_IN_PLACE = {
    b"version https://git-lfs": "a pointer of Git LFS, not the image: `git lfs pull` brings it",
    b"<!": "a web page, not an image",
    b"<html": "a web page, not an image",
}
# Pixels from which an image takes up to gigabytes on its way: one at a time, whatever the number of threads.
_LARGE = 20_000_000
_ONE_LARGE = threading.Lock()


class UndecodableError(ValueError):
    """The bytes are not an image that can be read; the message says why."""


@dataclass(frozen=True)
class Decoded:
    """An image in the working form.

    Attributes:
        pixels: uint8 [resolution, resolution, 3].
        deep_bits: bits of a 16-bit file, the least of `DEEP_BITS` that holds its brightest value; 0 for others.
    """

    pixels: np.ndarray
    deep_bits: int = 0


def pixel_count(source: bytes) -> int:
    """How many pixels an image file says it has, by its header alone.

    Raises:
        UndecodableError: the bytes are not an image.
    """
    with _told(source):
        return _area(Image.open(io.BytesIO(source), formats=FORMATS))


def decode(
    source: bytes | np.ndarray, resolution: int, deep_bits: int = 16, *, max_pixels: int | None = None
) -> Decoded:
    """Brings an image to the working form, by `RESIZE_RULE`; one that has it already stays as it is.

    Grey, palette, alpha, CMYK and 16-bit images become 8-bit RGB; of an animation the first frame counts.

    Args:
        source: an image file's bytes, or pixels uint8 [h, w] (grey), [h, w, 3] or, with alpha, [h, w, 4].
        resolution: side of the result, in pixels.
        deep_bits: how many bits the values of 16-bit files are taken to have; brighter ones become white.
        max_pixels: a file that says it has more is refused before they are read; None for Pillow's own limit.

    Raises:
        UndecodableError: the bytes do not decode, or are of more pixels than memory should be spent on.
    """
    with _told(source):
        if isinstance(source, np.ndarray):
            return Decoded(_square(Image.fromarray(source), resolution))
        image = Image.open(io.BytesIO(source), formats=FORMATS)
        if max_pixels is not None and _area(image) > max_pixels:
            raise UndecodableError(f"{image.width} x {image.height} pixels, at most {max_pixels:,} are read")
        with _ONE_LARGE if _area(image) > _LARGE else nullcontext():
            values = _load(image, source, resolution)
            if values is not None:
                shallow, found_bits = _from_deep(values, deep_bits)
                return Decoded(_square(shallow, resolution), found_bits)
            return Decoded(_square(image, resolution))


@contextmanager
def _told(source: bytes | np.ndarray) -> Iterator[None]:
    """Whatever a decoder raises, as an `UndecodableError` that says why."""
    if not isinstance(source, np.ndarray) and not source:
        raise UndecodableError("an empty file")
    try:
        yield
    except UndecodableError:
        raise
    except UnidentifiedImageError as error:
        begin = b"" if isinstance(source, np.ndarray) else source[:99].lstrip()
        what = next((what for start, what in _IN_PLACE.items() if begin.startswith(start)), None)
        raise UndecodableError(what or "not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise UndecodableError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except Exception as error:  # a decoder fed with arbitrary bytes raises nearly anything
        raise UndecodableError(str(error) or type(error).__name__) from error


def _area(image: Image.Image) -> int:
    return image.width * image.height


def _square(image: Image.Image, resolution: int) -> np.ndarray:
    image = _to_rgb(image)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # A resize of this box also sees the pixels around it: the same as resizing the whole and cropping, with less work.
    square = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC, box=square))


def _load(image: ImageFile, data: bytes, resolution: int) -> np.ndarray | None:
    """Reads the pixels; gives the values 0..65535 of a 16-bit file, [h, w] or [h, w, channels]; None for others."""
    # Of 16-bit colours Pillow keeps the upper byte alone, which is little of a 12-bit picture; asked for the other
    # order of bytes it gives the lower ones.
    swapped = [tile._replace(args=_other_byte(tile.args)) for tile in image.tile]
    is_deep_colour = image.mode in ("RGB", "RGBA") and swapped != image.tile
    image.draft(None, (2 * resolution, 2 * resolution))
    image.load()
    if is_deep_colour:
        lower = Image.open(io.BytesIO(data), formats=FORMATS)
        lower.tile = swapped
        lower.load()
        return np.asarray(image).astype(np.uint16) << 8 | np.asarray(lower)
    # Pillow brings a PGM of any depth to 0..65535, in a mode of 32 bits.
    is_deep_grey = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    return np.asarray(image) if is_deep_grey else None


def _other_byte(arguments: Any) -> Any:
    """What Pillow's decoder of a part of an image is told, with the other byte of 16-bit colours."""
    if isinstance(arguments, tuple):
        return tuple(map(_other_byte, arguments))
    if isinstance(arguments, str) and arguments.startswith(("RGB;16", "RGBA;16")):
        native = "L" if sys.byteorder == "little" else "B"
        return arguments[:-1] + {"B": "L", "L": "B"}[arguments[-1].replace("N", native)]
    return arguments


def _from_deep(values: np.ndarray, deep_bits: int) -> tuple[Image.Image, int]:
    """A 16-bit image as an 8-bit one, and the bits that it needs. An alpha channel always has all 16."""
    has_alpha = values.ndim == 3 and values.shape[2] == 4
    colours = values[..., :-1] if has_alpha else values
    needed = next(bits for bits in DEEP_BITS if int(colours.max()) < 1 << bits)
    shallow = np.minimum(colours >> (deep_bits - 8), 255)
    if has_alpha:
        shallow = np.concatenate([shallow, values[..., -1:] >> 8], axis=-1)
    return Image.fromarray(shallow.astype(np.uint8)), needed


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise UndecodableError(f"pixels of {image.mode!r} (32 bits) have no stated range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
