"""Images held out of a training part, for every choice that must not see the test part."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.files import content_id

SHARE = 0.1  # of each class's training images
MOST = 2000  # images in all; more say little more


def held_out(data: TaskData, seed: int) -> TaskData:
    """Divides the training images: most train, a tenth of each class is the part to choose by.

    Args:
        data: the task; its test images are left out.
        seed: random seed of the draw.

    Returns:
        The task with the held-out images as its test part; its `data_id` is another.

    Raises:
        UsageError: no class has two training images.
    """
    chosen = _chosen(data, seed)
    train, validation = (torch.from_numpy(np.flatnonzero(part)) for part in (~chosen, chosen))
    return replace(
        data,
        train_images=_rows(data, train),
        train_labels=data.train_labels[train],
        test_images=_rows(data, validation),
        test_labels=data.train_labels[validation],
        data_id=content_id({"data": data.data_id, "held_out": SHARE, "seed": seed}),
    )


def held_out_part(data: TaskData, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and labels that `held_out` takes, without a copy of the others, which may be more than memory holds.

    Raises:
        UsageError: no class has two training images.
    """
    rows = torch.from_numpy(np.flatnonzero(_chosen(data, seed)))
    return _rows(data, rows), data.train_labels[rows]


def _chosen(data: TaskData, seed: int) -> NDArray[np.bool_]:
    """Which training images are held out, [n]."""
    labels = data.train_labels.numpy()
    rng = np.random.default_rng(seed)
    share = min(SHARE, MOST / max(1, len(labels)))
    chosen = np.zeros(len(labels), dtype=bool)
    for label in range(len(data.classes)):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    if not chosen.any():
        raise UsageError(f"{data.name}: no class has two training images, so none can be held out to choose by")
    return chosen


def _rows(data: TaskData, rows: torch.Tensor) -> torch.Tensor:
    """Some training images, channels-last as they were."""
    return data.train_images.permute(0, 2, 3, 1)[rows].permute(0, 3, 1, 2)
