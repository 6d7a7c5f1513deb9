"""The forms in which people send images, in Python: each means the pixels that an import would have stored."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dass.datasets.decoding import decode
from dass.tracking.image_input import UnclearImagesError, pixel_batches

SIDE = 8
PHOTO = np.random.default_rng(0).integers(0, 256, (20, 14, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (9, 30, 3), dtype=np.uint8)


def to_pixels(sent: Any) -> np.ndarray:
    return np.concatenate([np.empty((0, SIDE, SIDE, 3), np.uint8), *pixel_batches(sent, SIDE, 2)])


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def text(pixels: np.ndarray) -> str:
    return base64.b64encode(png(pixels)).decode()


# each is one image or more, all of them PHOTO
PHOTOS: dict[str, Any] = {
    "one array": PHOTO,
    "a batch": np.stack([PHOTO] * 5),
    "a list of arrays": [PHOTO, PHOTO],
    "a tuple": (PHOTO, PHOTO),
    "other whole numbers": PHOTO.astype(np.int64)[None],
    "not contiguous": np.repeat(PHOTO, 2, axis=0)[None, ::2],
    "floats 0..1": PHOTO[None] / 255,
    "floats 0..255": PHOTO[None] / 1.0,
    "nested lists": PHOTO.tolist(),
    "nested lists of a batch": [PHOTO.tolist()] * 2,
    "RGBA, opaque": np.concatenate([PHOTO, np.full_like(PHOTO[..., :1], 255)], axis=-1),
    "bytes": png(PHOTO),
    "a bytearray": bytearray(png(PHOTO)),
    "a list of bytes": [png(PHOTO)] * 3,
    "files and arrays": [png(PHOTO), PHOTO, text(PHOTO)],
    "an array of bytes as objects": np.array([png(PHOTO)], dtype=object),
    "text": text(PHOTO),
    "an array of texts": np.array([text(PHOTO)] * 2),
    "an array without axes": np.array(text(PHOTO)),
    "base64 in lines": base64.encodebytes(png(PHOTO)).decode(),
    "base64 for addresses, not padded": base64.urlsafe_b64encode(png(PHOTO)).decode().rstrip("="),
    "a data: URL": f"data:image/png;base64,{text(PHOTO)}",
    "a column of texts": pd.DataFrame({"image": [text(PHOTO)] * 3}),
    "a column of bytes": pd.DataFrame({"any name": [png(PHOTO)]}, index=[7]),
    "a column of arrays": pd.DataFrame({"image": [PHOTO, PHOTO]}),
    "a series": pd.Series([text(PHOTO)]),
    "a mapping of one column": {"image": [text(PHOTO)]},
    "a mapping of one text": {"image": text(PHOTO)},
    "records": [{"b64": text(PHOTO)}, {"b64": text(PHOTO)}],
}


@pytest.mark.parametrize("row", PHOTOS)
def test_every_form_gives_the_pixels_of_an_import(row: str) -> None:
    found = to_pixels(PHOTOS[row])
    assert len(found) and (found == decode(png(PHOTO), SIDE).pixels).all()


@pytest.mark.parametrize("form", [lambda x: x, lambda x: x / 255, lambda x: x.tolist(), png, text])
def test_images_of_different_sizes_keep_their_order(form: Callable[[np.ndarray], Any]) -> None:
    found = to_pixels([form(image) for image in (PHOTO, OTHER, PHOTO)])
    for image, expected in zip(found, (PHOTO, OTHER, PHOTO), strict=True):
        np.testing.assert_array_equal(image, decode(expected, SIDE).pixels)


def test_an_image_of_the_size_is_not_changed() -> None:
    small = PHOTO[:SIDE, :SIDE]
    for sent in (small, small / 255, png(small), text(small), [small, small]):
        assert (to_pixels(sent) == small).all()


def test_grey_images_are_grey_pixels() -> None:
    grey = PHOTO[..., :1]
    assert (to_pixels([grey]) == decode(np.repeat(grey, 3, axis=-1), SIDE).pixels).all()


def test_zeros_that_json_writes_without_a_point_are_of_the_others_kind() -> None:
    black = np.zeros((5, 5, 3), dtype=int).tolist()
    white = np.ones((6, 6, 3), dtype=int).tolist()
    found = to_pixels([black, white, (OTHER / 255).tolist()])
    assert (found[0] == 0).all() and (found[1] == 255).all()


def test_none_are_none() -> None:
    for sent in ([], np.empty((0, 5, 5, 3)), pd.DataFrame({"image": []})):
        assert len(to_pixels(sent)) == 0


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "NoneType"),
    "a number": (3, "int"),
    "numbers": ([1, 2], "int"),
    "a missing cell": (pd.DataFrame({"image": [text(PHOTO), None]}), "no value"),
    "a file's name": ("photo.png", "base64"),
    "an address": ("https://example.org/photo.png", "base64"),
    "an empty text": ("", "empty"),
    "text of no image": (base64.b64encode(b"not an image at all").decode(), "format"),
    "a cut file": (png(PHOTO)[:300], "truncated"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
    "channels first": (PHOTO.transpose(2, 0, 1), "channels"),
    "a grey image of two axes": (PHOTO[..., 0], "channels"),
    "grey images of two axes": ([PHOTO[..., 0]], "channels|height"),
    "five axes": (PHOTO[None, None], "shape"),
    "no pixels": ([PHOTO[:0]], "shape"),
    "truth values": (PHOTO > 9, "bool"),
    "complex numbers": (PHOTO * 1j, "complex"),
    "rows of unlike length": ([[[[1, 2, 3]], [[1, 2, 3]] * 2]], "unlike length"),
    "two columns": (pd.DataFrame({"a": ["x"], "b": ["y"]}), "2 columns"),
    "two columns of one name": (pd.DataFrame([["x", "y"]], columns=["a", "a"]), "2 columns"),
    "a table within a table": ({"a": {"a": ["x"]}}, "table"),
    "both scales": ([PHOTO / 255, PHOTO / 1.0], "scale"),
    "a 16-bit file of 12 bits": (png(np.full((9, 9), 4000, dtype=np.uint16)), "12 bits"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_anything_else_is_refused(row: str) -> None:
    sent, reason = REFUSED[row]
    with pytest.raises(UnclearImagesError, match=f"(?s)found .*({reason})"):
        to_pixels(sent)
