"""From what the user has to a packed dataset: the one entry point of `dass data import` and of the flows."""

import re
from pathlib import Path

from dass.datasets.archive import Archive, open_archive
from dass.datasets.catalogue import KnownDataset, find_dataset
from dass.datasets.layouts.class_folder import read_class_folder
from dass.datasets.listing import Listing
from dass.datasets.packed import PackedDataset
from dass.datasets.packing import Progress, pack
from dass.errors import UsageError


def import_dataset(
    name: str, path: Path | None, into: Path, resolution: int, progress: Progress | None = None
) -> PackedDataset:
    """Reads a dataset and stores it as `into/NAME-RESOLUTION`.

    A name of the catalogue is read in its publisher's layout, or as a class folder where the archive is one; any other
    name means a class folder of the user's own.

    Args:
        name: lower-case letters, digits, `_` and `-`.
        path: folder, .zip or .tar; None for the datasets that need none.
        into: folder of packed datasets.
        resolution: side of the stored squares in pixels, a multiple of 8 in 16..256.
        progress: called with (images done, images in all).

    Raises:
        UsageError: name, path or resolution is not as described.
        DassError: the data cannot be read or stored.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        raise UsageError(f"dataset name {name!r}: use lower-case letters, digits, _ and -, at most 60")
    if resolution % 8 or not 16 <= resolution <= 256:
        raise UsageError(f"resolution {resolution}: use a multiple of 8 between 16 and 256")
    known = find_dataset(name)
    folder = into / f"{name}-{resolution}"
    if known is not None and known.make is not None:
        if path is not None:
            raise UsageError(f"{name} is made here and reads no file: leave out {path}, or choose another name for it")
        return pack(known.make(), folder, name, resolution, source=known.title, progress=progress)
    if path is None:
        wanted = known.give if known else "a folder, zip or tar with train/CLASS/* and test/CLASS/*"
        raise UsageError(f"{name} needs a path: {wanted}")
    with open_archive(path, scratch=into) as archive:
        return pack(_list(known, archive), folder, name, resolution, source=path.resolve().name, progress=progress)


def _list(known: KnownDataset | None, archive: Archive) -> Listing:
    """Chooses the reader: a set known by name is often passed on as a plain class folder."""
    if known is None:
        return read_class_folder(archive)
    as_published = any(name.endswith(known.marker) for name in archive.names + archive.folders)
    return known.read(archive) if as_published or not archive.has("test") else read_class_folder(archive)
