"""One image of any common kind -> a square of uint8 RGB."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

RESIZE_RULE = (
    "shorter side resized (antialiased bicubic), then the central square; a large JPEG is decoded at the smallest DCT "
    "scale that leaves twice the resolution; alpha is laid on white; EXIF orientation is not applied"
)
# What image datasets are made of. EPS and the like, which would start other programs, are not among them.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")


class UndecodableError(ValueError):
    """The bytes are not an image that can be read; the message says why."""


def decode(source: bytes | np.ndarray, resolution: int) -> np.ndarray:
    """Brings an image to the working form, by `RESIZE_RULE`.

    Grey, palette, alpha, CMYK and 16-bit grey images become RGB; of an animation the first frame counts.

    Args:
        source: an image file's bytes, or pixels uint8 [h, w] (grey) or [h, w, 3].
        resolution: side of the result, in pixels.

    Returns:
        uint8 [resolution, resolution, 3].

    Raises:
        UndecodableError: the bytes do not decode.
    """
    try:
        image = Image.fromarray(source) if isinstance(source, np.ndarray) else _open(source, resolution)
        image = _to_rgb(image)
    except UnidentifiedImageError as error:
        raise UndecodableError("not an image of a known format") from error
    except Exception as error:  # a decoder fed with arbitrary bytes raises nearly anything
        raise UndecodableError(str(error) or type(error).__name__) from error
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # A resize of this box also sees the pixels around it: the same as resizing the whole and cropping, with less work.
    square = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC, box=square))


def _open(data: bytes, resolution: int) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    image.draft(None, (2 * resolution, 2 * resolution))
    image.load()
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise UndecodableError(f"pixels of {image.mode!r} (32 bits) have no stated range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
