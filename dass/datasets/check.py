"""What is in a packed dataset, and what is wrong with it."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dass.datasets.packed import PackedDataset, SkippedImage
from dass.files import atomic_write

_NAMES = 220  # pixels left of the images of a contact sheet
_LETTERS = 34


@dataclass(frozen=True)
class ClassCount:
    """Images of one class."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class Duplicate:
    """An image of the test part that is also in the train part, pixel for pixel.

    Attributes:
        train_index: its first place in the train part.
        test_index: index of the test image, from 0.
        train_class: class of that training image.
        test_class: its class here; where the two differ, one label is wrong.
    """

    train_index: int
    test_index: int
    train_class: str
    test_class: str


@dataclass(frozen=True)
class CheckReport:
    """Findings on one packed dataset.

    Attributes:
        name: name of the dataset.
        resolution: side of its images, in pixels.
        split_rule: rule that divided training and test images.
        counts: images of each class, in label order.
        duplicates: test images that are in the train part too.
        repeated_train: train images that repeat an earlier one of the train part.
        repeated_test: test images that repeat an earlier one of the test part.
        skipped: images that did not decode when the dataset was packed.
    """

    name: str
    resolution: int
    split_rule: str
    counts: tuple[ClassCount, ...]
    duplicates: tuple[Duplicate, ...]
    repeated_train: int
    repeated_test: int
    skipped: tuple[SkippedImage, ...]


def check(packed: PackedDataset) -> CheckReport:
    """Verifies every byte, counts, and looks for images that are there twice (exact equality at this resolution).

    Raises:
        DassError: a file is not what was packed.
    """
    packed.verify()
    classes = packed.card.classes
    train = _places(packed.train_images)
    test = _places(packed.test_images)
    duplicates = [
        Duplicate(
            train[digest][0],
            index,
            classes[packed.train_labels[train[digest][0]]],
            classes[packed.test_labels[index]],
        )
        for digest in train.keys() & test.keys()
        for index in test[digest]
    ]
    counts = zip(
        classes,
        np.bincount(packed.train_labels, minlength=len(classes)).tolist(),
        np.bincount(packed.test_labels, minlength=len(classes)).tolist(),
        strict=True,
    )
    return CheckReport(
        name=packed.card.name,
        resolution=packed.card.resolution,
        split_rule=packed.card.split_rule,
        counts=tuple(ClassCount(*count) for count in counts),
        duplicates=tuple(sorted(duplicates, key=lambda found: found.test_index)),
        repeated_train=len(packed.train_images) - len(train),
        repeated_test=len(packed.test_images) - len(test),
        skipped=packed.card.skipped,
    )


def contact_sheet(packed: PackedDataset, path: Path, max_classes: int = 40, per_class: int = 12) -> None:
    """Draws a PNG with a row of train images for each class, evenly picked; so are the classes where there are many.

    Raises:
        DassError: the picture cannot be written.
    """
    labels = _evenly(len(packed.card.classes), max_classes)
    side = max(packed.card.resolution, 32)
    sheet = Image.new("RGB", (_NAMES + per_class * (side + 2), len(labels) * (side + 2)), "white")
    draw = ImageDraw.Draw(sheet)
    font = _font()
    for row, label in enumerate(labels):
        name = packed.card.classes[label]
        draw.text((4, row * (side + 2) + side / 2), name[:_LETTERS], fill="black", font=font, anchor="lm")
        places = np.flatnonzero(packed.train_labels == label)
        for column, pick in enumerate(_evenly(len(places), per_class)):
            image = Image.fromarray(packed.train_images[places[pick]]).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(image, (_NAMES + column * (side + 2), row * (side + 2)))
    atomic_write(path, lambda temporary: sheet.save(temporary, "PNG"))


def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # late: where it keeps its state is known by then

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 11)


def _evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of 0..count-1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def _places(images: np.ndarray) -> dict[bytes, list[int]]:
    """Digest of an image -> its places, ascending."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        places[hashlib.blake2b(image, digest_size=16).digest()].append(index)
    return places
