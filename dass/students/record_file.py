"""Student records as a typed Parquet file."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dass.errors import DassError, brief
from dass.files import atomic_write
from dass.students.record import StudentRecord

VERSION_KEY = b"dass_student_records"
VERSION = b"1"
TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
SCHEMA = pa.schema(
    [pa.field(field.name, TYPES[field.type], nullable=False) for field in fields(StudentRecord)],  # type: ignore[index]
    metadata={VERSION_KEY: VERSION},
)


def write_records(path: Path, records: Sequence[StudentRecord]) -> None:
    """Writes a file anew, atomically.

    Raises:
        DassError: the disk is full or not writable; the file is as it was.
    """
    columns = [pa.array([getattr(record, field.name) for record in records], field.type) for field in SCHEMA]
    table = pa.Table.from_arrays(columns, schema=SCHEMA)
    atomic_write(path, lambda temporary: pq.write_table(table, temporary, write_page_checksum=True))


def read_records(path: Path) -> list[StudentRecord]:
    """Reads a whole file; nothing where there is none.

    Raises:
        DassError: the file is truncated or damaged, or holds something else.
    """
    if not path.exists():
        return []
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
    except (pa.ArrowException, OSError) as error:
        raise DassError(
            f"{path} is damaged ({brief(error)}): it was left as it is; restore it with "
            "`dvc checkout` or from an export, or move it away to build it anew"
        ) from error
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version != VERSION or not table.schema.equals(SCHEMA):
        contents = (
            "no student records" if version is None else f"student records of form {version.decode(errors='replace')}"
        )
        raise DassError(
            f"{path} holds {contents}, expected form {VERSION.decode()}: left as it is; use the version that wrote it"
        )
    return [StudentRecord(**row) for row in table.to_pylist()]
