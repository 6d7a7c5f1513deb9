"""The teacher's logits for every batch of a schedule.

Batches depend on the seed alone, so all students of a task with one seed see the same ones, and the teacher need
look at each only once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dass.config import Recipe
from dass.datasets.task_data import TaskData
from dass.device import deterministic, resolve_precision
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.batches import epoch_batches, steps_per_epoch
from dass.training.evaluation import forward
from dass.training.loop import TeacherLogits

KEPT_BYTES = 256 * 2**20  # schedules up to this size are kept; beyond it the teacher looks at each batch again


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's logits for a whole schedule.

    Attributes:
        epochs: outputs of each epoch, float32 [steps, b, classes] on the CPU.
    """

    epochs: tuple[Tensor, ...]

    def __call__(self, epoch: int, step: int, images: Tensor) -> Tensor:
        """The logits of a batch, as `TeacherLogits`, on the images' device."""
        return self.epochs[epoch][step].to(images.device, non_blocking=True)


@deterministic()
def epoch_soft_labels(
    teacher: ElasticResNet, data: TaskData, recipe: Recipe, *, seed: int, epoch: int, device: torch.device
) -> Tensor:
    """The teacher's logits for one epoch's batches, the same bits as `live_teacher` gives.

    Args:
        teacher: network of the teacher.
        data: images and labels of the task.
        recipe: recipe with batch size, augmentation and precision.
        seed: random seed of batch order and augmentation.
        epoch: number of the epoch, from 0.
        device: device to compute on.

    Returns:
        float32 [steps, b, classes] on the CPU.
    """
    precision = resolve_precision(recipe.precision, device)
    logits_of = live_teacher(teacher, precision, device)
    batches = epoch_batches(data.to(device), recipe, seed, epoch, precision)
    return torch.stack([logits_of(epoch, step, batch.images).cpu() for step, batch in enumerate(batches)])


def live_teacher(teacher: ElasticResNet, precision: str, device: torch.device) -> TeacherLogits:
    """A teacher that looks at each batch as it comes.

    Args:
        teacher: moved to `device`, channels-last, eval mode.
        precision: number format of the computation, `float32` or `bfloat16`.
        device: device of the batches.
    """
    teacher.to(device).to(memory_format=torch.channels_last).eval()

    def look(_epoch: int, _step: int, images: Tensor) -> Tensor:
        with torch.no_grad():
            return forward(teacher, images, precision)

    return look


def fits(data: TaskData, recipe: Recipe) -> bool:
    """Whether a schedule's logits are small enough to be kept."""
    batches = steps_per_epoch(data, recipe) * recipe.epochs
    return 4 * batches * recipe.batch_size * len(data.classes) <= KEPT_BYTES
