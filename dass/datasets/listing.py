"""What every reader of a publisher's layout gives: classes, and which image belongs to which."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from dass.errors import DassError

HASH_RULE = (
    "no official split: in each class the fifth of the images whose SHA-256 of the name is lowest is the test part"
)
IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".qoi",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Entry:
    """One image.

    Attributes:
        label: index of its class, from 0.
        name: what `Listing.read` takes; unique within a listing.
    """

    label: int
    name: str


@dataclass(frozen=True)
class Listing:
    """All images of a dataset before any is read.

    Attributes:
        classes: class names, in label order.
        train: images to train on.
        test: images to test on.
        read: an image file's bytes, or its pixels uint8 [h, w] or [h, w, 3].
        split_rule: how train and test were told apart, and which folders were taken for them.
        passed_over: files that are not used, by their ending in lower case, and how many of each.
        notes: notes for the user on how the data were read, a sentence each.
    """

    classes: tuple[str, ...]
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    read: Callable[[str], bytes | np.ndarray]
    split_rule: str
    passed_over: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def check(self, label: str) -> None:
        """Refuses what no one could train on.

        Args:
            label: name of the source in messages.

        Raises:
            DassError: fewer than two classes, two with one name, or a class without train or test images.
        """
        if len(self.classes) < 2:
            classes = f"the class {self.classes[0]!r} only" if self.classes else "no classes"
            raise DassError(f"{label} has {classes}: a dataset needs two or more, each a folder of images")
        if len(set(self.classes)) < len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise DassError(f"{label} has two classes named {twice!r}: rename one")
        for part, entries in (("train", self.train), ("test", self.test)):
            empty = sorted(set(range(len(self.classes))) - {entry.label for entry in entries})
            if empty:
                more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
                raise DassError(
                    f"{label}: class {self.classes[empty[0]]!r}{more} has no {part} images: add some or remove it"
                )


def is_image(name: str) -> bool:
    """Whether a file's ending is that of an image."""
    return name.lower().endswith(IMAGE_ENDINGS)


def count_endings(names: Iterable[str]) -> dict[str, int]:
    """How many files there are of each ending (lower case, with its dot; "no ending" where there is none), sorted."""
    endings = (PurePosixPath(name).suffix.lower() or "no ending" for name in names)
    return dict(sorted(Counter(endings).items()))


def hash_split(
    entries: Iterable[Entry], group: Callable[[str], str] = lambda name: name
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Cuts images into train and test by `HASH_RULE`, the same on every machine and in any order.

    Args:
        entries: file and label of each image.
        group: images with an equal group (a patient, a leaf) stay on one side; by default each stands alone.

    Returns:
        Train and test; a class with a single group has no test images. Groups are taken as long as no more than a fifth
        of the class's images is in the test part; one that is too large is passed over, unless that comes closest.
    """
    by_class: dict[int, dict[str, list[Entry]]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, {}).setdefault(group(entry.name), []).append(entry)
    train: list[Entry] = []
    test: list[Entry] = []
    for groups in by_class.values():
        order = sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest())
        chosen = _for_test([len(groups[name]) for name in order])
        for index, name in enumerate(order):
            (test if index in chosen else train).extend(groups[name])
    return tuple(sorted(train)), tuple(sorted(test))


def _for_test(sizes: Sequence[int]) -> set[int]:
    """Places of the groups that become the test part: together as near to a fifth of the images as the order allows."""
    if len(sizes) < 2:
        return set()
    wanted, count, chosen = max(1, round(sum(sizes) / 5)), 0, set[int]()
    for index, size in enumerate(sizes):
        if count + size <= wanted:
            chosen.add(index)
            count += size
    left = [index for index in range(len(sizes)) if index not in chosen]
    nearest = min(left, key=lambda index: (abs(count + sizes[index] - wanted), index)) if len(left) > 1 else None
    if nearest is not None and (not chosen or abs(count + sizes[nearest] - wanted) < wanted - count):
        chosen.add(nearest)
    return chosen


def uneven_classes(train: Iterable[Entry], test: Iterable[Entry], off: float = 0.05) -> dict[int, float]:
    """Classes whose test part is further from a fifth of their images than a share and one image, with its share."""
    inside = Counter(entry.label for entry in test)
    whole = Counter(entry.label for entry in train) + inside
    return {
        label: inside[label] / count
        for label, count in sorted(whole.items())
        if abs(inside[label] - count / 5) > max(1.0, off * count)
    }
