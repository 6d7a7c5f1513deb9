"""Reader of images whose classes a table says: Hugging Face's `metadata.csv`, or a CSV beside flat folders."""

import codecs
import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from dass.datasets.archives.archive import Archive
from dass.datasets.archives.names import choose_encoding, spell
from dass.datasets.layouts.annotations import refuse_missing
from dass.datasets.layouts.parts import HELD_OUT, Part, find_parts
from dass.datasets.listing import Entry, Listing, count_endings
from dass.datasets.near_duplicates import split_apart
from dass.datasets.pictures import find_pictures
from dass.errors import DassError

_HUGGING_FACE = ("metadata.csv", "metadata.jsonl")
_ENDINGS = (".csv", ".tsv", ".jsonl")
# Names of columns, the preferred one first; blanks, dashes and case do not count.
_FILE = ("filename", "filepath", "imagepath", "imagename", "path", "file", "image", "imageid", "img", "id", "name")
_LABEL = (
    "classname",
    "labelname",
    "label",
    "labels",
    "class",
    "category",
    "target",
    "species",
    "breed",
    "diagnosis",
    "dx",
)
_TABLE_WORDS = re.compile(r"(?i)labels?|annotations?|annos?|metadata|solution")
_PART = ("split", "set", "subset", "part")


@dataclass(frozen=True)
class _Row:
    """One line: the image as the table names it, its class, and its part where the table says one."""

    file: str
    label: str
    part: str


@dataclass(frozen=True)
class _Table:
    """A table that has a column of images and one of classes."""

    name: str
    file_column: str
    rows: tuple[_Row, ...]


def find_label_tables(archive: Archive, *, hugging_face: bool = False) -> tuple[str, ...]:
    """Names of the tables that have a column of files and one of classes.

    Args:
        archive: archive with the images.
        hugging_face: only those that Hugging Face reads before folders: `metadata.csv` with `file_name`.
    """
    names = [name for name in archive.names if not hugging_face or name.rsplit("/", 1)[-1] in _HUGGING_FACE]
    return tuple(
        table.name for table in _tables(archive, names) if not hugging_face or table.file_column == "file_name"
    )


def read_label_tables(archive: Archive, names: tuple[str, ...]) -> Listing:
    """Reads the classes of images from tables with a header line.

    A table has a column of files (`file_name` and the like; paths from the table's folder or bare names, with or
    without an ending) and one of classes (`label` and the like). Its part is the one that its own name or its folder
    means (`train.csv`, `train/metadata.csv`), or a column `split`; images without any are split as those
    of class folders are (`split_apart`).

    Args:
        archive: archive with the images.
        names: the tables to read.

    Raises:
        DassError: a table is none, an image is missing or has two classes, a part is unknown, or a class is empty.
    """
    pictures = find_pictures(archive)
    label_of: dict[Part | None, dict[str, str]] = defaultdict(dict)
    missing: list[str] = []
    tables = _tables(archive, names)
    if len(tables) < len(names):
        raise DassError(
            f"{archive.label}: {', '.join(names)} must have a header line with a column of files, such as file_name, "
            "and one of classes, such as label"
        )
    for table in tables:
        find = _Finder(pictures.images, table.name)
        for row in table.rows:
            image = find(row.file)
            if image is None:
                missing.append(row.file)
            elif label_of[part := _part_of(table.name, row, archive.label)].setdefault(image, row.label) != row.label:
                raise DassError(f"{archive.label}: {table.name} gives {image} two classes ({part or 'no part'})")
    refuse_missing(archive, missing)
    classes = tuple(sorted({label for part in label_of.values() for label in part.values()}, key=_by_number))
    number = {name: label for label, name in enumerate(classes)}
    entries = {
        part: tuple(sorted(Entry(number[label], image) for image, label in images.items()))
        for part, images in label_of.items()
    }
    train = entries.get("train", entries.get(None, ()))
    held_out = next((part for part in HELD_OUT if part in entries), None)
    rule, alike = f"by {', '.join(names)}: ", list[str]()
    if held_out is None:
        train, test, how, alike = split_apart(train, classes, archive.read)
        rule += how
    else:
        test = entries[held_out]
        rule += f"train, and {held_out} as test"
    used = {entry.name for entry in (*train, *test)}
    notes = tuple(
        f"{f'the part {part}' if part else 'what is in no part'} is not used: {len(images):,} images"
        for part, images in entries.items()
        if part not in ("train" if "train" in entries else None, held_out)
    )
    passed_over = count_endings(name for name in archive.names if name not in used)
    listing = Listing(classes, train, test, archive.read, rule, passed_over, (*notes, *alike))
    listing.check(archive.label)
    return listing


