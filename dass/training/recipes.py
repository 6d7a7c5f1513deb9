"""How teachers are trained and students distilled."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from dass.config import DistillationRecipe, TeacherRecipe, recipe_id
from dass.datasets.task_data import TaskData
from dass.device import device_name, resolve_precision
from dass.errors import DassError
from dass.files import content_id
from dass.networks.checkpoint import TeacherCard, round_to_half, save_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture
from dass.training.batches import Batch, epoch_batches
from dass.training.checkpoint import Checkpoint
from dass.training.curve import Curve, save_curve
from dass.training.evaluation import Evaluation, evaluate, forward
from dass.training.loop import Progress, TeacherLogits, train
from dass.training.losses import distillation_loss, label_loss
from dass.training.member import EpochEvaluation, Loss
from dass.training.soft_labels import live_teacher

CURVE_POINTS = 10  # test evaluations of a teacher, for its learning curve
START_BATCHES = 4  # training batches on which `kd_loss_at_start` is taken


@dataclass(frozen=True)
class TeacherResult:
    """What a teacher reached.

    Attributes:
        accuracy: percent of test images at the end of training.
        loss: mean test cross entropy then.
        evaluations: the learning curve, in order.
        losses: mean training loss of each epoch.
        seconds: training time, that before a resume included.
        recipe_id: 12 hex digits of the recipe of its training.
    """

    accuracy: float
    loss: float
    evaluations: tuple[EpochEvaluation, ...]
    losses: tuple[float, ...]
    seconds: float
    recipe_id: str


@dataclass(frozen=True)
class StudentResult:
    """What a student reached.

    Attributes:
        architecture: architecture of the network.
        seed: random seed of batch order and augmentation.
        init_accuracy: percent of test images, remapped and not yet trained, in eval mode.
        kd_loss_at_start: mean distillation loss then, in eval mode, on the first (up to four) batches of training.
        best_accuracy: maximum over the evaluations; chosen on the test set, as the paper does. NaN if it failed.
        final_accuracy: at the end of training, the honest figure. NaN if it failed.
        final_loss: mean test cross entropy at the end. NaN if it failed.
        evaluations: evaluations, in the order of their epochs.
        seconds: share of the group's wall time, in seconds.
        failure: empty, or why training stopped.
        network: network of the distilled student.
    """

    architecture: Architecture
    seed: int
    init_accuracy: float
    kd_loss_at_start: float
    best_accuracy: float
    final_accuracy: float
    final_loss: float
    evaluations: tuple[EpochEvaluation, ...]
    seconds: float
    failure: str
    network: ElasticResNet


def train_teacher(
    data: TaskData,
    architecture: Architecture,
    recipe: TeacherRecipe,
    *,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[ElasticResNet, TeacherResult]:
    """Trains a teacher from random weights on labels with smoothing.

    Args:
        data: images and labels of the teacher's task.
        architecture: architecture of the teacher.
        recipe: recipe of the training.
        seed: random seed of its weights, batch order and augmentation.
        device: device that the teacher is trained on.
        progress: called with steps done and in all.
        checkpoint: a file in which the run's state is kept while it lasts, so that a killed run goes on; removed by
            the caller once the result is safe. One left by other settings or data is replaced.

    Returns:
        The teacher, in eval mode on `device`, and what it reached.

    Raises:
        DassError: training diverged, or the checkpoint is damaged.
        UsageError: fewer training images than one batch.
    """
    identity = recipe_id(recipe, resolve_precision(recipe.precision, device))
    run = content_id([identity, data.data_id, architecture.to_json(), seed])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ElasticResNet(architecture, len(data.classes))

    def loss(logits: Tensor, labels: Tensor, _: Tensor | None) -> Tensor:
        return label_loss(logits, labels, recipe.label_smoothing)

    [result] = train(
        [network],
        data,
        recipe,
        loss,
        seed=seed,
        device=device,
        warmup_epochs=recipe.warmup_epochs,
        evaluations=min(CURVE_POINTS, recipe.epochs),
        progress=progress,
        checkpoint=Checkpoint(checkpoint, run) if checkpoint else None,
    )
    if result.failure:
        raise DassError(f"the teacher of {data.name} diverged ({result.failure}): lower teacher.learning_rate")
    last = result.evaluations[-1]
    return network.eval(), TeacherResult(
        last.accuracy, last.loss, result.evaluations, result.losses, result.seconds, identity
    )


def train_and_save_teacher(
    load: Callable[[], TaskData],
    architecture: Architecture,
    recipe: TeacherRecipe,
    path: Path,
    *,
    seed: int,
    device: str,
    progress: Progress | None = None,
) -> tuple[TeacherCard, TeacherResult]:
    """Trains a teacher and files it: `train_teacher` as one job, which may run in a worker process.

    While it lasts the run's state is in `<path>.partial`; a killed job goes on from there.

    Args:
        load: function that reads the task's data.
        architecture: architecture of the teacher.
        recipe: recipe of the training.
        path: the weights' file, `<task>.safetensors`; the card goes beside it.
        seed: random seed of its weights, batch order and augmentation.
        device: torch's name of the device.
        progress: called with steps done and in all.

    Raises:
        DassError: training diverged, or a file is damaged or cannot be written.
        UsageError: fewer training images than one batch.
    """
    data, torch_device = load(), torch.device(device)
    partial = path.with_name(f"{path.name}.partial")
    teacher, result = train_teacher(
        data, architecture, recipe, seed=seed, device=torch_device, progress=progress, checkpoint=partial
    )
    if round_to_half(teacher):
        seen = data.to(torch_device)
        reached = evaluate(
            teacher, seen.test_images, seen.test_labels, resolve_precision(recipe.precision, torch_device)
        )
        result = replace(result, accuracy=reached.accuracy, loss=reached.loss)
    card = TeacherCard(
        task=data.name,
        classes=data.classes,
        architecture=architecture,
        resolution=data.resolution,
        accuracy=result.accuracy,
        loss=result.loss,
        teacher_id="",  # filled in from the weights
        data_id=data.data_id,
        train_images=len(data.train_labels),
        recipe_id=result.recipe_id,
        seed=seed,
        seconds=result.seconds,
        device=device_name(torch_device),
    )
    save_curve(path, Curve(result.evaluations, result.losses))
    card = save_teacher(path, teacher, card)
    partial.unlink(missing_ok=True)
    return card, result


def distill(
    teacher: ElasticResNet,
    architectures: Sequence[Architecture],
    data: TaskData,
    recipe: DistillationRecipe,
    *,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
    teacher_logits: TeacherLogits | None = None,
) -> list[StudentResult]:
    """Distils a group of students side by side, each from its remapped start, stem and classifier included.

    Args:
        teacher: moved to `device`, channels-last, eval mode.
        architectures: the students, none larger than the teacher.
        data: images and labels of the task.
        recipe: recipe of the distillation.
        seed: random seed of batch order and augmentation, the group's.
        device: device that the students are trained on.
        progress: called with steps done and in all.
        teacher_logits: the teacher's logits where they are known already; None to compute them, once per batch.

    Returns:
        One result per architecture, in order; the same whatever group an architecture is in.

    Raises:
        UsageError: an architecture that does not fit the teacher, or fewer training images than one batch.
    """
    precision = resolve_precision(recipe.precision, device)
    data = data.to(device)
    logits_of = teacher_logits or live_teacher(teacher, precision, device)
    students = [remap(teacher, architecture) for architecture in architectures]

    def loss(logits: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None  # the loop was given a teacher
        return distillation_loss(logits, labels, soft, recipe.alpha, recipe.temperature)

    first = list(islice(epoch_batches(data, recipe, seed, 0, precision), START_BATCHES))
    soft_labels = [logits_of(0, step, batch.images) for step, batch in enumerate(first)]
    starts = [_start(student, data, first, soft_labels, loss, precision=precision) for student in students]
    runs = train(
        students,
        data,
        recipe,
        loss,
        seed=seed,
        device=device,
        evaluations=recipe.evaluations,
        teacher=logits_of,
        progress=progress,
    )
    results = []
    for architecture, student, start, run in zip(architectures, students, starts, runs, strict=True):
        sound = run.evaluations if not run.failure else (EpochEvaluation(0, math.nan, math.nan),)
        results.append(
            StudentResult(
                architecture=architecture,
                seed=seed,
                init_accuracy=start.accuracy,
                kd_loss_at_start=start.loss,
                best_accuracy=max(point.accuracy for point in sound),
                final_accuracy=sound[-1].accuracy,
                final_loss=sound[-1].loss,
                evaluations=run.evaluations,
                seconds=run.seconds,
                failure=run.failure,
                network=student.eval(),
            )
        )
    return results


@torch.no_grad()
def _start(
    student: ElasticResNet,
    data: TaskData,
    batches: list[Batch],
    soft_labels: list[Tensor],
    loss: Loss,
    *,
    precision: str,
) -> Evaluation:
    """Test accuracy of a student before training, and its distillation loss on some batches."""
    student.to(data.test_labels.device).to(memory_format=torch.channels_last).eval()
    losses = [
        loss(forward(student, batch.images, precision), batch.labels, soft).item()
        for batch, soft in zip(batches, soft_labels, strict=True)
    ]
    return Evaluation(evaluate(student, data.test_images, data.test_labels, precision).accuracy, mean(losses))
