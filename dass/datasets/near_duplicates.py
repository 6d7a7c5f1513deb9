"""Images of a class that look alike, which a split keeps on one side: copies, frames of a film, mirror images."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dass.datasets.decoding import UndecodableError, decode
from dass.datasets.listing import HASH_RULE, Entry, hash_split, uneven_classes

SIDE = 16  # pixels in which images are compared
ALIKE = 0.985  # correlation of two that look alike
COPIES = 0.999  # and of copies: the rule where a class is so uniform that most of it would look alike
FLAT = 2.0  # standard deviation, in levels of 0..255, up to which an image shows nothing: only equal ones are alike
NEAR_RULE = (
    f"near-duplicates of a class stay on one side: images whose {SIDE}x{SIDE} pixels, each colour less its mean, "
    f"mirrored or not, correlate by {ALIKE} or more ({COPIES} in a class of which more than half would be one group)"
)
_CHUNK, _TILE = 1024, 4096  # images of two groups that are compared at once: memory does not grow with a class
_WINDOW = 20_000  # images at most with which each is compared: those that are nearest to it by one number

Read = Callable[[str], bytes | np.ndarray]


def split_apart(
    entries: Sequence[Entry], classes: Sequence[str], read: Read
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], str, list[str]]:
    """Cuts images into train and test by `HASH_RULE` with near-duplicates on one side.

    Args:
        entries: file and label of each image.
        classes: class names, in label order.
        read: an image file's bytes, or its pixels.

    Returns:
        Train, test, the rule, and what people should know, a line each. Without near-duplicates train and test are
        those of `hash_split`.
    """
    groups = near_duplicates(entries, read)
    train, test = hash_split(entries, groups.__getitem__)
    alike = len(groups) - len(set(groups.values()))
    notes = [f"{alike:,} image(s) look like another one of their class: such stay on one side"] if alike else []
    if uneven := uneven_classes(train, test):
        worst, share = max(uneven.items(), key=lambda item: abs(item[1] - 0.2))
        notes.append(
            f"in {len(uneven)} class(es) images that look alike cannot be divided, so that the test part is no fifth: "
            f"{share:.0%} of class {classes[worst]!r}"
        )
    return train, test, f"{HASH_RULE}; {NEAR_RULE}", notes


def near_duplicates(entries: Iterable[Entry], read: Read) -> dict[str, str]:
    """Puts images of a class that look alike into groups.

    Args:
        entries: file and label of each image.
        read: an image file's bytes, or its pixels.

    Returns:
        For each image the name of its group, which is that of its first member; an image that does not decode, or looks
        like no other, is a group of its own.
    """
    by_class: dict[int, list[str]] = {}
    for entry in sorted(entries):
        by_class.setdefault(entry.label, []).append(entry.name)
    groups: dict[str, str] = {}
    for names in by_class.values():
        seen = {name: look for name in names if (look := _look(name, read)) is not None}
        groups |= {name: name for name in names}
        if len(seen) > 1:
            names_read = list(seen)
            groups |= {
                name: names_read[first]
                for name, first in zip(names_read, _groups(np.stack(list(seen.values()))), strict=True)
            }
    return groups


def _look(name: str, read: Read) -> NDArray[np.float32] | None:
    """Pixels [SIDE, SIDE, 3]; None of what does not decode, which packing tells of."""
    try:
        return decode(read(name), SIDE).pixels.astype(np.float32)
    except UndecodableError:
        return None


def _groups(looks: NDArray[np.float32]) -> Sequence[int]:
    """For each image the place of its group's first member."""
    flat = looks.std(axis=(1, 2)).max(axis=1) <= FLAT
    for threshold in (ALIKE, COPIES):
        labels = _components(looks, flat, threshold)
        sizes = np.bincount(labels)
        if len(sizes) > 1 and 2 * sizes.max() <= len(labels):
            break
    else:
        if len(sizes) == 1:  # all are copies: there would be nothing to test on
            return range(len(looks))
    first = {label: index for index, label in reversed(list(enumerate(labels.tolist())))}
    return [first[label] for label in labels.tolist()]


def _components(looks: NDArray[np.float32], flat: NDArray[np.bool_], threshold: float) -> NDArray[np.int32]:
    vectors, mirrored = _unit(looks), _unit(looks[:, :, ::-1])
    vectors[flat], mirrored[flat] = 0, 0
    places, reach = _along((vectors + mirrored) * np.float32(0.5)), float(np.sqrt(2 - 2 * threshold))
    order = np.argsort(places, kind="stable")
    labels = np.arange(len(looks), dtype=np.int32)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        end = int(np.searchsorted(places[order], places[rows[-1]] + reach, side="right"))
        for first in range(start, min(end, start + _CHUNK + _WINDOW), _TILE):
            columns = order[first : min(first + _TILE, end)]
            part = vectors[rows]
            row, column = np.nonzero(np.maximum(part @ vectors[columns].T, part @ mirrored[columns].T) >= threshold)
            labels = _joined(labels, rows[row], columns[column])
    same: dict[bytes, int] = {}
    nonzero = np.flatnonzero(flat)
    equal = [same.setdefault(looks[one].tobytes(), one) for one in nonzero.tolist()]
    return _joined(labels, nonzero, np.array(equal, dtype=np.intp))


def _along(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """A number for each vector, along the direction in which they differ most: no two are nearer than their numbers.

    The vectors are the same for an image and its mirror image.
    """
    spread = (vectors - vectors.mean(axis=0)).T @ (vectors - vectors.mean(axis=0))
    direction: NDArray[np.float32] = np.linalg.eigh(spread)[1][:, -1].astype(np.float32)
    numbers: NDArray[np.float32] = vectors @ direction
    return numbers


def _joined(labels: NDArray[np.int32], one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.int32]:
    """Labels of groups after pairs of images have been found to be alike."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ends = np.stack([labels[one], labels[other]])
    ends = ends[:, ends[0] != ends[1]]
    if not ends.size:
        return labels
    graph = csr_array((np.ones(ends.shape[1], dtype=np.int8), tuple(ends)), shape=(len(labels), len(labels)))
    merged: NDArray[np.int32] = connected_components(graph, directed=False)[1].astype(np.int32)
    return merged[labels]


def _unit(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of length 1 [n, pixels], each colour of mean 0, so that a cast of colour is no likeness."""
    vectors = (looks - looks.mean(axis=(1, 2), keepdims=True)).reshape(len(looks), -1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-6)
    return unit