def _tables(archive: Archive, names: Iterable[str]) -> list[_Table]:
    tables = []
    for name in names:
        if name.lower().endswith(_ENDINGS) and "submission" not in name.lower():  # which holds no true labels
            try:
                rows = _rows(name, _decoded(archive.read(name)))
            except (DassError, ValueError, TypeError, RecursionError, csv.Error):
                continue  # no such table: images may have tables of other things beside them
            columns = {_plain(key): key for key in (rows[0] if rows else ())}
            file, label, part = (
                next((columns[one] for one in some if one in columns), None) for some in (_FILE, _LABEL, _PART)
            )
            if file and label and file != label:
                read = [
                    _Row(spell(_text(row, file)), spell(_text(row, label)), _text(row, part) if part else "")
                    for row in rows
                ]
                tables.append(_Table(name, file, tuple(row for row in read if row.file and row.label)))
    return tables


def _decoded(data: bytes) -> str:
    """The text of a table: spreadsheets write it in UTF-16, or in the encoding of their country, too."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode(choose_encoding([data], "cp1252")).removeprefix("\ufeff")


def _rows(name: str, text: str) -> list[dict[str, object]]:
    if name.lower().endswith(".jsonl"):
        return [dict(json.loads(line)) for line in text.splitlines() if line.strip()]
    header = text.partition("\n")[0]
    return list(csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count)))


def _text(row: dict[str, object], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _plain(column: object) -> str:
    return "".join(letter for letter in str(column).lower() if letter.isalnum())


def _part_of(table: str, row: _Row, label: str) -> Part | None:
    if row.part:
        parts = find_parts([row.part])
        if not parts:
            raise DassError(f"{label}: {table} has the part {row.part!r}: train, test and val are known")
        return parts[row.part]
    path = PurePosixPath(table)
    for name in (_TABLE_WORDS.sub("", path.stem), *(parent.name for parent in path.parents)):
        if parts_of_name := find_parts([name]):
            return parts_of_name[name]
    return None


class _Finder:
    """Finds an image by what a table calls it: a path from its folder, or a bare name with or without an ending."""

    def __init__(self, images: Iterable[str], table: str) -> None:
        self._folder = str(PurePosixPath(table).parent).removeprefix(".")
        self._near = f"{self._folder}/{PurePosixPath(table).stem}/".removeprefix("/")  # of train.csv: train/
        self._named: dict[str, list[str]] = defaultdict(list)
        for image in images:
            path = PurePosixPath(image)
            for name in {path.name, path.stem}:
                self._named[name].append(image)

    def __call__(self, file: str) -> str | None:
        """The image; None where there is none, or where several fit equally."""
        wanted = file.replace("\\", "/").removeprefix("./").strip("/")
        matches = [
            image
            for image in self._named.get(PurePosixPath(wanted).name, ())
            if f"/{image}".endswith(f"/{wanted}") or f"/{image.rpartition('.')[0]}".endswith(f"/{wanted}")
        ]
        exact = [image for image in matches if image == f"{self._folder}/{wanted}".removeprefix("/")]
        near = [image for image in matches if image.startswith(self._near)]
        trains = [image for image in matches if "train" in find_parts(image.split("/")[:-1]).values()]
        return next((some[0] for some in (exact, matches, near, trains) if len(some) == 1), None)


def _by_number(label: str) -> tuple[bool, int, str]:
    """Sorts classes named by numbers by their value."""
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)
