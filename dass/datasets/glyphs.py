"""The demo's source data: characters drawn in many ways, made on any machine without a download."""

import unicodedata
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dass.datasets.listing import Entry, Listing

# 200 letters and signs of five scripts that all faces share. None looks like another: on a 16x16 grid, framed tightly,
# no two have a cosine of 0.95 or more, in the upright sans or serif face.
CHARACTERS = (
    "123456789ABCDEGHJKLMNOPQRSTUVWXYZabdefghijkmnpqrtuy&@#%?!§¶€$£∞"
    "ΓΔΞΣΦΨΩαβγδεζηθικλμνξςστφχψωДЖИЙЛЦЧШЩЪЫЬЭЮЯцчщЂЉЊЋ"
    "ԱԲԳԴԵԶԷԸԹԺԻԽԾԿՀՁՃՄՅՆՇՈՉՊՋՌՎՐՒՔՖաբգդեէըթժիլխծկձճմնչպջռվփքֆ"
    "აბგდევზთიკლმნპჟრსტუფქღყშჩცძჭჯჰ"
)
CANVAS = 48  # pixels; the packer brings it to the working resolution


def make_glyphs(train_per_class: int, test_per_class: int, seed: int) -> Listing:
    """Lists images of `CHARACTERS`, each drawn only when it is read.

    An image shows its character in one of the twelve DejaVu faces that matplotlib ships, at a random size, place, tilt
    and slant, in two random colours of unlike brightness, with noise. Which random numbers it gets depends on seed,
    class, part and number alone, so asking for more images leaves the others as they were.

    Args:
        train_per_class: training images of each class, at least 1.
        test_per_class: test images of each class, at least 1.
        seed: random seed of all random numbers.
    """
    classes = tuple(f"{unicodedata.name(character).lower()} {character}" for character in CHARACTERS)
    train, test = (
        tuple(
            Entry(label, f"{part}/{label:03}/{number:05}") for label in range(len(classes)) for number in range(count)
        )
        for part, count in (("train", train_per_class), ("test", test_per_class))
    )
    return Listing(classes, train, test, partial(_draw, _Masks(), seed), "drawn: independent random numbers")


class _Masks:
    """Each character in each face, drawn once."""

    def __init__(self) -> None:
        import matplotlib  # late: where it keeps its state is known by then

        folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
        files = sorted(path for path in folder.glob("DejaVu*.ttf") if "Display" not in path.name)
        # The basic layout is in every Pillow, so the bytes do not depend on what else is installed.
        self.fonts = [
            ImageFont.truetype(str(path), 2 * CANVAS // 3, layout_engine=ImageFont.Layout.BASIC) for path in files
        ]
        self.get = cache(self._get)

    def _get(self, character: str, face: int) -> Image.Image:
        """Greys [CANVAS, CANVAS]: 255 where there is ink, the ink's box in the middle."""
        mask = Image.new("L", (CANVAS, CANVAS))
        left, top, right, bottom = self.fonts[face].getbbox(character)
        corner = ((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2)
        ImageDraw.Draw(mask).text(corner, character, fill=255, font=self.fonts[face])
        return mask


def _draw(masks: _Masks, seed: int, name: str) -> np.ndarray:
    """One image, uint8 [CANVAS, CANVAS, 3]; its name says which."""
    part, label, number = name.split("/")
    rng = np.random.default_rng((seed, part == "test", int(label), int(number)))
    mask = masks.get(CHARACTERS[int(label)], int(rng.integers(len(masks.fonts))))
    mask = mask.transform((CANVAS, CANVAS), Image.Transform.AFFINE, _affine(rng), Image.Resampling.BILINEAR)
    ink = np.asarray(mask, dtype=np.float32)[:, :, None] / 255
    dark, light = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
    front, back = (dark, light) if rng.random() < 0.5 else (light, dark)
    noise = rng.standard_normal((CANVAS, CANVAS, 3), dtype=np.float32) * rng.uniform(5, 40)
    return np.clip(back + (front - back) * ink + noise, 0, 255).astype(np.uint8)


def _affine(rng: np.random.Generator) -> tuple[float, ...]:
    """Coefficients from output to input pixels: size 0.8-1.25, tilt and slant to 15 degrees, shift to 5 pixels."""
    angle, slant = np.radians(rng.uniform(-15, 15, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, np.tan(slant)], [0, 1]]) / rng.uniform(0.8, 1.25)
    middle = np.full(2, CANVAS / 2)
    shift = middle - matrix @ (middle + rng.uniform(-5, 5, 2))
    # Sines differ in the last bit between processors; rounded, they do not.
    return tuple(np.round((*matrix[0], shift[0], *matrix[1], shift[1]), 6).tolist())
