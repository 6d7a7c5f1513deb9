"""Images of a class that look alike, which a split keeps on one side: copies, frames of a film, mirror images."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dass.datasets.decoding import UndecodableError, decode
from dass.datasets.listing import Entry

SIDE = 16  # pixels in which images are compared
ALIKE = 0.985  # correlation of two that look alike
COPIES = 0.999  # and of copies: the rule where a class is so uniform that most of it would look alike
FLAT = 2.0  # standard deviation, in levels of 0..255, up to which an image shows nothing: only equal ones are alike
NEAR_RULE = (
    f"near-duplicates of a class stay on one side: images whose {SIDE}x{SIDE} pixels, mirrored or not, correlate by "
    f"{ALIKE} or more ({COPIES} in a class of which more than half would be one group)"
)
_CHUNK = 1024  # rows that are compared with all others at once

Read = Callable[[str], bytes | np.ndarray]


def near_duplicates(entries: Iterable[Entry], read: Read) -> dict[str, str]:
    """Puts images of a class that look alike into groups.

    Args:
        entries: all images.
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
            known = list(seen)
            groups |= {
                name: known[first] for name, first in zip(known, _groups(np.stack(list(seen.values()))), strict=True)
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
    flat = looks.std(axis=(1, 2, 3)) <= FLAT
    for threshold in (ALIKE, COPIES):
        labels = _components(looks, flat, threshold)
        sizes = np.bincount(labels)
        if len(sizes) > 1 and 2 * sizes.max() <= len(labels):
            break
    else:
        if len(sizes) == 1:  # all are copies: there would be nothing to test on
            return range(len(looks))
    first = {label: place for place, label in reversed(list(enumerate(labels.tolist())))}
    return [first[label] for label in labels.tolist()]


def _components(looks: NDArray[np.float32], flat: NDArray[np.bool_], threshold: float) -> NDArray[np.int32]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    vectors, mirrored = _unit(looks), _unit(looks[:, :, ::-1])
    vectors[flat], mirrored[flat] = 0, 0
    rows, columns = [], []
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK]
        row, column = np.nonzero(np.maximum(part @ vectors.T, part @ mirrored.T) >= threshold)
        rows.append(row + start)
        columns.append(column)
    same: dict[bytes, int] = {}
    for place in np.flatnonzero(flat).tolist():
        rows.append(np.array([place]))
        columns.append(np.array([same.setdefault(looks[place].tobytes(), place)]))
    pair = (np.concatenate(rows), np.concatenate(columns))
    graph = csr_array((np.ones(len(pair[0]), dtype=np.int8), pair), shape=(len(looks), len(looks)))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def _unit(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of mean 0 and length 1, [n, pixels]."""
    vectors = looks.reshape(len(looks), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-6)
    return unit
