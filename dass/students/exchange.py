"""Carrying records between machines: one file out, one file in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dass.errors import DassError, UsageError
from dass.files import regular_file
from dass.students.database import StudentDatabase
from dass.students.record import Conflict
from dass.students.record_check import problem
from dass.students.record_file import read_rows, record_of, write_records


@dataclass(frozen=True)
class ImportReport:
    """What an import came to.

    Attributes:
        added: records that are new here.
        unchanged: records that were here with the same values.
        conflicts: records that were here with other values; those here were kept.
    """

    added: int
    unchanged: int
    conflicts: tuple[Conflict, ...]


def export_records(database: StudentDatabase, path: Path) -> int:
    """Writes all records of all tasks into one file and says how many.

    Raises:
        DassError: there are none, a task's file is damaged, or the disk is full.
    """
    records = [record for task in database.tasks() for record in database.read_all(task)]
    if not records:
        raise DassError(f"{database.folder} has no student records to export")
    write_records(path, records)
    return len(records)


def import_records(
    database: StudentDatabase, path: Path, belongs: Callable[[str], bool] = lambda _: True
) -> ImportReport:
    """Adds the records of an exported file, task by task; importing a file twice changes nothing.

    Args:
        database: database that is written to.
        path: path of the exported file.
        belongs: whether a task's records belong into this database; a file with others is refused whole.

    Raises:
        UsageError: there is no such file, or it holds records of tasks that do not belong here.
        DassError: the file is damaged or a field of a record cannot be true: then none is added. Or another run is
            writing a task, or the disk is full: tasks done before that keep what they got, and importing again
            completes the rest.
    """
    regular_file(path, "file of records", "give the path of an exported file")
    rows = read_rows(path)
    if strangers := sorted({row["task"] for row in rows if not belongs(row["task"])}):
        raise UsageError(
            f"{path} holds records of {strangers[0]}, which do not belong into {database.folder}: name their own task"
        )
    if wrong := [(row, found) for row in rows if (found := problem(row))]:
        row, found = wrong[0]
        raise DassError(
            f"{path}: {len(wrong)} of {len(rows)} records cannot be true, the first is {row['task']!r:.60} "
            f"{row['arch_id']!r:.20}: {found}; nothing was imported: export them anew where they were made"
        )
    records, merges = [record_of(row) for row in rows], []
    for task in sorted({record.task for record in records}):
        with database.writer(task) as writer:
            merges.append(writer.merge([record for record in records if record.task == task]))
    return ImportReport(
        added=sum(merge.added for merge in merges),
        unchanged=sum(merge.unchanged for merge in merges),
        conflicts=tuple(conflict for merge in merges for conflict in merge.conflicts),
    )
