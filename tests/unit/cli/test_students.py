"""`dass students`: records carried from one project to another."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from dass.space.architecture import Architecture
from dass.students.database import StudentDatabase
from dass.students.onnx_export import NEEDED
from dass.students.trained import TrainedStudent, save_student
from tests.factories import make_record, make_teacher

SMALL = Architecture(((2,), (4,), (4,), (8,)))
RECORD = make_record(SMALL, best_accuracy=50.0, final_accuracy=49.0)
SOURCE = [replace(RECORD, task=f"split{i}", seed=seed) for i in (0, 1) for seed in (0, 1, 2)]


@pytest.fixture
def source(project: Path) -> StudentDatabase:
    database = StudentDatabase(project / "data" / "students" / "source")
    for task in ("split0", "split1"):
        database.append(task, [record for record in SOURCE if record.task == task])
    return database


@pytest.fixture
def exported(dass: Callable, source: StudentDatabase, project: Path) -> Path:
    said = dass("students", "export", "source", "records.parquet")
    assert (said.code, said.out) == (0, "6 records written to records.parquet\n")
    return project / "records.parquet"


def test_import_into_an_empty_project_and_again(dass: Callable, exported: Path, source: StudentDatabase) -> None:
    for task in source.tasks():
        (source.folder / f"{task}.parquet").unlink()
    assert dass("students", "import", "source", exported).out == "6 records added, 0 known already, 0 in conflict\n"
    assert [record for task in ("split0", "split1") for record in source.read_all(task)] == SOURCE
    assert dass("students", "import", "source", exported).out == "0 records added, 6 known already, 0 in conflict\n"


def test_what_is_here_stays(dass: Callable, exported: Path, source: StudentDatabase) -> None:
    (source.folder / "split1.parquet").unlink()
    source.append("split1", [replace(SOURCE[3], final_accuracy=30.0)])
    said = dass("students", "import", "source", exported)
    assert said.code == 0
    first, conflict = said.out.splitlines()
    assert first == "2 records added, 3 known already, 1 in conflict"
    assert "split1" in conflict and "final_accuracy 30.0" in conflict
    assert source.read_all("split1")[0].final_accuracy == 30.0


def test_a_target_has_a_database_of_its_own(dass: Callable, refuses: Callable, exported: Path, project: Path) -> None:
    target = StudentDatabase(project / "data" / "students" / "targets" / "digits")
    line = refuses(2, "students", "import", "digits", exported)
    assert "records of split0" in line
    assert target.tasks() == []
    target.append("digits", [replace(RECORD, task="digits")])
    assert dass("students", "export", "digits", "own.parquet").out.startswith("1 records")
    assert "records of digits" in refuses(2, "students", "import", "source", "own.parquet")
    assert dass("students", "import", "digits", "own.parquet").out.startswith("0 records added, 1 known")


def test_wrong_use_and_damage(refuses: Callable, exported: Path, project: Path) -> None:
    line = refuses(2, "students", "export", "dogs", "x")
    assert "'dogs'" in line and "digits" in line
    assert "none.parquet" in refuses(2, "students", "import", "source", "none.parquet")
    assert "no student records" in refuses(1, "students", "export", "digits", "x.parquet")
    exported.write_bytes(exported.read_bytes()[:100])
    assert "records.parquet is damaged" in refuses(1, "students", "import", "source", exported)
    assert not (project / "x.parquet").exists()
    assert "cannot write" in refuses(1, "students", "export", "source", "params.yaml/records.parquet")


def test_records_are_removed(dass: Callable, refuses: Callable, source: StudentDatabase) -> None:
    assert "--arch-id" in refuses(2, "students", "remove", "source")
    asked = ("students", "remove", "source", "--task", "split1", "--seed", 2)
    assert "1 records would be removed" in dass(*asked, "--dry-run").out
    assert source.read_all("split1") == SOURCE[3:]
    assert "split1" in dass(*asked).out
    assert source.read_all("split1") == SOURCE[3:5]
    assert source.read_all("split0") == SOURCE[:3]


def test_records_that_cannot_be_true_are_removed(dass: Callable, source: StudentDatabase) -> None:
    source.append("split0", [replace(RECORD, seed=7, final_accuracy=1e9, best_accuracy=1e9)])
    assert dass("students", "remove", "source", "--untrue").out.endswith("1 records removed\n")
    assert source.read_all("split0") == SOURCE[:3]


@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="the extra `onnx` is not installed: nothing is exported")
def test_a_student_becomes_two_onnx_files(dass: Callable, project: Path) -> None:
    assert dass("data", "import", "digits").code == 0
    target = project / "data" / "distilled" / "digits" / "digits.safetensors"
    network = make_teacher(SMALL, 10)
    record = replace(RECORD, task="digits")
    save_student(target, network, TrainedStudent.of(record, 10))
    said = dass("students", "export-onnx", "digits", "student.onnx")
    assert said.code == 0, said.err
    assert "student.onnx" in said.out and "student.int8.onnx" in said.out
    assert (project / "student.onnx").stat().st_size > 1000
