"""Any listing of images -> a packed dataset on disk, whole or not at all."""

import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from PIL import Image

from dass.datasets.decoding import RESIZE_RULE, UndecodableError, decode
from dass.datasets.listing import Entry, Listing
from dass.datasets.packed import CARD, DatasetCard, FileHashes, PackedDataset, SkippedImage, open_packed
from dass.errors import DassError
from dass.files import atomic_write, file_sha256
from dass.sealed import write_sealed

Progress = Callable[[int, int], None]
_BATCH = 16  # images decoded as one unit of work: small, since three such batches of photographs are in memory at once
_THREADS = 2  # PIL lets go of the interpreter lock while it decodes and resizes
_MAX_SKIPPED = 0.01


def pack(
    listing: Listing, folder: Path, name: str, resolution: int, *, source: str, progress: Progress | None = None
) -> PackedDataset:
    """Reads, resizes and stores every image of a listing.

    Images are ordered by class and name, so the same source gives the same bytes everywhere. All is written into a
    hidden sibling of `folder` that takes its place at the end; a packed dataset that stood there is replaced only
    then. An image that does not decode is left out and named in the card.

    Args:
        listing: the images.
        folder: the packed dataset to make.
        name: the dataset's name.
        resolution: side of the stored squares, in pixels.
        source: the imported file's or folder's name, for messages and the card.
        progress: called with (images done, images in all).

    Raises:
        DassError: a class has no image, or none that decodes; more than 1% of all images do not decode; the disk is
            full; `folder` holds something else; another process is packing into it.
    """
    listing.check(source)
    if folder.exists() and not (folder / CARD).is_file():
        raise DassError(f"{folder} exists and is not a packed dataset: move it away or import under another name")
    with _sibling(folder) as unfinished:
        labels, skipped = _write_parts(unfinished, listing, resolution, source, progress)
        for part, kept in labels.items():
            empty = set(range(len(listing.classes))) - set(kept)
            if empty:
                raise DassError(
                    f"{source}: no {part} image of class {listing.classes[min(empty)]!r} decodes: "
                    "replace them or remove the class"
                )
        card = DatasetCard(
            name=name,
            classes=listing.classes,
            resolution=resolution,
            source=source,
            resize_rule=RESIZE_RULE,
            split_rule=listing.split_rule,
            train_count=len(labels["train"]),
            test_count=len(labels["test"]),
            skipped=tuple(skipped),
            sha256=FileHashes(
                **{field.name: file_sha256(unfinished / f"{field.name}.npy") for field in fields(FileHashes)}
            ),
        )
        write_sealed(unfinished / CARD, card.to_json())
    return open_packed(folder)


def _write_parts(
    folder: Path, listing: Listing, resolution: int, source: str, progress: Progress | None
) -> tuple[dict[str, list[int]], list[SkippedImage]]:
    """Writes the four array files; gives the labels of each part and what was left out."""
    total = len(listing.train) + len(listing.test)
    needed, free = total * resolution**2 * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise DassError(
            f"{source} needs {needed / 1e6:,.0f} MB in {folder.parent} where {free / 1e6:,.0f} MB are free: free space"
        )
    labels: dict[str, list[int]] = {"train": [], "test": []}
    skipped: list[SkippedImage] = []
    done = 0
    parts: tuple[tuple[Literal["train", "test"], tuple[Entry, ...]], ...] = (
        ("train", listing.train),
        ("test", listing.test),
    )
    for part, entries in parts:
        with _ImageFile(folder / f"{part}_images.npy", resolution, len(entries)) as file:
            for entry, image in _decoded(listing, sorted(entries), resolution):
                if isinstance(image, UndecodableError):
                    skipped.append(SkippedImage(part, entry.name, str(image)))
                    _refuse_many(skipped, total, source)
                else:
                    file.append(image)
                    labels[part].append(entry.label)
                done += 1
                if progress and (done % _BATCH == 0 or done == total):
                    progress(done, total)
        _write_labels(folder / f"{part}_labels.npy", labels[part])
    return labels, skipped


def _refuse_many(skipped: list[SkippedImage], total: int, source: str) -> None:
    if len(skipped) > _MAX_SKIPPED * total:
        first = skipped[0]
        raise DassError(
            f"{source}: {len(skipped)} image(s) of {total} do not decode, the first is {first.name} ({first.reason}); "
            "up to 1% would be skipped: replace or remove them"
        )


def _decoded(
    listing: Listing, entries: list[Entry], resolution: int
) -> Iterator[tuple[Entry, np.ndarray | UndecodableError]]:
    """Every entry with its image, in order; reads here, decodes in threads, keeps few images in memory."""

    def work(
        batch: list[Entry], sources: list[bytes | np.ndarray]
    ) -> list[tuple[Entry, np.ndarray | UndecodableError]]:
        return [(entry, _decode(source, resolution)) for entry, source in zip(batch, sources, strict=True)]

    Image.init()  # registers the formats; Pillow would do it at first need, in two threads at once
    pending: deque[Future[list[tuple[Entry, np.ndarray | UndecodableError]]]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        # An image of over 89 million pixels is a mistake or a bomb: undecodable.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(entries), _BATCH):
            batch = entries[start : start + _BATCH]
            pending.append(pool.submit(work, batch, [listing.read(entry.name) for entry in batch]))
            if len(pending) > _THREADS:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _decode(source: bytes | np.ndarray, resolution: int) -> np.ndarray | UndecodableError:
    try:
        return decode(source, resolution)
    except UndecodableError as error:
        return error


class _ImageFile:
    """An `.npy` file of uint8 [n, h, w, 3] written front to back; n may turn out lower than planned.

    Plain writes, not a memory map: on a full disk they raise, where a map would kill the process.
    """

    def __init__(self, path: Path, resolution: int, planned: int) -> None:
        self._file = path.open("wb")
        self._resolution = resolution
        self._count = 0
        self._write_header(planned)

    def __enter__(self) -> "_ImageFile":
        return self

    def append(self, image: np.ndarray) -> None:
        self._file.write(image.tobytes())
        self._count += 1

    def __exit__(self, *exception: object) -> None:
        with self._file:
            # numpy pads the header so that another count fits into the same bytes.
            self._file.seek(0)
            self._write_header(self._count)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _write_header(self, count: int) -> None:
        shape = (count, self._resolution, self._resolution, 3)
        npy.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _write_labels(path: Path, labels: list[int]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, np.array(labels, dtype=np.int64))

    atomic_write(path, write)


@contextmanager
def _sibling(folder: Path) -> Iterator[Path]:
    """An empty hidden folder beside `folder` that takes its place when the block ends well, and else vanishes."""
    unfinished, old = (folder.parent / f".{folder.name}.{kind}.tmp" for kind in ("unfinished", "old"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock.tmp", timeout=0):
            shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
            unfinished.mkdir()
            try:
                yield unfinished
                shutil.rmtree(old, ignore_errors=True)
                if folder.exists():
                    folder.rename(old)
                unfinished.rename(folder)
                shutil.rmtree(old, ignore_errors=True)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except Timeout as error:
        raise DassError(f"{folder} is being written by another process: wait for it to end") from error
    except OSError as error:
        raise DassError(
            f"cannot write {folder}: {error.strerror or error}; nothing was changed: free space or fix permissions, "
            "then run the same command again"
        ) from error
