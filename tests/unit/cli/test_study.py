"""`dass study save` and `restore` where something else lies, or what was restored is not whole."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dass.shipped
from dass.cards import card_path
from dass.cli.study_folder import _check_folder
from dass.cli.study_restore import restore_study
from dass.errors import DassError, UsageError
from dass.networks.checkpoint import load_card, save_teacher
from dass.predictor.checkpoint import load_predictor
from dass.project import Project
from dass.students.database import StudentDatabase
from tests.factories import make_card, make_record, make_teacher

SHIPPED = Path(dass.shipped.__file__).parent / "data" / "small-paper"


def teacher(path: Path, seed: int) -> str:
    return save_teacher(path, make_teacher(seed=seed), make_card(task="split0", teacher_id="")).teacher_id


@pytest.fixture
def study(project: Path) -> Path:
    folder = project / "study"
    (folder / "records").mkdir(parents=True)
    (folder / "params.yaml").write_text("")
    teacher(folder / "teachers" / "source" / "split0.safetensors", seed=0)
    return folder


@pytest.mark.parametrize("name", [".", "..", "data", "data/splits", "reports", "notes", "params.yaml"])
def test_a_study_is_saved_over_nothing_but_a_study(project: Path, study: Path, name: str) -> None:
    (project / "notes").mkdir()
    (project / "notes" / "README.md").write_text("mine")
    with pytest.raises(UsageError):
        _check_folder(Project.open(), Path(name))
    _check_folder(Project.open(), study)
    _check_folder(Project.open(), Path("new"))


def test_what_a_killed_restore_left_is_made_whole_and_another_teacher_stays(project: Path, study: Path) -> None:
    here = Project.open()
    place = here.source_teacher_file("split0")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half")  # no card yet
    found = restore_study(here, study)
    assert (found.teachers, found.refused) == (1, ())
    assert load_card(place).teacher_id == load_card(study / "teachers" / "source" / "split0.safetensors").teacher_id
    assert restore_study(here, study).unchanged == 1
    shutil.rmtree(place.parent)
    mine = teacher(place, seed=1)
    found = restore_study(here, study)
    assert (found.teachers, len(found.refused)) == (0, 1)
    assert load_card(place).teacher_id == mine
    assert card_path(place).exists()


def test_scores_are_restored_where_there_are_none(project: Path, study: Path) -> None:
    (study / "scores").mkdir()
    (study / "scores" / "pets.json").write_text("[]")
    here = Project.open()
    assert restore_study(here, study).scores == 1
    assert (here.scores / "pets.json").read_text() == "[]"
    (here.scores / "pets.json").write_text("mine")
    found = restore_study(here, study)
    assert (found.scores, (here.scores / "pets.json").read_text()) == (0, "mine")


@pytest.mark.parametrize(
    "name",
    [
        "scores/pets.json",
        "learned/predictor.safetensors",
        "learned/multi_fidelity.safetensors",
        "teachers/source/split0.curve.json",
        "teachers/source/split0.safetensors",
    ],
)
def test_a_damaged_study_is_refused_before_anything_is_put_back(project: Path, study: Path, name: str) -> None:
    file = study / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"damaged")
    here = Project.open()
    with pytest.raises(DassError, match=Path(name).stem):
        restore_study(here, study)
    assert not here.source_teacher_file("split0").exists()
    assert not here.scores.exists()
    assert not here.predictor_file.exists()


def test_another_tasks_teacher_is_refused(project: Path, study: Path) -> None:
    source = study / "teachers" / "source" / "split0.safetensors"
    for path in (source, card_path(source)):
        shutil.copy(path, path.with_name(path.name.replace("split0", "split1")))
    with pytest.raises(DassError, match=r"split1.*split0"):
        restore_study(Project.open(), study)


def test_records_of_another_task_are_refused(project: Path, study: Path) -> None:
    StudentDatabase(study / "made").append("split0", [make_record()])
    shutil.copy(study / "made" / "split0.parquet", study / "records" / "birds.parquet")
    with pytest.raises(UsageError, match="split0"):
        restore_study(Project.open(), study)


def test_a_predictor_whose_weights_are_gone_is_made_whole(project: Path, study: Path) -> None:
    shutil.copytree(SHIPPED, study / "learned")
    here = Project.open()
    assert restore_study(here, study).predictors == 1
    here.predictor_file.unlink()
    assert restore_study(here, study).predictors == 1
    load_predictor(here.predictor_file)


def test_a_folder_without_a_study_is_refused(refuses: Callable[..., Any], project: Path) -> None:
    assert "records" in refuses(2, "study", "restore", "presets")
