"""What the records of a task's students are filed under."""

import torch

from dass.config import DistillationRecipe, recipe_ids
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.networks.checkpoint import weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.students.record import TaskKey


def task_key(data: TaskData, teacher: ElasticResNet, recipe: DistillationRecipe, device: torch.device) -> TaskKey:
    """What students distilled with these arguments are filed under."""
    own, *others = recipe_ids(recipe, resolve_precision(recipe.precision, device))
    return TaskKey(data.name, data.data_id, weights_id(teacher), own, tuple(others))
