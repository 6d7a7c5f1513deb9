import copy
import math
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import torch

from dass.config import DistillationRecipe, TeacherRecipe
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.networks.checkpoint import load_teacher, round_to_half, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.training.batches import epoch_batches
from dass.training.losses import distillation_loss
from dass.training.recipes import distill, train_and_save_teacher, train_teacher
from dass.training.soft_labels import SoftLabels, epoch_soft_labels, fits

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def teacher(data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe) -> ElasticResNet:
    network, result = train_teacher(data, space.largest, teacher_recipe, seed=0, device=CPU)
    assert result.losses[-1] < 0.75 * result.losses[0]
    assert [point.epoch for point in result.evaluations] == [1, 2, 3, 4] and len(result.losses) == 4
    return network


@pytest.fixture(scope="module")
def architectures(space: SearchSpace) -> list[Architecture]:
    return space.sample(3, np.random.default_rng(0))


def test_teacher_is_reproducible_and_its_seed_matters(
    data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe, teacher: ElasticResNet
) -> None:
    torch.rand(3)  # the global generator has no part in it and is left alone
    state = torch.random.get_rng_state()
    again, _ = train_teacher(data, space.largest, teacher_recipe, seed=0, device=CPU)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert weights_id(again) == weights_id(teacher)
    other, _ = train_teacher(data, space.largest, teacher_recipe, seed=1, device=CPU)
    assert weights_id(other) != weights_id(teacher)


def test_diverging_teacher_is_an_error(data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe) -> None:
    wild = teacher_recipe.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(DassError, match=r"rows diverged .*teacher\.learning_rate"):
        train_teacher(data, space.largest, wild, seed=0, device=CPU)


def test_saved_teacher_loads_and_its_partial_state_is_gone(
    data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe, teacher: ElasticResNet, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def kill(done: int, _: int) -> None:
        if done == 10:
            raise KilledError

    path = tmp_path / "rows.safetensors"
    job = partial(
        train_and_save_teacher, partial(copy.copy, data), space.largest, teacher_recipe, seed=0, device="cpu", path=path
    )
    with pytest.raises(KilledError):
        job(progress=kill)
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.safetensors.partial"]
    card, result = job()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rows.curve.json", "rows.json", "rows.safetensors"]
    network, read = load_teacher(path)
    rounded = copy.deepcopy(teacher)
    assert round_to_half(rounded)
    assert read == card
    assert (card.task, card.classes, card.accuracy, card.data_id) == (
        "rows",
        data.classes,
        result.accuracy,
        data.data_id,
    )
    assert weights_id(network) == weights_id(rounded)


def test_students_start_from_the_remapped_teacher(
    data: TaskData, teacher: ElasticResNet, architectures: list[Architecture], recipe: DistillationRecipe
) -> None:
    recipe = recipe.model_copy(update={"precision": "float32"})
    results = distill(teacher, architectures, data, recipe, seed=0, device=CPU)
    for architecture, result in zip(architectures, results, strict=True):
        start = remap(teacher, architecture).eval()
        with torch.no_grad():
            right = (start(normalize(data.test_images)).argmax(1) == data.test_labels).sum().item()
            batches = list(epoch_batches(data, recipe, 0, 0, "float32"))
            losses = [
                distillation_loss(start(batch.images), batch.labels, teacher(batch.images), 0.5, 6.0).item()
                for batch in batches  # four in an epoch
            ]
        assert result.architecture == architecture and result.network.architecture == architecture
        assert result.init_accuracy == 100 * right / 41
        assert result.kd_loss_at_start == pytest.approx(mean(losses), rel=1e-5)
        assert [point.epoch for point in result.evaluations] == [2, 3]
        assert result.best_accuracy == max(point.accuracy for point in result.evaluations)
        assert result.final_accuracy == result.evaluations[-1].accuracy
        assert result.final_loss == result.evaluations[-1].loss
        assert result.failure == "" and result.seconds > 0


def test_distillation_leaves_the_teacher_as_it_was(
    data: TaskData, teacher: ElasticResNet, architectures: list[Architecture], recipe: DistillationRecipe
) -> None:
    before = weights_id(teacher)
    distill(teacher, architectures[:1], data, recipe, seed=0, device=CPU)
    assert weights_id(teacher) == before


def test_soft_labels_computed_once_give_the_same_students_as_a_live_teacher(
    data: TaskData, teacher: ElasticResNet, architectures: list[Architecture], recipe: DistillationRecipe
) -> None:
    kept = SoftLabels(
        tuple(epoch_soft_labels(teacher, data, recipe, seed=4, epoch=epoch, device=CPU) for epoch in range(3))
    )
    assert kept.epochs[0].shape == (4, 16, 4)
    live = distill(teacher, architectures, data, recipe, seed=4, device=CPU)
    [once] = distill(teacher, architectures[1:2], data, recipe, seed=4, device=CPU, teacher_logits=kept)
    assert weights_id(once.network) == weights_id(live[1].network)
    assert once.evaluations == live[1].evaluations


def test_schedules_too_large_to_keep_are_recognised(data: TaskData, recipe: DistillationRecipe) -> None:
    assert fits(data, recipe)
    assert not fits(data, recipe.model_copy(update={"epochs": 300_000}))


def test_failed_student_is_reported_beside_sound_ones(
    data: TaskData, teacher: ElasticResNet, architectures: list[Architecture], recipe: DistillationRecipe
) -> None:
    def poison(epoch: int, step: int, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 4), math.nan)

    [failed] = distill(teacher, architectures[:1], data, recipe, seed=0, device=CPU, teacher_logits=poison)
    assert failed.failure.startswith("loss became nan in epoch 1")
    assert math.isnan(failed.best_accuracy) and math.isnan(failed.final_accuracy) and math.isnan(failed.final_loss)
    assert 0 <= failed.init_accuracy <= 100


def test_student_larger_than_its_teacher_is_refused(
    data: TaskData, teacher: ElasticResNet, recipe: DistillationRecipe
) -> None:
    with pytest.raises(UsageError, match="exceeds its teacher"):
        distill(teacher, [Architecture(((4,) * 3, (8,), (8,), (16,)))], data, recipe, seed=0, device=CPU)
