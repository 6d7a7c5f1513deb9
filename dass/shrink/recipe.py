"""How `dass shrink` distils, and how long."""

import time

import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture
from dass.training.batches import epoch_batches
from dass.training.evaluation import forward
from dass.training.losses import distillation_loss
from dass.training.member import Member

SEARCH_SHARE = 0.35  # of the time; the rest is for distillation, but for what follows it
RESERVE = 0.08  # of the time, for measuring, filing and the report
PROBED = 4  # steps that are timed, after one that is not
FEWEST_EPOCHS = 10  # below this another student is not worth its time
MOST_EPOCHS = 200
MOST_STUDENTS = 3
MOST_TRIES = 6  # students, where the smallest is looked for that is accurate enough


def shrink_recipe(data: TaskData, epochs: int = 1) -> DistillationRecipe:
    """The usual recipe for a task's images, with so many passes over them."""
    return DistillationRecipe.usual(len(data.train_labels), data.resolution, epochs)


def epoch_seconds(teacher: ElasticResNet, architecture: Architecture, data: TaskData, device: torch.device) -> float:
    """Times some steps of a student's distillation.

    Args:
        teacher: network of the teacher, on `device`.
        architecture: architecture of the student.
        data: images and labels of the task.
        device: device that it will train on.

    Returns:
        Seconds that an epoch will take.
    """
    recipe = shrink_recipe(data)
    precision = resolve_precision(recipe.precision, device)
    member = Member(remap(teacher, architecture), recipe, device)
    batches = epoch_batches(data.to(device), recipe, 0, 0, precision)
    since, steps = time.perf_counter(), 0

    def loss(logits: torch.Tensor, labels: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
        assert soft is not None
        return distillation_loss(logits, labels, soft, recipe.alpha, recipe.temperature)

    for step, batch in enumerate(batches):
        if step == 1:
            since = time.perf_counter()
        if step > PROBED:
            break
        with torch.no_grad():
            soft = forward(teacher, batch.images, precision)
        member.step(batch, soft, loss, recipe.learning_rate, precision).item()
        steps = max(1, step)
    each = (time.perf_counter() - since) / max(1, steps)
    return each * max(1, len(data.train_labels) // recipe.batch_size)


def divide_time(seconds: float, each_epoch: float, students: int, most: int = MOST_STUDENTS) -> tuple[int, int]:
    """How many students are distilled, and for how many epochs each.

    Args:
        seconds: seconds that all may take.
        each_epoch: seconds of one epoch of one student.
        students: number of students to choose from, at least 1.
        most: largest number of students that are distilled.

    Returns:
        1 to `most` students; 1 to 200 epochs, at least 10 where there is more than one student.
    """
    for count in range(min(most, students), 1, -1):
        if (epochs := int(seconds / (count * each_epoch))) >= FEWEST_EPOCHS:
            return count, min(epochs, MOST_EPOCHS)
    return 1, min(max(1, int(seconds / each_epoch)), MOST_EPOCHS)


def enough_minutes(each_epoch: float) -> float:
    """Minutes in which one student at least learns for as long as two would have to.

    Args:
        each_epoch: seconds of one epoch of one student.
    """
    return FEWEST_EPOCHS * each_epoch / (1 - SEARCH_SHARE - RESERVE) / 60
