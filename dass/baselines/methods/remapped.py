"""How good a student is before any training, with its teacher's weights: the most direct look at distillation's start.

Not in the paper's tables. Taken on training images: the accuracies to be predicted are measured on the test images,
and a score that had seen their labels would owe part of its correlation to that. The records' `init_accuracy`, on test
images, is therefore not used.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dass.baselines.methods.probes import probe_batch
from dass.baselines.ranker import Ranker, Settings
from dass.device import resolve_precision
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.batches import PRECISIONS, Batch
from dass.training.evaluation import forward, predict
from dass.training.losses import distillation_loss


class RemappedAccuracy(Ranker):
    """Accuracy or distillation loss of the remapped student.

    The statistics that batch norms take over are those of the whole teacher and wrong for a part of it; measured
    again on one batch they make a student of it that sees something.
    """

    def __init__(
        self,
        measure: Literal["accuracy", "loss"],
        *,
        recalibrate: bool = False,
        images: int = 512,
        batch_size: int = 128,
        alpha: float = 0.5,
        temperature: float = 6.0,
        seed: int = 0,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> None:
        """Stores the settings.

        Args:
            measure: `accuracy`, or `loss` for the negative distillation loss.
            recalibrate: estimate batch-norm statistics again on one batch.
            images: training images looked at, at even distances, not augmented.
            batch_size: training images, drawn at random, for the statistics.
            alpha: weight of the labels in the distillation loss, 0..1.
            temperature: temperature T of the distillation loss, above 0.
            seed: random seed of that draw.
            precision: number format of convolutions, `float32` or `bfloat16`.
        """
        self.measure = measure
        self.recalibrate = recalibrate
        self.images = images
        self.batch_size = batch_size
        self.alpha = alpha
        self.temperature = temperature
        self.seed = seed
        self.precision = precision

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`: with the loss and the precision of the distillation."""
        recipe = settings.distillation
        return cls(
            **options,
            alpha=recipe.alpha,
            temperature=recipe.temperature,
            seed=settings.seed,
            precision=recipe.precision,
        )

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Percent of the training images, or the negative loss.

        Raises:
            UsageError: the measure is unknown.
        """
        if self.measure not in ("accuracy", "loss"):
            raise UsageError(f"unknown measure {self.measure!r}: accuracy or loss")
        device = task.teacher.device
        precision = resolve_precision(self.precision, device)
        labels = task.data.train_labels
        count = min(len(labels), self.images)
        chosen = torch.arange(count, device=labels.device) * len(labels) // count  # the labels may be in order
        images, labels = task.data.train_images[chosen].to(device), labels[chosen].to(device)
        batch = probe_batch(task.data, self.batch_size, self.seed, device) if self.recalibrate else None
        soft = predict(task.teacher, images, precision)
        scores = []
        for architecture in architectures:
            student = remap(task.teacher, architecture).to(memory_format=torch.channels_last)
            if batch:
                recalibrate(student, batch, precision)
            logits = predict(student, images, precision)
            if self.measure == "accuracy":
                scores.append(100 * float((logits.argmax(1) == labels).double().mean()))
            else:
                scores.append(-float(distillation_loss(logits, labels, soft, self.alpha, self.temperature)))
        return np.array(scores, dtype=np.float64)


@torch.no_grad()
def recalibrate(network: ElasticResNet, batch: Batch, precision: str) -> None:
    """Sets every batch norm's running statistics to those of one batch, each layer after those before it.

    Args:
        network: changed in place and left in eval mode.
        batch: batch whose images are used.
        precision: number format of convolutions, `float32` or `bfloat16`.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # nothing of the old remains
    forward(network.train(), batch.images.to(PRECISIONS[precision]), precision)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
