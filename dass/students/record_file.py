"""Student records as a typed Parquet file, where an architecture is JSON text."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dass.errors import DassError, UsageError, brief
from dass.files import atomic_write
from dass.space.architecture import Architecture
from dass.students.record import StudentRecord

VERSION_KEY = b"dass_student_records"
VERSION = b"1"
TYPES = {str: pa.string(), Architecture: pa.string(), int: pa.int64(), float: pa.float64()}
SCHEMA = pa.schema(
    [pa.field(field.name, TYPES[field.type], nullable=False) for field in fields(StudentRecord)],  # type: ignore[index]
    metadata={VERSION_KEY: VERSION},
)


AGAIN = "it was left as it is; restore it with `dvc checkout` or from an export, or move it away to build it anew"


def row_of(record: StudentRecord) -> dict[str, Any]:
    """A record's values by name, as a file has them."""
    return {**vars(record), "architecture": _text(record.architecture)}


def write_records(path: Path, records: Sequence[StudentRecord]) -> None:
    """Writes a file anew, atomically.

    Raises:
        DassError: the disk is full or not writable; the file is as it was.
    """
    write_rows(path, [row_of(record) for record in records])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `write_records`, for values as `row_of` gives them."""
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in SCHEMA]
    table = pa.Table.from_arrays(columns, schema=SCHEMA)
    atomic_write(path, lambda temporary: pq.write_table(table, temporary, write_page_checksum=True))


def read_records(path: Path) -> list[StudentRecord]:
    """Reads a whole file; nothing where there is none.

    Raises:
        DassError: the file is truncated or damaged, or holds something else.
    """
    try:
        return [record_of(row) for row in read_rows(path)]
    except UsageError as error:
        raise DassError(f"{path} is damaged ({brief(error)}): {AGAIN}") from error


def record_of(row: Mapping[str, Any]) -> StudentRecord:
    """The inverse of `row_of`.

    Raises:
        UsageError: the text of the architecture is none.
    """
    return StudentRecord(**{**row, "architecture": _parsed(row["architecture"])})


def read_rows(path: Path) -> list[dict[str, Any]]:
    """As `read_records`, values as they are in the file: nobody has looked at the texts of architectures."""
    if not path.exists():
        return []
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
    except (pa.ArrowException, OSError) as error:
        raise DassError(f"{path} is damaged ({brief(error)}): {AGAIN}") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version == VERSION and not table.schema.equals(SCHEMA):
        raise DassError(f"{path} is damaged (its columns are not those of student records): {AGAIN}")
    if version != VERSION:
        contents = (
            "no student records" if version is None else f"student records of form {version.decode(errors='replace')}"
        )
        raise DassError(
            f"{path} holds {contents}, expected form {VERSION.decode()}: left as it is; use the version that wrote it"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


# A file is written anew with each group of students, and read by several stages.
@lru_cache(maxsize=2**15)
def _text(architecture: Architecture) -> str:
    return architecture.text


@lru_cache(maxsize=2**15)
def _parsed(text: str) -> Architecture:
    return Architecture.from_json(text)
