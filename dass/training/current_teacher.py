"""Whether a teacher on disk is the one that training now would give."""

from collections.abc import Callable
from pathlib import Path

import torch

from dass.cards import card_path
from dass.config import TeacherRecipe, recipe_ids
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.errors import DassError
from dass.networks.checkpoint import load_teacher
from dass.space.architecture import Architecture


def is_current(
    path: Path,
    data: TaskData,
    architecture: Architecture,
    recipe: TeacherRecipe,
    *,
    seed: int,
    device: torch.device,
    tell: Callable[[str], None] = lambda line: None,
) -> bool:
    """Whether the teacher at `path` is whole and was trained as it would be now.

    Args:
        path: path of the teacher's weights.
        data: images and labels of the task.
        architecture: architecture that the teacher should have.
        recipe: recipe of its training.
        seed: random seed of its training.
        device: device that would train the teacher.
        tell: called with a line about a teacher that is damaged.
    """
    if not card_path(path).exists():
        return False
    try:
        _, card = load_teacher(path)
    except DassError as error:
        tell(f"{error}; it is trained again")
        return False
    asked = (data.name, data.data_id, architecture, seed)
    return (card.task, card.data_id, card.architecture, card.seed) == asked and card.recipe_id in recipe_ids(
        recipe, resolve_precision(recipe.precision, device)
    )
