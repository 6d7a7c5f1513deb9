"""Images as people send them -> the uint8 squares that a student was trained on, or a reason why not.

An image is one of

- a file's bytes, JPEG, PNG, WebP or what else `dass data import` reads, or these as base64 text;
- an array [height, width, channels] of any size, of 1 (grey), 3 (RGB) or 4 (RGBA) channels.

Several of them are a list, an array [n, height, width, channels], or the only column of a data frame or of a mapping.
Each is brought to the student's size by the code that imported its training images (`dass.datasets.decoding`); an RGB
image that has it already is not changed.

Clients scale pixels in different ways, and one that is guessed wrongly gives a wrong class and no error. So the scale
of arrays is recognised by the rule below, and what fits none of its cases is refused.

- Whole numbers are pixels 0..255, unless none is above 1 and one is 1: then they may be of either scale.
- Floating-point numbers of 0..1 are shares of 255, and are multiplied by it and rounded.
- Floating-point numbers of 0..255 are pixels, and are rounded, if each image that is not black has one of at least 16.
- All else is refused: negative numbers (images normalised for a network), larger ones, NaN, images of both scales.
- A file of 16 bits per channel is of 16 bits, and is refused if its brightest value needs fewer: it may be of 12.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dass.datasets.decoding import UndecodableError, decode

BRIGHT = 16  # a picture of 0..255 whose brightest pixel is below may be of another scale
MAX_PIXELS = 50_000_000  # of one image file, which takes up to ten bytes for each on its way
CHANNELS = (1, 3, 4)
EXPECTED = (
    "expected images as JPEG or PNG bytes, as base64 text, or as arrays [n, height, width, 3] of whole numbers 0..255 "
    "or of numbers 0..1"
)
Sent = bytes | NDArray[Any]


class UnclearImagesError(ValueError):
    """Why images are not taken: one sentence that says what was expected and what was found."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{EXPECTED}; found {problem}")


def pixel_batches(sent: Any, side: int, size: int) -> Iterator[NDArray[np.uint8]]:
    """Checks images and brings them to the pixels of a student, some at a time: memory is that of what was sent.

    Args:
        sent: images in any of the forms above.
        side: side of the student's images, in pixels.
        size: images of a batch; the last may have fewer.

    Yields:
        uint8 [n, side, side, 3], RGB; together all images in their order.

    Raises:
        UnclearImagesError: another type, shape or scale, or a file that does not decode.
    """
    images = separate(sent)
    shallow = iter(_eight_bit([image for image in images if isinstance(image, np.ndarray)]))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield np.stack(
            [
                _from_file(image, index, side) if isinstance(image, bytes) else _square(next(shallow), side)
                for index, image in enumerate(part, start)
            ]
        )


def separate(sent: Any) -> list[Sent]:
    """The single images of what was sent, in its order: files as bytes, and arrays of three axes of any numbers.

    Raises:
        UnclearImagesError: something else than the forms above.
    """
    if isinstance(sent, pd.DataFrame | Mapping):
        sent = _only_column(sent)
        if isinstance(sent, pd.DataFrame | Mapping):
            raise UnclearImagesError("a table within a table")
    if isinstance(sent, str | bytes | bytearray):
        return [_file(sent)]
    if isinstance(sent, np.ndarray) and sent.dtype.kind not in "OSU":
        return _from_array(sent)
    if isinstance(sent, np.ndarray | pd.Series):
        sent = sent.tolist()
        if isinstance(sent, str | bytes):  # of an array without axes
            return [_file(sent)]
    if not isinstance(sent, list | tuple):
        raise UnclearImagesError(type(sent).__name__)
    if sent and all(isinstance(item, Mapping) for item in sent):
        sent = [_only_column(item) for item in sent]
    return _from_list(sent)


def _only_column(table: "pd.DataFrame | Mapping[Any, Any]") -> Any:
    if len(table.keys()) != 1:
        raise UnclearImagesError(f"a table of {len(table.keys())} columns: send the column of images alone")
    [name] = table.keys()
    return table[name]


def _from_array(array: NDArray[Any]) -> list[Sent]:
    """Images of an array: [n, h, w, c], or one [h, w, c]."""
    _check_numbers(array)
    if array.ndim == 3 and array.shape[-1] in CHANNELS:
        return [array]
    if array.ndim != 4 or array.shape[-1] not in CHANNELS:
        raise UnclearImagesError(f"shape {list(array.shape)}; channels come last, and there are 1, 3 or 4 of them")
    return list(array)


