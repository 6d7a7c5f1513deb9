"""Images as people send them -> the uint8 pixels that a student was trained on, or a reason why not.

Clients scale pixels in different ways, and one that is guessed wrongly gives a wrong class and no error. So the scale
is recognised by the rule below, and what fits none of its cases is refused.

- Whole numbers are pixels 0..255, unless none is above 1 and one is 1: then they may be of either scale.
- Floating-point numbers of 0..1 are shares of 255, and are multiplied by it and rounded.
- Floating-point numbers of 0..255 are pixels, and are rounded, if each image that is not black has one of at least 16.
- All else is refused: negative numbers (images normalised for a network), larger ones, NaN, images of both scales.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BRIGHT = 16  # a picture of 0..255 whose brightest pixel is below may be of another scale


class UnclearImagesError(ValueError):
    """Why images are not taken: one sentence that says what was expected and what was found."""


def to_pixels(images: Any, side: int) -> NDArray[np.uint8]:
    """Checks images and brings them to pixels.

    Args:
        images: numpy array [n, side, side, 3], RGB, of any of the kinds above.
        side: of the images, in pixels.

    Returns:
        uint8 [n, side, side, 3].

    Raises:
        UnclearImagesError: another type, shape or scale.
    """
    expected = f"expected RGB images [n, {side}, {side}, 3], pixels as whole numbers 0..255 or as numbers 0..1"
    if not isinstance(images, np.ndarray):
        raise UnclearImagesError(f"{expected}, as a numpy array, found {type(images).__name__}")
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        hint = "; one image is a batch of one: image[None]" if images.ndim == 3 else ""
        raise UnclearImagesError(f"{expected}, found shape {list(images.shape)}{hint}")
    if images.dtype.kind not in "iuf":
        raise UnclearImagesError(f"{expected}, found values of type {images.dtype}")
    if not images.size:
        return images.astype(np.uint8)
    least, most = images.min(), images.max()
    if not (np.isfinite(least) and np.isfinite(most)):
        raise UnclearImagesError(f"{expected}, found NaN or infinity")
    if least < 0 or most > 255:
        raise UnclearImagesError(
            f"{expected}, found {least:g} to {most:g}: send the picture itself, not normalised for a network"
        )
    if images.dtype.kind != "f":
        if most == 1:
            raise UnclearImagesError(f"{expected}, found only 0 and 1 as whole numbers, which may be of either scale")
        return images.astype(np.uint8, copy=False)
    brightest = images.max(axis=(1, 2, 3))
    brightest = brightest[brightest > 0]
    if (brightest <= 1).all():
        return np.rint(images.astype(np.float64) * 255).astype(np.uint8)
    if (brightest >= BRIGHT).all():
        return np.rint(images).astype(np.uint8)
    odd = brightest[brightest < BRIGHT].max()
    raise UnclearImagesError(
        f"{expected}, found an image with {odd:g} as its largest value: its scale is neither or not that of the others"
    )
