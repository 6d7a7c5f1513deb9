"""A user's own teacher in the pipeline."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from dass.cards import card_path
from dass.datasets.importing import import_dataset
from dass.datasets.packed import open_packed
from dass.networks.checkpoint import load_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.project import Project
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.tasks.stored import stored_target
from dass.tracking.store import open_store
from dass.training.current_teacher import is_current
from dass.training.recipes import train_and_save_teacher
from flows.names import main as names
from flows.stages.dataset import settle
from flows.stages.teacher import bring_in
from tests.samples import SPACE, TEACHER_RECIPE, rows_task

ROOT = Path(__file__).parents[4]


def test_it_takes_the_place_of_one_that_was_trained_here_with_all_that_was_left_of_it(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["targets"] = {"digits": {"dataset": "digits", "teacher": "mine.safetensors", "expect_accuracy": 0}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    project = Project.open(tmp_path)
    import_dataset("digits", None, project.raw, project.params.data.resolution)
    project.checkpoints.mkdir()
    mine = ElasticResNet(SearchSpace.from_config(project.params.space).largest, 10)
    save_file(mine.state_dict(), project.checkpoints / "mine.safetensors")
    path = project.target_teacher_file("digits")
    path.parent.mkdir(parents=True)
    for name in ("digits.safetensors", "digits.json", "digits.curve.json", "digits.safetensors.partial"):
        (path.parent / name).write_text("of the other")

    bring_in.fn(stored_target(project, "digits"))

    assert {file.name for file in path.parent.iterdir()} == {"digits.safetensors", "digits.json"}
    network, card = load_teacher(path)
    assert torch.equal(network.classifier.weight, mine.classifier.weight)
    assert (card.task, card.recipe_id) == ("digits", "")


def test_a_teacher_whose_card_was_changed_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, space = rows_task(), SPACE
    path = tmp_path / "rows.safetensors"
    recipe = TEACHER_RECIPE.model_copy(update={"epochs": 1})
    train_and_save_teacher(lambda: data, space.largest, recipe, path, seed=0, device="cpu")
    place: dict[str, Any] = {"seed": 0, "device": torch.device("cpu")}
    told: list[str] = []
    assert is_current(path, data, space.largest, recipe, **place)
    auto = recipe.model_copy(update={"precision": "auto"})
    for precision in ("float32", "bfloat16"):  # that of a machine that would choose it
        with monkeypatch.context() as machine:
            machine.setattr(
                "dass.training.current_teacher.resolve_precision", lambda *_, precision=precision: precision
            )
            assert is_current(path, data, space.largest, auto, **place)
    card = card_path(path)
    card.write_text(card.read_text().replace('"accuracy": ', '"accuracy": 1'))
    assert not is_current(path, data, space.largest, recipe, **place, tell=told.append)
    assert len(told) == 1


def test_a_target_of_another_resolution_has_images_and_a_teacher_of_that_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.stages.teachers.logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr("flows.stages.dataset.logger", lambda: logging.getLogger("test"))
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["targets"] = {"digits": {"dataset": "digits", "resolution": 24}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    project = Project.open(tmp_path)
    open_store(tmp_path)
    monkeypatch.chdir(tmp_path)
    names()
    assert json.loads(project.resolutions_note.read_text()) == {"digits": [24]}
    for side in (16, 24):
        settle(project, "digits", side)
    assert sorted(path.name for path in (project.reports / "datasets").iterdir()) == ["digits-24.png", "digits.png"]
    data = stored_target(project, "digits").load()
    assert (data.resolution, open_packed(project.packed("digits")).card.resolution) == (24, 16)

    path, largest = project.target_teacher_file("digits"), SearchSpace.from_config(project.params.space).largest
    recipe = TEACHER_RECIPE.model_copy(update={"epochs": 1})
    train_and_save_teacher(lambda: data, largest, recipe, path, seed=0, device="cpu")
    given = stored_target(project, "digits").open()
    assert (given.data.resolution, given.card.resolution) == (24, 24)
    assert given.teacher_cost.macs > 2 * cost(largest, 16, 10).macs
