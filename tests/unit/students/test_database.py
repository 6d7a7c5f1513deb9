import errno
import math
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dass.errors import DassError, UsageError
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.record import StudentRecord, TaskKey
from dass.students.record_file import SCHEMA
from tests.factories import make_record

ARCHITECTURES = SearchSpace((4, 8, 8, 16), 2, (0.5, 1.0), "block").sample(6, np.random.default_rng(0))
KEY = TaskKey("split0", "d" * 12, "t" * 12, "r" * 12)


def record(architecture: Architecture, seed: int = 0, key: TaskKey = KEY, accuracy: float = 39.5) -> StudentRecord:
    return make_record(
        architecture,
        task=key.task,
        seed=seed,
        recipe_id=key.recipe_id,
        teacher_id=key.teacher_id,
        data_id=key.data_id,
        best_accuracy=accuracy,
        final_accuracy=accuracy,
        failure="" if math.isfinite(accuracy) else "loss became nan in epoch 1, step 3",
    )


@pytest.fixture
def database(tmp_path: Path) -> StudentDatabase:
    return StudentDatabase(tmp_path / "students")


def test_where_the_machine_chooses_the_precision_records_of_another_machine_count(database: StudentDatabase) -> None:
    jobs = [StudentJob(architecture, 0) for architecture in ARCHITECTURES[:3]]
    other = TaskKey("split0", "d" * 12, "t" * 12, "s" * 12)
    mine = TaskKey("split0", "d" * 12, "t" * 12, "r" * 12, equivalent=("s" * 12,))
    theirs = [record(architecture, key=other, accuracy=30.0) for architecture in ARCHITECTURES[:2]]
    database.append("split0", [*theirs, record(ARCHITECTURES[1], accuracy=40.0)])
    assert [job.architecture for job in database.missing(mine, jobs)] == [ARCHITECTURES[2]]
    found = {one.arch_id: one.final_accuracy for one in database.read(mine, jobs)}
    assert found == {ARCHITECTURES[0].arch_id: 30.0, ARCHITECTURES[1].arch_id: 40.0}
    strict = TaskKey("split0", "d" * 12, "t" * 12, "r" * 12)
    assert len(database.missing(strict, jobs)) == 2
    stranger = TaskKey("split0", "d" * 12, "u" * 12, "r" * 12, equivalent=("s" * 12,))
    assert len(database.missing(stranger, jobs)) == 3


def test_records_come_back_as_they_were_in_order(database: StudentDatabase) -> None:
    records = [record(architecture, seed) for architecture in ARCHITECTURES for seed in (1, 0)]
    for one in records:
        database.append("split0", [one])
    assert database.read(KEY) == sorted(records, key=lambda one: (one.arch_id, one.seed))
    assert database.tasks() == ["split0"]
    assert StudentDatabase(database.folder).read_all("split0") == database.read(KEY)
    assert database.read_all("other") == []


def test_file_is_typed_and_says_its_version(database: StudentDatabase) -> None:
    database.append("split0", [record(ARCHITECTURES[0])])
    schema = pq.read_schema(database.folder / "split0.parquet")
    assert schema.equals(SCHEMA)
    assert schema.metadata[b"dass_student_records"] == b"1"
    assert str(schema.field("final_accuracy").type) == "double" and str(schema.field("macs").type) == "int64"


def test_stale_records_are_kept_but_never_read_for_another_key(database: StudentDatabase) -> None:
    database.append("split0", [record(ARCHITECTURES[0])])
    jobs = [StudentJob(architecture, 0) for architecture in ARCHITECTURES]
    for change in ({"data_id": "e" * 12}, {"teacher_id": "u" * 12}, {"recipe_id": "s" * 12}):
        other = TaskKey(**{**vars(KEY), **change})
        assert database.read(other) == []
        assert database.missing(other, jobs) == jobs
        database.append("split0", [record(ARCHITECTURES[0], key=other, accuracy=1.0)])
    assert [one.final_accuracy for one in database.read(KEY)] == [39.5]
    assert len(database.read_all("split0")) == 4


def test_missing_are_those_without_a_record_and_a_failed_one_counts_as_done(database: StudentDatabase) -> None:
    jobs = [StudentJob(architecture, seed) for architecture in ARCHITECTURES for seed in (0, 1)]
    database.append("split0", [record(ARCHITECTURES[2]), record(ARCHITECTURES[4], seed=1, accuracy=math.nan)])
    done = {(ARCHITECTURES[2], 0), (ARCHITECTURES[4], 1)}
    assert database.missing(KEY, jobs) == [job for job in jobs if (job.architecture, job.seed) not in done]
    assert [one.arch_id for one in database.read(KEY)] == [ARCHITECTURES[2].arch_id]  # the failed one is not ranked
    [failed] = [one for one in database.read_all("split0") if one.failure]
    assert math.isnan(failed.final_accuracy)