def _from_list(items: Sequence[Any]) -> list[Sent]:
    """Images of a list: files, texts and arrays in any order; or nested lists of numbers, ragged where sizes differ."""
    if not items or not all(isinstance(item, list | tuple) for item in items):
        return [_file(item) if isinstance(item, str | bytes | bytearray) else _array(item) for item in items]
    try:
        whole = np.asarray(items)
    except ValueError:
        arrays = [_array(item) for item in items]
        # JSON of some languages writes 0.0 as 0, so all numbers that came as lists are of one kind.
        kind = np.float64 if any(array.dtype.kind == "f" for array in arrays) else np.int64
        return [array.astype(kind) for array in arrays]
    return _from_array(whole)


def _array(item: Any) -> NDArray[Any]:
    """One image as an array of three axes."""
    if item is None or (isinstance(item, float) and np.isnan(item)):
        raise UnclearImagesError("no value in place of an image")
    if not isinstance(item, np.ndarray | list | tuple):
        raise UnclearImagesError(f"{type(item).__name__} in place of an image")
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise UnclearImagesError("an image with rows of unlike length") from error
    _check_numbers(array)
    if array.ndim != 3 or array.shape[-1] not in CHANNELS:
        raise UnclearImagesError(f"an image of shape {list(array.shape)}, not [height, width, 3]")
    return array


def _check_numbers(array: NDArray[Any]) -> None:
    if array.dtype.kind not in "iuf":
        raise UnclearImagesError(f"values of type {array.dtype}")


def _file(item: str | bytes | bytearray) -> bytes:
    """A file's bytes; text is base64, of either alphabet, broken into lines or not, or a data: URL of it."""
    if not isinstance(item, str):
        return bytes(item)
    head, comma, rest = item.partition(",")
    text = "".join((rest if comma and head.startswith("data:") and head.endswith(";base64") else item).split())
    text = text.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise UnclearImagesError("text that is not base64: names and addresses of files are not opened") from error


def _from_file(data: bytes, index: int, side: int) -> NDArray[np.uint8]:
    try:
        decoded = decode(data, side, max_pixels=MAX_PIXELS)
    except UndecodableError as error:
        raise UnclearImagesError(f"image {index} as a file that does not decode: {error}") from error
    if 0 < decoded.deep_bits < 16:
        raise UnclearImagesError(
            f"image {index} as a 16-bit file whose values need {decoded.deep_bits} bits only: send one of 8 bits"
        )
    return decoded.pixels


def _square(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if image.shape == (side, side, 3):
        return image
    try:
        return decode(image[..., 0] if image.shape[-1] == 1 else image, side).pixels
    except UndecodableError as error:
        raise UnclearImagesError(f"an image of shape {list(image.shape)}: {error}") from error


def _eight_bit(arrays: list[NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Arrays of numbers as pixels 0..255, by the rule of scales."""
    for array in arrays:
        if not array.size:
            raise UnclearImagesError(f"an image of shape {list(array.shape)}")
    least, most = [array.min() for array in arrays], [array.max() for array in arrays]
    if not np.isfinite([*least, *most]).all():
        raise UnclearImagesError("NaN or infinity")
    if arrays and (min(least) < 0 or max(most) > 255):
        raise UnclearImagesError(
            f"{min(least):g} to {max(most):g}: send the picture itself, not normalised for a network"
        )
    floats = [array.dtype.kind == "f" for array in arrays]
    if max((value for value, is_float in zip(most, floats, strict=True) if not is_float), default=0) == 1:
        raise UnclearImagesError("only 0 and 1 as whole numbers, which may be of either scale")
    scale = 255 if _are_shares([float(value) for value, is_float in zip(most, floats, strict=True) if is_float]) else 1
    return [_rounded(array, scale) if array.dtype.kind == "f" else array.astype(np.uint8) for array in arrays]


def _are_shares(brightest: list[float]) -> bool:
    """Whether images of floating-point numbers are of 0..1 and not of 0..255, by the largest value of each."""
    colourful = [value for value in brightest if value > 0]
    if all(value <= 1 for value in colourful):
        return True
    if all(value >= BRIGHT for value in colourful):
        return False
    odd = max(value for value in colourful if value < BRIGHT)
    raise UnclearImagesError(
        f"an image with {odd:g} as its largest value: its scale is neither or not that of the others"
    )


def _rounded(image: NDArray[Any], scale: int) -> NDArray[np.uint8]:
    return np.rint(image.astype(np.float64) * scale).astype(np.uint8)
