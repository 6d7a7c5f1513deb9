"""Any listing of images -> a packed dataset on disk, whole or not at all."""

import math
import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from PIL import Image

from dass.datasets.decoding import DEEP_RULE, RESIZE_RULE, Decoded, UndecodableError, decode
from dass.datasets.leftovers import remove_unfinished
from dass.datasets.listing import Entry, Listing
from dass.datasets.packed import CARD, DatasetCard, FileHashes, PackedDataset, SkippedImage, old_place, open_packed
from dass.errors import DassError
from dass.files import atomic_write, file_sha256
from dass.sealed import write_sealed

Progress = Callable[[int, int], None]
_Batch = list[tuple[Entry, bytes | np.ndarray]]
_BATCH = 16  # images decoded as one unit of work: small, since three such batches of photographs are in memory at once
_THREADS = 2  # PIL lets go of the interpreter lock while it decodes and resizes
_BATCH_BYTES = 32 * 2**20  # or fewer, where the files are large
_MAX_SKIPPED = 0.01


class BrokenImagesError(DassError):
    """Too many images do not decode.

    Attributes:
        skipped: all images that do not decode.
    """

    def __init__(self, message: str, skipped: tuple[SkippedImage, ...]) -> None:
        super().__init__(message)
        self.skipped = skipped


def pack(
    listing: Listing,
    folder: Path,
    name: str,
    resolution: int,
    *,
    source: str,
    progress: Progress | None = None,
    skip_broken: bool = False,
) -> PackedDataset:
    """Reads, resizes and stores every image of a listing.

    Images are ordered by class and name, so the same source gives the same bytes everywhere. All is written into a
    hidden sibling of `folder` that takes its place at the end; a packed dataset that stood there is replaced only
    then. An image that does not decode is left out and named in the card.

    Args:
        listing: list of the images.
        folder: the packed dataset to make.
        name: name of the dataset.
        resolution: side of the stored squares, in pixels.
        source: the imported file's or folder's name, for messages and the card.
        progress: called with (images done, images in all).
        skip_broken: leave out all images that do not decode; else one in a hundred, and one of fewer than a hundred.

    Raises:
        BrokenImagesError: more images than that do not decode.
        DassError: a class has no image, or none that decodes; the disk is full; `folder` holds something else; another
            process is packing into it.
    """
    listing.check(source)
    if folder.exists() and not (folder / CARD).is_file():
        raise DassError(f"{folder} exists and is not a packed dataset: move it away or import under another name")
    with _sibling(folder) as unfinished:
        written = _write_parts(unfinished, listing, resolution, source, progress)
        if written.deep_bits not in (0, 16):  # which the brightest of all images says
            written = _write_parts(unfinished, listing, resolution, source, progress, written.deep_bits)
        labels, skipped = written.labels, written.skipped
        total = len(listing.train) + len(listing.test)
        if not skip_broken and len(skipped) > math.ceil(_MAX_SKIPPED * total):
            raise BrokenImagesError(
                f"{source}: {len(skipped)} image(s) of {total:,} do not decode, the first is {skipped[0].name} "
                f"({skipped[0].reason}); one in a hundred would be left out",
                skipped,
            )
        notes = (*listing.notes, *([DEEP_RULE.format(bits=written.deep_bits)] if written.deep_bits else []))
        for part, labels_of_part in labels.items():
            empty = set(range(len(listing.classes))) - set(labels_of_part)
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
            skipped=skipped,
            passed_over=listing.passed_over,
            notes=notes,
            sha256=FileHashes(
                **{field.name: file_sha256(unfinished / f"{field.name}.npy") for field in fields(FileHashes)}
            ),
        )
        write_sealed(unfinished / CARD, card.to_json())
    return open_packed(folder)


@dataclass(frozen=True)
class _Written:
    """What the array files hold: labels of each part, what was left out, and the bits of the brightest 16-bit file."""

    labels: dict[str, list[int]]
    skipped: tuple[SkippedImage, ...]
    deep_bits: int


def _write_parts(
    folder: Path, listing: Listing, resolution: int, source: str, progress: Progress | None, deep_bits: int = 16
) -> _Written:
    """Writes the four array files, with the values of 16-bit files taken to have `deep_bits`."""
    total = len(listing.train) + len(listing.test)
    needed, free = total * resolution**2 * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise DassError(
            f"{source} needs {needed / 1e6:,.0f} MB in {folder.parent} where {free / 1e6:,.0f} MB are free: free space"
        )
    labels: dict[str, list[int]] = {"train": [], "test": []}
    skipped: list[SkippedImage] = []
    found_bits = done = 0
    parts: tuple[tuple[Literal["train", "test"], tuple[Entry, ...]], ...] = (
        ("train", listing.train),
        ("test", listing.test),
    )
    for part, entries in parts:
        with _ImageFile(folder / f"{part}_images.npy", resolution, len(entries)) as file:
            for entry, image in _decoded(listing, sorted(entries), resolution, deep_bits):
                if isinstance(image, UndecodableError):
                    skipped.append(SkippedImage(part, entry.name, str(image)))
                else:
                    file.append(image.pixels)
                    found_bits = max(found_bits, image.deep_bits)
                    labels[part].append(entry.label)
                done += 1
                if progress and (done % _BATCH == 0 or done == total):
                    progress(done, total)
        _write_labels(folder / f"{part}_labels.npy", labels[part])
    return _Written(labels, tuple(skipped), found_bits)


def _decoded(
    listing: Listing, entries: list[Entry], resolution: int, deep_bits: int
) -> Iterator[tuple[Entry, Decoded | UndecodableError]]:
    """Every entry with its image, in order; reads here, decodes in threads, keeps few images in memory."""

    def work(batch: _Batch) -> list[tuple[Entry, Decoded | UndecodableError]]:
        return [(entry, _decode(source, resolution, deep_bits)) for entry, source in batch]

    Image.init()  # registers the formats; Pillow would do it at first need, in two threads at once
    pending: deque[Future[list[tuple[Entry, Decoded | UndecodableError]]]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        # Pillow warns of images of 89 million pixels, which panoramas have, and refuses those of twice as many.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for batch in _batches(listing, entries):
            pending.append(pool.submit(work, batch))
            large = sum(len(source) for _, source in batch) > _BATCH_BYTES  # then no other is read meanwhile
            while pending and (large or len(pending) > _THREADS):
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _batches(listing: Listing, entries: list[Entry]) -> Iterator[_Batch]:
    """Reads the files, and gives as many at once as are a good unit of work and of memory."""
    batch: _Batch = []
    size = 0
    for entry in entries:
        source = listing.read(entry.name)
        batch.append((entry, source))
        size += len(source)
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _decode(source: bytes | np.ndarray, resolution: int, deep_bits: int) -> Decoded | UndecodableError:
    try:
        return decode(source, resolution, deep_bits)
    except UndecodableError as error:
        return UndecodableError(str(error))  # a new one: the frames of the other hold the whole file


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
    unfinished, old = folder.parent / f".{folder.name}.unfinished.tmp", old_place(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock.tmp", timeout=0):
            # Left by processes that were killed, this one between the two renames below.
            if not folder.exists() and (old / CARD).is_file():
                old.rename(folder)
            shutil.rmtree(unfinished, ignore_errors=True)
            remove_unfinished(folder.parent, but=folder.name)
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
