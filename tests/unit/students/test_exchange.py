import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dass.errors import DassError
from dass.space.search_space import SearchSpace
from dass.students.database import StudentDatabase
from dass.students.exchange import export_records, import_records
from dass.students.record import StudentRecord
from dass.students.record_file import read_records, row_of, write_records, write_rows
from tests.factories import make_record


@pytest.fixture
def records(space: SearchSpace) -> list[StudentRecord]:
    return [
        make_record(architecture, task=task, best_accuracy=50.0, final_accuracy=49.0, final_loss=2.0)
        for task in ("split0", "dtd")
        for architecture in space.sample(4, np.random.default_rng(0))
    ]


def filled(folder: Path, records: list[StudentRecord]) -> StudentDatabase:
    database = StudentDatabase(folder)
    for task in sorted({record.task for record in records}):
        database.append(task, [record for record in records if record.task == task])
    return database


def test_two_databases_join_record_by_record(tmp_path: Path, records: list[StudentRecord]) -> None:
    here = filled(tmp_path / "here", records[:3])
    there = filled(tmp_path / "there", [replace(record, seconds=9.0) for record in records[1:]])
    assert export_records(there, tmp_path / "carried.parquet") == 7
    report = import_records(here, tmp_path / "carried.parquet")
    assert (report.added, report.unchanged, report.conflicts) == (5, 2, ())
    assert here.tasks() == ["dtd", "split0"]
    assert len(here.read_all("split0")) == 4 and len(here.read_all("dtd")) == 4
    again = import_records(here, tmp_path / "carried.parquet")
    assert (again.added, again.unchanged) == (0, 7)


def test_conflicting_values_are_reported_and_those_here_kept(tmp_path: Path, records: list[StudentRecord]) -> None:
    here = filled(tmp_path / "here", records[:2])
    filled(tmp_path / "there", [replace(records[0], final_loss=2.5), records[1], records[2]])
    export_records(StudentDatabase(tmp_path / "there"), tmp_path / "carried.parquet")
    report = import_records(here, tmp_path / "carried.parquet")
    assert (report.added, report.unchanged) == (1, 1)
    assert [conflict.fields for conflict in report.conflicts] == [("final_loss",)]
    assert {record.final_loss for record in here.read_all("split0")} == {2.0}


def test_bad_files_are_refused_with_nothing_lost(tmp_path: Path, records: list[StudentRecord]) -> None:
    here = filled(tmp_path / "here", records)
    before = {path.name: path.read_bytes() for path in here.folder.glob("*.parquet")}
    with pytest.raises(DassError, match="there is no file of records"):
        import_records(here, tmp_path / "absent.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DassError, match=r"bad.parquet is damaged"):
        import_records(here, tmp_path / "bad.parquet")
    with pytest.raises(DassError, match="no student records to export"):
        export_records(StudentDatabase(tmp_path / "nowhere"), tmp_path / "out.parquet")
    assert {path.name: path.read_bytes() for path in here.folder.glob("*.parquet")} == before


@pytest.mark.parametrize(
    "changes",
    [
        {"final_accuracy": 1e9},
        {"final_accuracy": -5.0},
        {"final_accuracy": math.nan},
        {"final_accuracy": math.inf},
        {"best_accuracy": 100.5},
        {"best_accuracy": 40.0},
        {"init_accuracy": -1.0},
        {"init_accuracy": math.nan},
        {"final_loss": math.nan},
        {"final_loss": -0.5},
        {"kd_loss_at_start": math.inf},
        {"seconds": -1.0},
        {"seconds": math.inf},
        {"architecture": "hello"},
        {"architecture": "{}"},
        {"architecture": '{"widths": [[-1], [1], [1], [1]]}'},
        {"architecture": '{"widths": [[1], [1], [1], [1]]}'},
        {"architecture": "[" * 100_000},
        {"arch_id": ""},
        {"arch_id": "x" * 12},
        {"teacher_id": "short"},
        {"recipe_id": "E" * 12},
        {"data_id": "d" * 13},
        {"task": "../up"},
        {"seed": -1},
        {"seed": 2**40},
        {"macs": 0},
        {"params": -7},
        {"device": ""},
        {"device": "cpu\n\x1b[1m"},
        {"torch_version": "2" * 5000},
        {"finished_at": "yesterday"},
        {"failure": "out of memory", "final_accuracy": 101.0},
    ],
    ids=lambda changes: "{}={:.20}".format(*[(name, str(value)) for name, value in changes.items()][-1]),
)
def test_records_that_cannot_be_true_are_refused(
    changes: dict[str, object], tmp_path: Path, records: list[StudentRecord]
) -> None:
    write_rows(tmp_path / "bad.parquet", [row_of(records[0]), {**row_of(records[1]), **changes}])
    here = StudentDatabase(tmp_path / "here")
    with pytest.raises(DassError) as caught:
        import_records(here, tmp_path / "bad.parquet")
    assert list(changes)[-1] in str(caught.value)
    assert str(caught.value).isprintable()
    assert here.tasks() == []


def test_a_failed_student_is_imported(tmp_path: Path, records: list[StudentRecord]) -> None:
    nothing = dict.fromkeys(("best_accuracy", "final_accuracy", "final_loss", "kd_loss_at_start"), math.nan)
    write_records(tmp_path / "one.parquet", [replace(records[0], failure="loss became nan", **nothing)])
    assert import_records(StudentDatabase(tmp_path / "here"), tmp_path / "one.parquet").added == 1


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "docs" / "study").rglob("*.parquet")), ids=str)
def test_the_studies_that_were_committed_are_taken_back(path: Path, tmp_path: Path) -> None:
    assert import_records(StudentDatabase(tmp_path / "here"), path).added == len(read_records(path)) > 0


def test_records_are_removed(tmp_path: Path, records: list[StudentRecord]) -> None:
    database = filled(tmp_path / "here", records)
    with database.writer("split0") as writer:
        assert writer.remove(lambda record: record.arch_id == records[1].arch_id) == [records[1]]
        assert writer.remove(lambda record: record.arch_id == records[1].arch_id) == []
    assert records[1] not in database.read_all("split0")
    assert len(database.read_all("split0")) == 3 and len(database.read_all("dtd")) == 4
    database.append("split0", [records[1]])
    assert len(database.read_all("split0")) == 4
