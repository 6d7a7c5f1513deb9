"""What the readers share: tables, MATLAB files and images found by their bare names."""

import csv
import io
from typing import Any

from dass.datasets.archives.archive import Archive
from dass.datasets.listing import is_image
from dass.errors import DassError


def read_rows(archive: Archive, name: str, separator: str | None = None) -> list[list[str]]:
    """The non-empty lines of a text file, each cut at `separator` (at blanks by default).

    Raises:
        DassError: the file is missing or not text.
    """
    return [line.split(separator) for line in archive.text(name).splitlines() if line.strip()]


def read_pairs(archive: Archive, name: str) -> list[tuple[str, str]]:
    """The lines of a text file of two columns.

    Raises:
        DassError: the file is missing, not text, or a line has not two columns.
    """
    pairs = []
    for row in read_rows(archive, name):
        if len(row) != 2:
            raise DassError(
                f"{archive.label}: {name} has a line {' '.join(row)!r} of {len(row)} columns, not 2: fetch it anew"
            )
        pairs.append((row[0], row[1]))
    return pairs


def read_table(archive: Archive, name: str, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The named columns of a CSV file with a header line.

    Raises:
        DassError: the file is missing, or lacks a column or a value.
    """
    rows = csv.DictReader(io.StringIO(archive.text(name)))
    try:
        table = [tuple(row[column].strip() for column in columns) for row in rows]
    except (KeyError, AttributeError, csv.Error) as error:
        raise DassError(f"{archive.label}: {name} lacks {error} in line {rows.line_num}: fetch it anew") from error
    return table


def read_mat(archive: Archive, name: str, variable: str) -> Any:
    """A variable of a MATLAB file, single dimensions squeezed.

    Raises:
        DassError: the file is missing or damaged, or has no such variable.
    """
    import scipy.io

    data = archive.read(name)
    try:
        return scipy.io.loadmat(io.BytesIO(data), squeeze_me=True)[variable]
    except Exception as error:  # scipy raises nearly anything on damaged files
        raise DassError(f"{archive.label}: {name} has no readable {variable!r} ({error}): fetch it anew") from error


def images_by_stem(archive: Archive) -> dict[str, str]:
    """Bare file name without ending -> name, of every image wherever it lies.

    Raises:
        DassError: two images have one bare name.
    """
    images: dict[str, str] = {}
    for name in archive.names:
        if is_image(name):
            stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            if stem in images:
                raise DassError(f"{archive.label} has both {images[stem]} and {name}: remove one")
            images[stem] = name
    return images


def images_in(archive: Archive, folder: str) -> dict[str, str]:
    """Bare file name -> name, of every image in a folder called `folder`, wherever that lies: mirrors wrap folders.

    Of two such folders the less deep one counts.
    """
    names = [name for name in archive.names if is_image(name) and f"/{name}".split("/")[-2] == folder]
    return {name.rsplit("/", 1)[-1]: name for name in sorted(names, key=lambda name: -name.count("/"))}


def around_images(archive: Archive, folder: str) -> Archive:
    """The part around the least deep folder called `folder` that has images below it.

    Raises:
        DassError: there is none.
    """
    inner = f"/{folder}/"
    tops = {f"/{name}".split(inner)[0].strip("/") for name in archive.names if inner in f"/{name}" and is_image(name)}
    if not tops:
        raise DassError(
            f"{archive.label} has no {folder} with images: pass the folder or archive as its publisher gives it"
        )
    return archive.below(min(tops, key=lambda top: (top.count("/") + bool(top), top)))


def refuse_missing(archive: Archive, missing: list[str]) -> None:
    """Refuses a dataset without some of the images that its annotations name.

    Raises:
        DassError: there are such images.
    """
    if missing:
        raise DassError(
            f"{archive.label} lacks {len(missing)} annotated image(s), the first is {missing[0]}: "
            "unpack all the parts of the dataset into one folder and pass that"
        )
