"""`dass study save` and `restore` where something else lies, or what was restored is not whole."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dass.cards import card_path
from dass.cli.study_folder import _check_folder
from dass.cli.study_restore import restore_study
from dass.errors import UsageError
from dass.networks.checkpoint import load_card, save_teacher
from dass.project import Project
from tests.factories import make_card, make_teacher


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
    (study / "scores" / "pets.json").write_text("theirs")
    here = Project.open()
    assert restore_study(here, study).scores == 1
    assert (here.scores / "pets.json").read_text() == "theirs"
    (here.scores / "pets.json").write_text("mine")
    found = restore_study(here, study)
    assert (found.scores, (here.scores / "pets.json").read_text()) == (0, "mine")


def test_a_folder_without_a_study_is_refused(refuses: Callable[..., Any], project: Path) -> None:
    assert "records" in refuses(2, "study", "restore", "presets")
