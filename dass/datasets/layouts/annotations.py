"""What the readers share: tables, MATLAB files and images found by their bare names."""

import csv
import io
from typing import Any

import scipy.io

from dass.datasets.archive import Archive
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
    found: dict[str, str] = {}
    for name in archive.names:
        if is_image(name):
            stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            if stem in found:
                raise DassError(f"{archive.label} has both {found[stem]} and {name}: remove one")
            found[stem] = name
    return found


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
