"""DisWOT: how alike teacher and student are before any training.

Dong, Li and Wei (2023), "DisWOT: Student Architecture Search for Distillation WithOut Training". One batch of 64
training images without augmentation; batch norms of teacher and student alike use the batch's own statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dass.baselines.methods.probes import probe_batch, random_network, scratch_copy
from dass.baselines.ranker import Ranker, Settings
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.batches import Batch

STARTS = ("random", "trained teacher", "remapped")


@dataclass(frozen=True)
class View:
    """What a network makes of a batch.

    Attributes:
        features: float [b, c, h, w] before pooling.
        gradient: float [classes, c], of the mean cross entropy by the classifier's weights.
    """

    features: Tensor
    gradient: Tensor


class DisWOT(Ranker):
    """Relation plus semantic term, for three ways to initialise.

    The authors initialise both networks at random. With teachers and students that share weights there are two more:
    the trained teacher beside a random student, and beside the student with the teacher's weights.
    """

    def __init__(
        self,
        start: Literal["random", "trained teacher", "remapped"] = "random",
        *,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        """Stores the settings.

        Args:
            start: `random` for both, `trained teacher` beside a random student, or `remapped` for the trained teacher
                beside its remapped student.
            batch_size: number of images in the batch.
            seed: random seed of weights and batch.
        """
        self.start = start
        self.batch_size = batch_size
        self.seed = seed

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(**options, seed=settings.seed)

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Similarities, at most 0.

        Raises:
            UsageError: the start is unknown.
        """
        if self.start not in STARTS:
            raise UsageError(f"unknown start {self.start!r}: one of {', '.join(STARTS)}")
        device, classes = task.teacher.device, len(task.data.classes)
        batch = probe_batch(task.data, self.batch_size, self.seed, device)
        if self.start == "random":
            # Not the seed of the students: the largest of them would be the teacher itself.
            teacher = random_network(task.teacher.architecture, classes, self.seed + 1, device)
        else:
            teacher = scratch_copy(task.teacher)
        target = view_of(teacher, batch)
        scores = []
        for architecture in architectures:
            if self.start == "remapped":
                student = remap(task.teacher, architecture).train()
            else:
                student = random_network(architecture, classes, self.seed, device)
            seen = view_of(student, batch)
            scores.append(relation(target.features, seen.features) + semantic(target.gradient, seen.gradient))
        return np.array(scores, dtype=np.float64)


@torch.no_grad()
def view_of(network: ElasticResNet, batch: Batch) -> View:
    """Features and classifier gradient, the latter in closed form: (softmax - one-hot)^T pooled / b.

    Args:
        network: in train mode; its running statistics change.
        batch: images and labels of the batch of size b.
    """
    features = network.features(batch.images)
    pooled = network.pool(features).flatten(1)
    errors = network.head(pooled).softmax(1) - F.one_hot(batch.labels, network.classes)
    return View(features, errors.T @ pooled / len(pooled))


def relation(teacher: Tensor, student: Tensor) -> float:
    """-||G_T - G_S||^2 / b^2, with G the images' Gram matrix, each row scaled to unit length.

    Args:
        teacher: features of the teacher, [b, c, h, w].
        student: features of the student, [b, c', h', w'].
    """
    grams = [F.normalize(flat @ flat.T) for flat in (teacher.flatten(1), student.flatten(1))]
    return -float((grams[0] - grams[1]).square().sum()) / len(teacher) ** 2


def semantic(teacher: Tensor, student: Tensor) -> float:
    """-mean over classes and channels of the squared distance between rows of the channels' outer products.

    The outer product of a class's gradient g with itself has the rows g_i g; scaled to unit length they are
    sign(g_i) g / |g|. So the rows of two networks have the inner product sign(g_i) sign(g'_i) cos(g, g'), and no
    outer product need be formed.

    Args:
        teacher: classifier gradient of the teacher, [classes, c].
        student: likewise; channels that it lacks, where the last stage is narrower, count as zeros.
    """
    student = F.pad(student, (0, teacher.shape[1] - student.shape[1]))
    cosines = (F.normalize(teacher) * F.normalize(student)).sum(1, keepdim=True)
    signs = teacher.sign(), student.sign()  # a row of zeros stays one: length 0, not 1
    distances = signs[0].square() + signs[1].square() - 2 * signs[0] * signs[1] * cosines
    return -float(distances.mean())
