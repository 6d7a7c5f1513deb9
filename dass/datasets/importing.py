"""From what the user has to a packed dataset: the one entry point of `dass data import` and of the flows."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from dass.datasets.archives.archive import Archive
from dass.datasets.archives.opening import open_archive
from dass.datasets.catalogue import KnownDataset, all_datasets, find_dataset
from dass.datasets.layouts.class_folder import NoClassFoldersError, read_class_folder
from dass.datasets.layouts.label_table import find_label_tables, read_label_tables
from dass.datasets.layouts.parts import find_parts
from dass.datasets.listing import Listing, count_endings
from dass.datasets.packed import PackedDataset
from dass.datasets.packing import BrokenImagesError, Progress, pack
from dass.errors import DassError, UsageError
from dass.files import write_text

_UNDERSTOOD = (
    "understood are train/CLASS/* and test/CLASS/*, CLASS/* alone, a table of labels beside the images, and the "
    "layouts of `dass data list` under their names"
)


@dataclass(frozen=True)
class ImportOptions:
    """What the user may say of the source.

    Attributes:
        skip_broken: leave out all images that do not decode, however many.
        inside: the folder of the source that is read; empty for all of it.
        labels: the table of the source, as seen from `inside`, that says the classes; empty to find out.
        names: encoding of file names that are not UTF-8; None to find out.
        broken_list: where the names of broken images are written if there are too many; None for a file in `into`.
    """

    skip_broken: bool = False
    inside: str = ""
    labels: str = ""
    names: str | None = None
    broken_list: Path | None = None


def import_dataset(
    name: str,
    path: Path | None,
    into: Path,
    resolution: int,
    progress: Progress | None = None,
    options: ImportOptions | None = None,
    *,
    folder: Path | None = None,
) -> PackedDataset:
    """Reads a dataset and stores it as `into/NAME-RESOLUTION`.

    A name of the catalogue is read in its publisher's layout, or as a class folder where the archive is one; any other
    name means images of the user's own, in class folders or with a table of labels.

    Args:
        name: name to give: lower-case letters, digits, `_` and `-`.
        path: folder, .zip or .tar; None for the datasets that need none.
        into: folder of the packed datasets.
        resolution: side of the stored squares in pixels, a multiple of 8 in 16..256.
        progress: called with (images done, images in all).
        options: None for the usual ones.
        folder: folder to store it in, in place of the usual one.

    Raises:
        UsageError: name, path, resolution or an option is not as described.
        DassError: the data cannot be read or stored.
    """
    options = options or ImportOptions()
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        raise UsageError(f"dataset name {name!r}: use lower-case letters, digits, _ and -, at most 60")
    if resolution % 8 or not 16 <= resolution <= 256:
        raise UsageError(f"resolution {resolution}: use a multiple of 8 between 16 and 256")
    dataset = find_dataset(name)
    folder = folder or into / f"{name}-{resolution}"
    if dataset is not None and dataset.make is not None:
        if path is not None:
            raise UsageError(f"{name} is made here and reads no file: leave out {path}, or choose another name for it")
        return pack(dataset.make(), folder, name, resolution, source=dataset.title, progress=progress)
    if path is None:
        wanted = dataset.give if dataset else "a folder, zip or tar with train/CLASS/* and test/CLASS/*"
        raise UsageError(f"{name} needs a path: {wanted}")
    with open_archive(path, into, options.names) as archive:
        listing = _list(dataset, _inside(archive, options.inside), options.labels)
        try:
            return pack(
                listing,
                folder,
                name,
                resolution,
                source=path.resolve().name,
                progress=progress,
                skip_broken=options.skip_broken,
            )
        except BrokenImagesError as error:
            broken_list = options.broken_list or into / f"{name}-{resolution}-broken.txt"
            write_text(broken_list, "".join(f"{image.name}\t{image.reason}\n" for image in error.skipped))
            raise DassError(
                f"{error}: all are named in {broken_list}; replace or remove them, or leave them out by "
                f"`dass data import {name} {path} --skip-broken`"
            ) from error


def _inside(archive: Archive, folder: str) -> Archive:
    folder = folder.strip("/")
    if folder and folder not in archive.folders:
        raise UsageError(f"--inside {folder}: {archive.label} has no such folder")
    return archive.below(folder)


def _list(dataset: KnownDataset | None, archive: Archive, labels: str) -> Listing:
    """Chooses the reader: a set known by name is often passed on as a plain class folder."""
    notes: tuple[str, ...] = ()
    if labels:
        if labels not in archive.names:
            raise UsageError(f"--labels {labels}: {archive.label} has no such file")
        listing = read_label_tables(archive, (labels,))
    elif dataset is not None and (dataset.is_published_as(archive) or not _has_test(archive)):
        listing = dataset.read(archive)
        if not listing.passed_over:
            listing = replace(listing, passed_over=_not_listed(listing, archive))
    else:
        notes = _resembling(archive)
        try:
            listing = _list_any(archive)
        except DassError as error:
            raise DassError("; ".join((str(error), *notes))) from error
    special = {f"({what})": count for what, count in archive.special.items()}
    return replace(
        listing,
        passed_over={**listing.passed_over, **special},
        notes=(*archive.notes, *notes, *listing.notes),
    )


def _not_listed(listing: Listing, archive: Archive) -> dict[str, int]:
    """Counts the files that no entry names; a publisher's reader may name its images from a folder inside."""
    used = {entry.name for entry in (*listing.train, *listing.test)}

    def is_used(name: str) -> bool:
        parts = name.split("/")
        return any("/".join(parts[start:]) in used for start in range(len(parts)))

    left = [name for name in archive.names if not is_used(name)]
    return count_endings(left) if len(left) < len(archive.names) else {}  # entries may be parts of files


def _has_test(archive: Archive) -> bool:
    parts = find_parts({name.rsplit("/", 1)[-1] for name in archive.folders})
    return not {"test", "eval"}.isdisjoint(parts.values())


def _resembling(archive: Archive) -> tuple[str, ...]:
    """A sentence on the catalogue's dataset whose layout the archive has."""
    return tuple(
        f"this looks like {dataset.title} as published, whose own classes and parts are read under the name "
        f"{dataset.name}"
        for dataset in all_datasets()
        if dataset.is_published_as(archive) and dataset.has_telling_markers
    )


def _list_any(archive: Archive) -> Listing:
    """Images of any origin: with Hugging Face's table of labels, in class folders, or with another table."""
    if published := find_label_tables(archive, hugging_face=True):
        return read_label_tables(archive, published)
    tables = find_label_tables(archive)
    try:
        listing = read_class_folder(archive, look=True)
        notes = (f"{table} has classes too; --labels {table} takes them, not the folders" for table in tables)
        return replace(listing, notes=(*listing.notes, *notes))
    except NoClassFoldersError as error:
        if tables:
            return read_label_tables(archive, tables)
        raise DassError(f"{error}; {_UNDERSTOOD}") from error
