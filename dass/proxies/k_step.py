"""Proxies of a second: the first steps of distillation."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.device import deterministic, resolve_precision
from dass.fidelity import STEPS, Fidelity
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.proxies.proxy import InWorker, StoredProxy, Subject
from dass.proxies.table import Column, Floats, Measure
from dass.space.architecture import Architecture
from dass.training.batches import PRECISIONS, Batch, epoch_batches
from dass.training.evaluation import forward
from dass.training.losses import distillation_loss
from dass.training.member import Member

HELD_OUT = 256
SHARE = 0.2  # of the training images, at most, are held out
MEASURES: tuple[Measure, ...] = ("kd_loss", "accuracy", "loss")


class KStep(StoredProxy):
    """Losses and accuracy on held-out training images after 5, 10, 20 and 50 steps of distillation, up to a number.

    Args:
        steps: number of steps, one of `STEPS`; the longer training of a student in a file serves too.
    """

    fidelity = Fidelity("steps", STEPS[0])
    name = "sprint"  # as the files of version 0.1 are named
    images = HELD_OUT
    students_per_job = (1, 1)

    def __init__(self, steps: int) -> None:
        self.fidelity = Fidelity("steps", steps)

    @classmethod
    def at(cls, fidelity: Fidelity) -> Self | None:
        """See `Proxy.at`."""
        return cls(fidelity.steps) if fidelity.kind == "steps" else None

    def columns(self, stages: int) -> tuple[Column, ...]:
        """See `Proxy.columns`: those of all lengths up to the number of steps."""
        lengths = [Fidelity("steps", length) for length in STEPS if length <= self.fidelity.steps]
        return tuple(Column(f"{length.key}_{name}", length, name) for length in lengths for name in MEASURES)

    def part(self, count: int) -> float:
        """See `StoredProxy.part`: by the number of steps."""
        return self.fidelity.steps / STEPS[count // len(MEASURES) - 1]

    def prepare(self, in_worker: InWorker) -> Tensor:
        """See `StoredProxy.prepare`: the teacher's logits for the batches, [steps, b, classes]."""
        return in_worker(self._logits)

    def _logits(self, subject: Subject) -> Tensor:
        data = subject.load().to(subject.device)
        return teacher_logits(subject.teacher, data, subject.recipe, self.fidelity.steps, subject.seed)

    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """See `Proxy.rows`."""
        assert subject.shared is not None  # of `prepare`
        data, labels = subject.load().to(subject.device), subject.shared.to(subject.device)
        return np.array(
            [
                k_step(subject.teacher, one, data, subject.recipe, soft_labels=labels, seed=subject.seed)
                for one in architectures
            ]
        )


@deterministic()
def k_step(
    teacher: ElasticResNet,
    architecture: Architecture,
    data: TaskData,
    recipe: DistillationRecipe,
    *,
    soft_labels: Tensor,
    seed: int,
) -> Floats:
    """Takes the first steps of a student's distillation, at the recipe's full rate.

    Read after 5, 10, 20 and 50 steps: the mean distillation loss of the last half of the steps so far, and accuracy
    (0..1) and cross entropy on training images that are held out here. Batch norms use the statistics of these
    images, since a few steps are too few to know those of the data. Test images are not looked at.

    Args:
        teacher: network of the teacher, in eval mode; its weights are the start.
        architecture: architecture of the student.
        data: the task, on the teacher's device.
        recipe: recipe of the distillation.
        soft_labels: the teacher's logits for the batches, [steps, b, classes]; as many steps are taken.
        seed: random seed of batch order and augmentation.

    Returns:
        [f], one value for each of the columns of `KStep`.
    """
    precision = resolve_precision(recipe.precision, teacher.device)
    shown, held_out = divide(data, recipe.batch_size, precision)
    student = remap(teacher, architecture)
    member = Member(student, recipe, teacher.device)

    def loss(logits: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None  # each step has its own
        return distillation_loss(logits, labels, soft, recipe.alpha, recipe.temperature)

    losses: list[Tensor] = []
    read: list[float] = []
    for soft, batch in zip(soft_labels, batches(shown, recipe, seed, precision), strict=False):
        losses.append(member.step(batch, soft, loss, recipe.learning_rate, precision))
        if len(losses) in STEPS:
            tail = torch.stack(losses[len(losses) // 2 :]).mean()
            read += [float(tail), *evaluate_held_out(student, held_out, precision)]
    return np.array(read)


@deterministic()
@torch.no_grad()
def teacher_logits(teacher: ElasticResNet, data: TaskData, recipe: DistillationRecipe, steps: int, seed: int) -> Tensor:
    """The teacher's logits for the batches of a short training.

    Args:
        teacher: trained network of the teacher, in eval mode.
        data: the task, on the teacher's device.
        recipe: recipe of the distillation.
        steps: number of batches.
        seed: random seed of batch order and augmentation.

    Returns:
        float32 [steps, b, classes], on the CPU.
    """
    precision = resolve_precision(recipe.precision, teacher.device)
    shown, _ = divide(data, recipe.batch_size, precision)
    first = islice(batches(shown, recipe, seed, precision), steps)
    return torch.stack([forward(teacher, batch.images, precision).cpu() for batch in first])


@torch.no_grad()
def evaluate_held_out(student: ElasticResNet, held_out: Batch, precision: str) -> tuple[float, float]:
    """Accuracy and cross entropy, with the images' own statistics; the running ones are left as they are."""
    buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
    logits = forward(student, held_out.images, precision)
    for name, buffer in student.named_buffers():
        buffer.copy_(buffers[name])
    accuracy = (logits.argmax(1) == held_out.labels).double().mean()
    return float(accuracy), float(F.cross_entropy(logits, held_out.labels))


def divide(data: TaskData, batch_size: int, precision: str) -> tuple[TaskData, Batch]:
    """The images to train on, at least a batch, and those to look at, drawn the same way for every student.

    Where a batch takes all images, these are looked at.
    """
    count = len(data.train_labels)
    held = min(HELD_OUT, int(SHARE * count), count - batch_size)
    order = torch.from_numpy(np.random.default_rng(0).permutation(count)).to(data.train_labels.device)
    rest, chosen = (order[held:].sort().values, order[:held]) if held > 0 else (order, order[:HELD_OUT])
    shown = replace(data, train_images=data.train_images[rest], train_labels=data.train_labels[rest])
    return shown, Batch(normalize(data.train_images[chosen], PRECISIONS[precision]), data.train_labels[chosen])


def batches(data: TaskData, recipe: DistillationRecipe, seed: int, precision: str) -> Iterator[Batch]:
    """Batches of one epoch after the other, without end."""
    epoch = 0
    while True:
        yield from epoch_batches(data, recipe, seed, epoch, precision)
        epoch += 1
