from dataclasses import replace

import numpy as np
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.proxies.k_step import KStep, k_step, teacher_logits
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace


def run(
    teacher: ElasticResNet, architecture: Architecture, data: TaskData, recipe: DistillationRecipe, steps: int
) -> np.ndarray:
    labels = teacher_logits(teacher, data, recipe, steps, seed=0)
    return k_step(teacher, architecture, data, recipe, soft_labels=labels, seed=0)


def test_columns_are_those_of_the_readings_on_the_way() -> None:
    assert tuple(column.name for column in KStep(10).columns(4)) == (
        "steps5_kd_loss", "steps5_accuracy", "steps5_loss",
        "steps10_kd_loss", "steps10_accuracy", "steps10_loss",
    )  # fmt: skip


def test_a_student_learns_in_it(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    row = dict(
        zip(
            [column.name for column in KStep(50).columns(4)], run(teacher, space.largest, data, recipe, 50), strict=True
        )
    )
    assert row["steps50_kd_loss"] < row["steps5_kd_loss"]
    assert 0.9 < row["steps50_accuracy"] <= 1  # a quarter by chance


def test_a_longer_one_begins_like_a_shorter_one(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    [one] = space.sample(1, np.random.default_rng(0))
    short = run(teacher, one, data, recipe, 10)
    np.testing.assert_array_equal(run(teacher, one, data, recipe, 20)[: len(short)], short)


def test_neither_test_images_nor_the_teacher_nor_the_random_state_matter_or_change(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    state = torch.random.get_rng_state()
    blind = replace(data, test_images=data.test_images[:0], test_labels=data.test_labels[:0])
    rows = [run(teacher, space.largest, part, recipe, 5) for part in (data, blind)]
    np.testing.assert_array_equal(*rows)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
