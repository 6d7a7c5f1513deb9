"""The student-accuracy database: one file of records per task, appended to and never overwritten."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dass.errors import DassError, UsageError
from dass.students.plan import StudentJob
from dass.students.record import Merge, StudentRecord, TaskKey, merge
from dass.students.record_check import TASK_NAME
from dass.students.record_file import read_records, write_records


class StudentDatabase:
    """Records of distilled students in a folder, `<task>.parquet` each.

    A file is replaced whole on every append, so it is never half-written, whatever is killed when. One run
    writes a task at a time; reading needs no lock.

    Args:
        folder: path of the folder; created at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tasks(self) -> list[str]:
        """Names of the tasks that have records, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.parquet"))

    def read(self, key: TaskKey, jobs: Sequence[StudentJob] | None = None) -> list[StudentRecord]:
        """The records measured under `key` that can be ranked, sorted by architecture and seed.

        Records of other data, another teacher or another recipe stay in the file but are not returned, nor are
        failed students.

        Args:
            key: key under which the values were measured.
            jobs: the students wanted; None for all.

        Raises:
            DassError: the file is damaged.
        """
        return [record for record in self.read_measured(key, jobs) if not record.failure]

    def read_measured(self, key: TaskKey, jobs: Sequence[StudentJob] | None = None) -> list[StudentRecord]:
        """As `read`, failed students included; of a student measured in two precisions, the record under `key` itself.

        Raises:
            DassError: the file is damaged.
        """
        records = {}
        for record in self.read_all(key.task):
            if key.covers(record.key):
                student = (record.arch_id, record.seed)
                if student not in records or record.key == key:
                    records[student] = record
        if jobs is None:
            return list(records.values())
        wanted = {(job.architecture.arch_id, job.seed) for job in jobs}
        return [record for student, record in records.items() if student in wanted]

    def read_all(self, task: str) -> list[StudentRecord]:
        """Every record of a task, whatever it was measured under, failed ones included.

        Raises:
            DassError: the file is damaged.
        """
        return read_records(self._path(task))

    def missing(self, key: TaskKey, jobs: Sequence[StudentJob]) -> list[StudentJob]:
        """Those of the jobs that have no record under `key`, in order; a failed student counts as done.

        Raises:
            DassError: the file is damaged.
        """
        done = {(record.arch_id, record.seed) for record in self.read_measured(key)}
        return [job for job in jobs if (job.architecture.arch_id, job.seed) not in done]

    def append(self, task: str, records: Sequence[StudentRecord]) -> None:
        """Adds records to a task's file; see `TaskWriter.append`."""
        with self.writer(task) as writer:
            writer.append(records)

    @contextmanager
    def writer(self, task: str) -> Iterator["TaskWriter"]:
        """Gives the one writer of a task's file, for as long as a run lasts.

        Raises:
            DassError: another run has it, the file is damaged, or the folder cannot be written.
        """
        path = self._path(task)
        lock = FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DassError(
                f"{path} is being written by another run: wait for it to end, then run the same command again"
            ) from error
        except OSError as error:
            raise DassError(f"cannot write in {self.folder}: {error.strerror or error}") from error
        try:
            for left_over in self.folder.glob(f".{path.name}.*.tmp"):  # of a run killed in the middle of a write
                left_over.unlink(missing_ok=True)
            yield TaskWriter(path, task)
        finally:
            lock.release()

    def _path(self, task: str) -> Path:
        if not TASK_NAME.fullmatch(task):
            raise UsageError(f"{task!r} is no task's name: use lower-case letters, digits, - and _")
        return self.folder / f"{task}.parquet"


class TaskWriter:
    """Adds to one task's file; made by `StudentDatabase.writer`, which holds the lock meanwhile.

    Args:
        path: path of the file.
        task: task whose records are written.
    """

    def __init__(self, path: Path, task: str) -> None:
        self._path = path
        self._task = task
        self._records: Sequence[StudentRecord] = read_records(path)

    def append(self, records: Sequence[StudentRecord]) -> None:
        """Adds records; once this returns they are on disk. Repeating a record changes nothing.

        Raises:
            DassError: a record of another task, or one that disagrees with what is there: then none is added; or
                the disk is full.
        """
        joined = self.merge(records, strict=True)
        if joined.conflicts:
            raise DassError(f"{self._path} has other values already: {joined.conflicts[0]}; nothing was added")

    def merge(self, records: Sequence[StudentRecord], *, strict: bool = False) -> Merge:
        """Adds what is new and says what was known and what disagrees; what is there stays.

        Args:
            records: records to add.
            strict: whether to add nothing where a record disagrees.

        Raises:
            DassError: a record of another task, or the disk is full.
        """
        if foreign := [record.task for record in records if record.task != self._task]:
            raise DassError(f"{self._path} takes records of {self._task}, found one of {foreign[0]}; nothing was added")
        joined = merge(self._records, records)
        if joined.added and not (strict and joined.conflicts):
            write_records(self._path, joined.records)
            self._records = joined.records
        return joined

    def remove(self, wanted: Callable[[StudentRecord], bool]) -> list[StudentRecord]:
        """Takes records out and gives them back.

        Args:
            wanted: function that tells whether a record is removed.

        Raises:
            DassError: the disk is full; then all are still there.
        """
        gone = [record for record in self._records if wanted(record)]
        if gone:
            remaining = [record for record in self._records if not wanted(record)]
            write_records(self._path, remaining)
            self._records = remaining
        return gone
