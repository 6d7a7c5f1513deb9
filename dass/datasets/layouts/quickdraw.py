"""Reader of Quick, Draw! as numpy bitmaps."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.lib import format as npy

from dass.datasets.archives.archive import Archive
from dass.datasets.listing import HASH_RULE, Entry, Listing, hash_split
from dass.errors import DassError

TRAINING = 20  # drawings a class that the paper's released code trains on: 6,900 in all
PER_CLASS = 1000  # of about 146,000 drawings: all 345 classes are 1.1 GB at 32 pixels
_SIDE = 28


def read_quickdraw(archive: Archive) -> Listing:
    """As `read_quickdraw_full`, but of each class only the first `TRAINING` drawings of its train part."""
    whole = read_quickdraw_full(archive)
    seen: Counter[int] = Counter()
    entries = []
    for entry in whole.train:
        seen[entry.label] += 1
        if seen[entry.label] <= TRAINING:
            entries.append(entry)
    rule = f"{whole.split_rule}; of the others the first {TRAINING} train"
    return replace(whole, train=tuple(entries), split_rule=rule)


def read_quickdraw_full(archive: Archive) -> Listing:
    """Reads `CLASS.npy`, each uint8 [n, 784]: white lines on black, 28x28, the first `PER_CLASS` of each class.

    There is no official split; `HASH_RULE` applies. The names that the storage console gives
    (`full_numpy_bitmap_CLASS.npy`) are understood too.

    Raises:
        DassError: there are no such files, or one is something else.
    """
    files = {
        name.rsplit("/", 1)[-1].removesuffix(".npy").removeprefix("full_numpy_bitmap_"): name
        for name in archive.names
        if name.endswith(".npy")
    }
    classes = tuple(sorted(files))
    counts = [_rows(archive, files[name])[1] for name in classes]
    entries = [
        Entry(label, f"{name}#{number:04}")
        for label, (name, count) in enumerate(zip(classes, counts, strict=True))
        for number in range(min(count, PER_CLASS))
    ]
    rule = f"the first {PER_CLASS} drawings of each class; {HASH_RULE}"
    listing = Listing(classes, *hash_split(entries), _drawing_reader(archive, files), rule)
    listing.check(archive.label)
    return listing


def _drawing_reader(archive: Archive, files: dict[str, str]) -> Callable[[str], np.ndarray]:
    @lru_cache(maxsize=1)  # drawings are asked for class by class
    def drawings(name: str) -> np.ndarray:
        start, count = _rows(archive, files[name])
        wanted = min(count, PER_CLASS) * _SIDE**2
        data = archive.read(files[name], start + wanted)
        if len(data) < start + wanted:
            raise DassError(f"{archive.label}: {files[name]} is cut short: fetch it anew")
        return np.frombuffer(data, np.uint8, wanted, start).reshape(-1, _SIDE, _SIDE)

    def read(name: str) -> np.ndarray:
        of_class, number = name.rsplit("#", 1)
        return drawings(of_class)[int(number)]

    return read


def _rows(archive: Archive, name: str) -> tuple[int, int]:
    """Where the drawings start in the file, in bytes, and how many there are."""
    head = io.BytesIO(archive.read(name, 4096))
    try:
        if npy.read_magic(head) != (1, 0):
            raise ValueError("not version 1.0 of the format")
        shape, by_column, kind = npy.read_array_header_1_0(head)
    except ValueError as error:
        raise DassError(f"{archive.label}: {name} is not a numpy file ({error}): fetch it anew") from error
    if len(shape) != 2 or shape[1] != _SIDE**2 or kind != np.uint8 or by_column:
        raise DassError(f"{archive.label}: {name} holds {kind} {list(shape)}, not uint8 bitmaps [n, {_SIDE**2}]")
    return head.tell(), shape[0]