def test_repeating_a_record_changes_nothing_and_contradicting_one_is_refused(database: StudentDatabase) -> None:
    path = database.folder / "split0.parquet"
    database.append("split0", [record(ARCHITECTURES[0])])
    before = path.read_bytes()
    database.append("split0", [record(ARCHITECTURES[0])])
    with pytest.raises(DassError, match=r"final_accuracy 39.5 .*1.0"):
        database.append("split0", [record(ARCHITECTURES[1]), record(ARCHITECTURES[0], accuracy=1.0)])
    with pytest.raises(DassError, match=r"split1, .*split0"):
        database.append("split1", [record(ARCHITECTURES[0])])
    assert path.read_bytes() == before


@pytest.mark.parametrize("task", ["", "../split0", "a/b", "Split", ".hidden"])
def test_names_that_are_no_task_are_refused(database: StudentDatabase, task: str) -> None:
    with pytest.raises(UsageError, match="is no task's name"):
        database.append(task, [])


def test_second_writer_fails_at_once_and_the_first_goes_on(database: StudentDatabase) -> None:
    with database.writer("split0") as writer:
        writer.append([record(ARCHITECTURES[0])])
        script = (
            "import sys; from pathlib import Path; from dass.students.database import StudentDatabase\n"
            "from dass.errors import DassError\n"
            "try:\n    StudentDatabase(Path(sys.argv[1])).append('split0', [])\n"
            "except DassError as error:\n    sys.exit(str(error))\n"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, str(database.folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert other.returncode == 1
        assert str(database.folder / "split0.parquet") in other.stderr
        with pytest.raises(DassError, match="is being written by another run"):
            StudentDatabase(database.folder).append("split0", [])
        database.append("split1", [])  # another task is free
        assert len(database.read(KEY)) == 1  # reading needs no lock
        writer.append([record(ARCHITECTURES[1])])
    database.append("split0", [record(ARCHITECTURES[2])])
    assert len(database.read(KEY)) == 3


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "flipped"])
def test_damaged_file_is_named_and_left_alone(database: StudentDatabase, damage: str) -> None:
    path = database.folder / "split0.parquet"
    database.append("split0", [record(architecture) for architecture in ARCHITECTURES])
    whole = path.read_bytes()
    at = whole.index(ARCHITECTURES[0].arch_id.encode())
    contents = {
        "truncated": whole[: len(whole) // 2],
        "garbage": b"not a table at all" * 50,
        "empty": b"",
        "flipped": whole[:at] + b"!" + whole[at + 1 :],
    }[damage]
    path.write_bytes(contents)
    for use in (lambda: database.read(KEY), lambda: database.append("split0", [record(ARCHITECTURES[0])])):
        with pytest.raises(DassError, match=r"split0\.parquet is damaged .*`dvc checkout`"):
            use()
    assert path.read_bytes() == contents


def test_other_tables_are_refused(database: StudentDatabase) -> None:
    database.folder.mkdir()
    path = database.folder / "split0.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DassError, match="form 1"):
        database.read(KEY)
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"dass_student_records": "2"}), path)
    with pytest.raises(DassError, match=r"form 2, .*form 1"):
        database.read(KEY)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: a write beyond it fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_leaves_the_old_file_whole(database: StudentDatabase) -> None:
    database.append("split0", [record(ARCHITECTURES[0])])
    path = database.folder / "split0.parquet"
    before = path.read_bytes()
    more = [record(architecture, seed) for architecture in ARCHITECTURES for seed in range(1, 40)]
    with (
        database.writer("split0") as writer,
        file_size_limit(len(before) + 100),
        pytest.raises(DassError, match=r"split0\.parquet.*free space") as caught,
    ):
        writer.append(more)
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno in (errno.EFBIG, None)
    assert path.read_bytes() == before
    assert not list(database.folder.glob("*.tmp")) and not list(database.folder.glob(".*.tmp"))
    database.append("split0", more)
    assert len(database.read(KEY)) == 1 + len(more)


def test_what_a_killed_writer_left_is_cleaned(database: StudentDatabase) -> None:
    database.append("split0", [record(ARCHITECTURES[0])])
    left_over = database.folder / ".split0.parquet.abc123.tmp"
    left_over.write_bytes(b"half")
    others = database.folder / ".split1.parquet.abc123.tmp"
    others.write_bytes(b"half")
    assert len(database.read(KEY)) == 1 and database.tasks() == ["split0"]
    database.append("split0", [record(ARCHITECTURES[1])])
    assert not left_over.exists() and others.exists()  # another task's may be in use
