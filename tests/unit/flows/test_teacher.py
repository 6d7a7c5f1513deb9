"""A user's own teacher in the pipeline."""

import logging
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from dass.config import Target
from dass.datasets.importing import import_dataset
from dass.networks.checkpoint import card_path, load_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.training.recipes import train_and_save_teacher
from flows.teacher import bring_in
from flows.teachers import is_current
from tests.samples import SPACE, TEACHER_RECIPE, rows_task

ROOT = Path(__file__).parents[3]


def test_it_takes_the_place_of_one_that_was_trained_here_with_all_that_was_left_of_it(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["targets"] = {"digits": {"dataset": "digits", "teacher": "mine.safetensors"}}
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

    given = Target(dataset="digits", teacher="mine.safetensors", expect_accuracy=0)
    bring_in.fn(project, "digits", given, path)

    assert {file.name for file in path.parent.iterdir()} == {"digits.safetensors", "digits.json"}
    network, card = load_teacher(path)
    assert torch.equal(network.classifier.weight, mine.classifier.weight)
    assert (card.task, card.recipe_id) == ("digits", "")


def test_a_teacher_whose_card_was_changed_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.teachers.logger", lambda: logging.getLogger("test"))  # that of Prefect wants a run
    data, space = rows_task(), SPACE
    path = tmp_path / "rows.safetensors"
    recipe = TEACHER_RECIPE.model_copy(update={"epochs": 1})
    train_and_save_teacher(lambda: data, space.largest, recipe, path, seed=0, device="cpu")
    asked = (path, data, space.largest, recipe, 0, torch.device("cpu"))
    assert is_current(*asked)
    card = card_path(path)
    card.write_text(card.read_text().replace('"accuracy": ', '"accuracy": 1'))
    assert not is_current(*asked)
