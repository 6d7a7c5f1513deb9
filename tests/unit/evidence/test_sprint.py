from dataclasses import replace

import numpy as np
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.evidence.sprint import columns, sprint
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace


def test_columns_are_those_of_the_readings_on_the_way() -> None:
    assert columns(10) == (
        "sprint_5_kd_loss", "sprint_5_accuracy", "sprint_5_loss",
        "sprint_10_kd_loss", "sprint_10_accuracy", "sprint_10_loss",
    )  # fmt: skip


def test_a_student_learns_in_it(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    row = dict(zip(columns(50), sprint(teacher, space.largest, data, recipe, steps=50, seed=0), strict=True))
    assert row["sprint_50_kd_loss"] < row["sprint_5_kd_loss"]
    assert row["sprint_50_loss"] < row["sprint_5_loss"]
    assert 0.25 < row["sprint_50_accuracy"] <= 1


def test_a_longer_one_begins_like_a_shorter_one(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    [one] = space.sample(1, np.random.default_rng(0))
    short = sprint(teacher, one, data, recipe, steps=10, seed=0)
    np.testing.assert_array_equal(sprint(teacher, one, data, recipe, steps=20, seed=0)[: len(short)], short)


def test_neither_test_images_nor_the_teacher_nor_the_random_state_matter_or_change(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    state = torch.random.get_rng_state()
    blind = replace(data, test_images=data.test_images[:0], test_labels=data.test_labels[:0])
    rows = [sprint(teacher, space.largest, part, recipe, steps=5, seed=0) for part in (data, blind)]
    np.testing.assert_array_equal(*rows)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
