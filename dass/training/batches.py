"""The batches of an epoch: shuffled, augmented and normalised on the device, the same for every network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dass.config import Recipe
from dass.datasets.augment import augment, normalize
from dass.datasets.task_data import TaskData
from dass.errors import UsageError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        images: float32 or bfloat16 [b, 3, h, w] in -1..1, channels-last strides.
        labels: class of each image of the batch, int64 [b].
    """

    images: Tensor
    labels: Tensor


def steps_per_epoch(data: TaskData, recipe: Recipe) -> int:
    """Whole batches in the training images; the last, partial one is left out.

    Raises:
        UsageError: there is not one whole batch.
    """
    steps = len(data.train_labels) // recipe.batch_size
    if steps == 0:
        raise UsageError(
            f"task {data.name} has {len(data.train_labels)} training images, fewer than one batch of "
            f"{recipe.batch_size}: lower batch_size"
        )
    return steps


def epoch_batches(data: TaskData, recipe: Recipe, seed: int, epoch: int, precision: str) -> Iterator[Batch]:
    """Yields the batches of one epoch.

    Order and augmentation come from a generator seeded with (seed, epoch) and nothing else, so they do not depend
    on which networks train, on what ran before or on the device.

    Args:
        data: the task; batches are made where its labels are, whether all images are there or not.
        recipe: recipe with batch size and augmentation.
        seed: random seed of the run.
        epoch: number of the epoch, from 0.
        precision: `float32` or `bfloat16`, of the images.
    """
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    )
    device = data.train_labels.device
    order = torch.randperm(len(data.train_labels), generator=generator).to(device)
    rows = data.train_images.permute(0, 2, 3, 1)  # whole rows of memory, which gather fastest
    for step in range(steps_per_epoch(data, recipe)):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        images = rows.index_select(0, chosen.to(rows.device)).to(device).permute(0, 3, 1, 2)
        if recipe.augmentation.flip or recipe.augmentation.crop_padding:
            images = augment(images, generator, recipe.augmentation.flip, recipe.augmentation.crop_padding)
        yield Batch(normalize(images, PRECISIONS[precision]), data.train_labels.index_select(0, chosen))
