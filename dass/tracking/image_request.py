"""The body of a request to a student over HTTP -> its images, within limits on what they may cost.

A request is one of MLflow's JSON forms with images in any form of `dass.tracking.image_input`: `inputs` or `instances`
(a list, or a mapping of one column), `dataframe_split` or `dataframe_records` of one column.
"""

import json
from typing import Any

from dass.datasets.decoding import UndecodableError, pixel_count
from dass.tracking.image_input import Sent, UnclearImagesError, separate

FORMS = ("inputs", "instances", "dataframe_split", "dataframe_records")
MAX_IMAGES = 4_096  # of one request: a small body may hold a million images of one pixel
MAX_PIXELS = 100_000_000  # of all files of one request: a small file may hold far more than it has bytes
_BYTES_PER_TEXT = (
    24  # on average at least, of a body's texts: a file of an image needs 48, the name of a column is short
)
_BYTES_PER_OBJECT = 24


class TooMuchError(ValueError):
    """Why a request asks for more than one may; one sentence."""


def requested_images(body: bytes) -> list[Sent]:
    """The images of a request, as `dass.tracking.image_input.separate` gives them.

    Args:
        body: JSON in UTF-8, of bounded depth.

    Raises:
        UnclearImagesError: not one of the forms, or its images are none.
        TooMuchError: more images or pixels than a request may have.
        ValueError: not JSON.
    """
    texts = body.count(b'"') // 2
    if texts * _BYTES_PER_TEXT > len(body) + 1000 or body.count(b"{") * _BYTES_PER_OBJECT > len(body) + 1000:
        raise UnclearImagesError("many texts that are too short for images")
    request = json.loads(body)
    if not isinstance(request, dict) or len(request) != 1 or not request.keys() <= set(FORMS):
        raise UnclearImagesError(f"a request that is not an object of one of {', '.join(FORMS)} alone")
    [(form, sent)] = request.items()
    if form == "dataframe_split":
        sent = _only_cells(sent)
    if texts > 1 and _has_text_in_lists(sent):  # numpy would give each text the room of the longest
        raise UnclearImagesError("text within the lists of an image")
    images = separate(sent)
    if len(images) > MAX_IMAGES:
        raise TooMuchError(f"the request has {len(images):,} images: send at most {MAX_IMAGES:,} at once")
    _check_pixels(images)
    return images


def _only_cells(table: Any) -> list[Any]:
    """The cells of a data frame of one column."""
    rows = table.get("data") if isinstance(table, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise UnclearImagesError("a data frame that has not its rows, as lists, under `data`")
    if any(len(row) != 1 for row in rows):
        raise UnclearImagesError("a data frame whose rows have not one cell each: send the column of images alone")
    return [row[0] for row in rows]


def _has_text_in_lists(sent: Any) -> bool:
    """Whether some list within the list of images, or within a column of them, holds text."""
    if isinstance(sent, dict):
        return any(_has_text_in_lists(column) for column in sent.values())
    if not isinstance(sent, list):
        return False
    return any(_has_text(item) for item in sent if isinstance(item, list)) or any(
        _has_text(cell) for item in sent if isinstance(item, dict) for cell in item.values() if isinstance(cell, list)
    )


def _has_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(map(_has_text, value)))


def _check_pixels(images: list[Sent]) -> None:
    pixels = 0
    for index, image in enumerate(images):
        if isinstance(image, bytes):
            try:
                pixels += pixel_count(image)
            except UndecodableError as error:
                raise UnclearImagesError(f"image {index} as a file that does not decode: {error}") from error
            if pixels > MAX_PIXELS:
                raise TooMuchError(f"the files of the request have more than {MAX_PIXELS:,} pixels: send fewer at once")
