"""A small space, task and recipes that tests of many parts start from; `model_copy(update=...)` makes variants."""

from typing import Any

import torch

from dass.config import Augmentation, DistillationRecipe, Predictor, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

SPACE = SearchSpace((4, 8, 8, 16), 2, (0.5, 1.0), "block")
TEACHER_RECIPE = TeacherRecipe(
    epochs=4,
    batch_size=16,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=0.0005,
    augmentation=Augmentation(flip=True, crop_padding=1),
    precision="float32",
    label_smoothing=0.1,
    warmup_epochs=1,
)
RECIPE = DistillationRecipe(
    epochs=3,
    batch_size=16,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=0.00003,
    augmentation=Augmentation(flip=True, crop_padding=1),
    precision="bfloat16",
    alpha=0.5,
    temperature=6.0,
    evaluations=2,
)


def predictor_settings(**changes: Any) -> Predictor:
    """The block `predictor` of params.yaml, for one episode with two students of each task but for the changes."""
    usual = {"episodes": 1, "query": 2, "inner_steps": 1, "inner_rate": 0.005, "learning_rate": 5e-4}
    return Predictor.model_validate({**usual, "validate_every": 20, **changes})


def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with one bright row of four: easy to learn, not trivial."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    images = torch.randint(0, 120, (count, 16, 16, 3), generator=generator)
    for index, label in enumerate(labels.tolist()):
        images[index, 4 * label : 4 * label + 4] += 60
    return images.to(torch.uint8).permute(0, 3, 1, 2), labels


def rows_task(train: int = 70, test: int = 41) -> TaskData:
    """A task of so many images whose class is the bright row."""
    return TaskData("rows", ("a", "b", "c", "d"), *rows(train, seed=1), *rows(test, seed=2), "0123456789ab")


def is_member(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether a search space has an architecture."""
    try:
        space.check(architecture)
    except UsageError:
        return False
    return True
