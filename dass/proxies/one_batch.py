"""Proxies of tens of milliseconds: remapped students on one batch of training images, with its batch-norm statistics.

Batch-norm statistics that a student takes over are those of the whole teacher and wrong for a part of it. With those
of one batch the remapped student sees something before any training, and what it sees tells much about where
distillation will lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.families.blocks import Block, Conv
from dass.families.family import Family
from dass.fidelity import ONE_BATCH
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.run_block import relu_, run_block
from dass.proxies.proxy import StoredProxy, Subject
from dass.proxies.table import Column, Floats, Measure
from dass.space.architecture import Architecture
from dass.training.batches import PRECISIONS
from dass.training.evaluation import predict
from dass.training.losses import distillation_loss

IMAGES = 256
ACCURACY, LOSS = 0, 1  # indices of these columns
MEASURES: tuple[Measure, ...] = ("accuracy", "loss", "kd_loss", "agreement")


class OneBatch(StoredProxy):
    """Accuracy, losses and likeness to the teacher of remapped students on one batch."""

    fidelity = ONE_BATCH
    name = "recalibrated"  # as the files of version 0.1 are named
    images = IMAGES
    students_per_job = (16, 64)  # enough to share what is common, few enough to lose little

    def columns(self, stages: int) -> tuple[Column, ...]:
        """See `Proxy.columns`."""
        return (
            *(Column(f"one_batch_{measure}", ONE_BATCH, measure) for measure in MEASURES),
            *Column.for_stages("similarity", ONE_BATCH, stages),
            Column("one_batch_error", ONE_BATCH),
        )

    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """See `Proxy.rows`."""
        recipe = subject.recipe
        return one_batch_rows(
            subject.teacher,
            architectures,
            subject.load(),
            alpha=recipe.alpha,
            temperature=recipe.temperature,
            precision=recipe.precision,
            seed=subject.seed,
        )


@torch.inference_mode()
def one_batch_rows(
    teacher: ElasticResNet,
    architectures: Sequence[Architecture],
    data: TaskData,
    *,
    alpha: float,
    temperature: float,
    images: int = IMAGES,
    seed: int = 0,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
) -> Floats:
    """Accuracy, losses and likeness to the teacher of remapped students on one batch.

    Columns: accuracy (0..1), cross entropy, distillation loss, share of images on which student and teacher agree,
    linear CKA (Kornblith et al. 2019) between their pooled features behind each stage, and the norm of the difference
    of their last pooled features over that of the teacher's.

    Students with a common beginning share its computation.

    Args:
        teacher: the trained network, on the device that computes; not changed.
        architectures: architectures of the n students.
        data: the task; its test images are not looked at.
        alpha: weight of the labels in the distillation loss, 0..1.
        temperature: temperature T of the distillation loss, above 0.
        images: training images in the batch, or all where there are fewer; not augmented.
        seed: random seed of their draw.
        precision: number format of convolutions: `auto`, `float32` or `bfloat16`.

    Returns:
        [n, f], columns as of `OneBatch`.
    """
    device = teacher.device
    resolved = resolve_precision(precision, device)
    chosen = torch.from_numpy(np.random.default_rng(seed).permutation(len(data.train_labels))[:images])
    pictures = data.train_images[chosen.to(data.train_images.device)].to(device)
    labels = data.train_labels[chosen.to(data.train_labels.device)].to(device)
    soft = predict(teacher, pictures, resolved)
    walk = _Walk(teacher, normalize(pictures, PRECISIONS[resolved]))

    whole = walk.go(teacher.architecture).pooled
    reference, last = [_centered_gram(pooled) for pooled in whole], whole[-1]
    rows = np.empty((len(architectures), len(MEASURES) + len(whole) + 1))
    order = sorted(range(len(architectures)), key=lambda i: (str(architectures[i].family), architectures[i].widths))
    for index in order:
        seen = walk.go(architectures[index])
        logits = seen.logits
        predicted = logits.argmax(1)
        measured = [
            (predicted == labels).double().mean(),
            F.cross_entropy(logits, labels),
            distillation_loss(logits, labels, soft, alpha, temperature),
            (predicted == soft.argmax(1)).double().mean(),
            *(_alignment(_centered_gram(pooled), gram) for pooled, gram in zip(seen.pooled, reference, strict=True)),
            (F.pad(seen.pooled[-1], (0, last.shape[1] - seen.pooled[-1].shape[1])) - last).norm() / last.norm(),
        ]
        rows[index] = torch.stack([value.double() for value in measured]).cpu().numpy()
    return rows


@dataclass(frozen=True)
class _Seen:
    """What a student makes of the batch.

    Attributes:
        logits: outputs before softmax, float32 [n, classes].
        pooled: behind each stage, float32 [n, c].
    """

    logits: Tensor
    pooled: tuple[Tensor, ...]


@dataclass(frozen=True)
class _Step:
    """A block that was carried out.

    Attributes:
        block: description of the block.
        features: [n, c, h, w] behind it.
    """

    block: Block
    features: Tensor

    @cached_property
    def pooled(self) -> Tensor:
        """Mean over pixels, float32 [n, c]; wanted of the last blocks of stages only."""
        return self.features.float().mean((2, 3))


class _Walk:
    """Runs students one after the other and keeps the features of the last one's blocks, for the next to start from.

    In sorted order each distinct beginning is computed once, and no more is held than one student's features.
    """

    def __init__(self, teacher: ElasticResNet, images: Tensor) -> None:
        self._teacher = teacher
        self._apply = _BatchStatistics(teacher)
        images = images if teacher.input is None else teacher.input(images)
        self._images = images.contiguous(memory_format=torch.channels_last)
        self._enter(teacher.architecture.family)

    def _enter(self, family: Family) -> None:
        self._family, self._stem = family, self._images
        for block in family.stem(self._teacher.architecture.widths):
            self._stem = run_block(block, self._stem, self._apply)  # a student takes the first channels
        self._path: list[_Step] = []

    def go(self, architecture: Architecture) -> _Seen:
        if architecture.family != self._family:
            self._enter(architecture.family)
        stages = architecture.stages
        steps = [block for stage in stages for block in stage]
        common = 0
        while common < min(len(steps), len(self._path)) and self._path[common].block == steps[common]:
            common += 1
        del self._path[common:]
        for block in steps[common:]:
            features = self._path[-1].features if self._path else self._stem[:, : block.entering]
            self._path.append(_Step(block, run_block(block, features, self._apply)))
        ends = np.cumsum([len(stage) for stage in stages]) - 1
        pooled = tuple(self._path[end].pooled for end in ends)
        head = self._teacher.head
        return _Seen(F.linear(pooled[-1], head.weight[:, : pooled[-1].shape[1]], head.bias), pooled)


class _BatchStatistics:
    """Convolutions of a student, the first channels of the teacher's, and norms with the batch's statistics."""

    def __init__(self, teacher: ElasticResNet) -> None:
        self._teacher = teacher

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """See `dass.networks.run_block.Apply.relu`."""
        return relu_(self.linear(conv, features))

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.linear`."""
        module, norm = self._teacher.module(conv.name), self._teacher.module(conv.norm)
        assert isinstance(module, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d)
        weight = module.weight[: conv.leaving, : features.shape[1]].to(features.dtype)
        weight = weight.contiguous(memory_format=torch.channels_last)
        outputs = F.conv2d(features, weight, stride=module.stride, padding=module.padding)
        scale, shift = norm.weight[: conv.leaving], norm.bias[: conv.leaving]
        return F.batch_norm(outputs, None, None, scale, shift, training=True, eps=norm.eps)

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """See `Apply.add_relu`."""
        outputs = self.linear(conv, features)
        outputs[:, : added.shape[1]].add_(added)  # the other channels have nothing to be added
        return relu_(outputs)


def _centered_gram(features: Tensor) -> Tensor:
    """[n, n] inner products of features [n, c], centered."""
    features = features - features.mean(0)
    return features @ features.T


def _alignment(first: Tensor, second: Tensor) -> Tensor:
    """Linear CKA of two centered Gram matrices."""
    return (first * second).sum() / (first.norm() * second.norm())
