"""The one training loop: a teacher alone, or a group of students on the same batches."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dass.config import Recipe
from dass.datasets.task_data import TaskData
from dass.device import deterministic, resolve_precision
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.batches import epoch_batches, steps_per_epoch
from dass.training.checkpoint import Checkpoint, TrainingState
from dass.training.member import EpochEvaluation, Loss, Member
from dass.training.steps import steps_on

TeacherLogits = Callable[[int, int, Tensor], Tensor]
"""(epoch, step, images [b, 3, h, w]) -> the teacher's logits [b, classes] for that batch."""

Progress = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True)
class TrainingRun:
    """What became of one network.

    Attributes:
        evaluations: in order; the last is at the end of training unless training failed.
        losses: mean training loss of each finished epoch.
        seconds: share of the wall time, in seconds: the group's, divided by its size.
        failure: empty, or why training stopped.
    """

    evaluations: tuple[EpochEvaluation, ...]
    losses: tuple[float, ...]
    seconds: float
    failure: str


@deterministic()
def train(
    networks: Sequence[ElasticResNet],
    data: TaskData,
    recipe: Recipe,
    loss: Loss,
    *,
    seed: int,
    device: torch.device,
    warmup_epochs: int = 0,
    evaluations: int = 1,
    teacher: TeacherLogits | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[TrainingRun]:
    """Trains networks in place, all on the same batches, by SGD with Nesterov momentum on all their parameters.

    What a network comes to depends on its start, the data, the recipe, the seed and the hardware, not on the
    group it is in: trained alone it gets the same weights, bit for bit. A network whose loss is no longer
    finite stops at the end of that epoch; the others go on.

    Args:
        networks: the group; left on `device` with channels-last weights.
        data: images and labels of the task.
        recipe: recipe with epochs, rates, augmentation and precision.
        loss: loss that each network minimises.
        seed: random seed of batch order and augmentation.
        device: device to train on.
        warmup_epochs: epochs of linear warm-up, within the recipe's.
        evaluations: test evaluations, evenly spaced, the last at the end.
        teacher: gives the teacher's logits, asked once per batch for the whole group; None to train on labels.
        progress: called after each step with steps done and in all.
        checkpoint: rewritten after each epoch; a killed call goes on from it to the same weights, bit for bit.
            None for no checkpoints.

    Returns:
        One result per network.

    Raises:
        UsageError: fewer training images than one batch.
        DassError: the checkpoint is damaged or cannot be written.
    """
    precision = resolve_precision(recipe.precision, device)
    data = data.to(device)
    steps = steps_per_epoch(data, recipe)
    evaluated = evaluation_epochs(recipe.epochs, evaluations)
    members = [Member(network, recipe, device) for network in networks]
    done, elapsed = _resume(members, checkpoint)
    started = time.perf_counter() - elapsed
    taking = steps_on(device, loss, precision)
    for epoch in range(done, recipe.epochs):
        running = [member for member in members if not member.failure]
        try:
            for step, batch in enumerate(epoch_batches(data, recipe, seed, epoch, precision) if running else ()):
                rate = learning_rate(recipe, epoch * steps + step, steps, warmup_epochs)
                taking.take(running, batch, teacher(epoch, step, batch.images) if teacher else None, rate)
                if progress:
                    progress(epoch * steps + step + 1, recipe.epochs * steps)
        finally:
            taking.wait()
        for member in running:
            member.end_epoch(epoch + 1, data if epoch + 1 in evaluated else None, precision)
        if checkpoint:
            elapsed = time.perf_counter() - started
            checkpoint.save(TrainingState(epoch + 1, elapsed, [member.state() for member in members]))
    seconds = (time.perf_counter() - started) / max(len(members), 1)
    return [TrainingRun(tuple(member.evaluations), tuple(member.losses), seconds, member.failure) for member in members]


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, warmup_epochs: int) -> float:
    """Rate of a step: linear from 0 over the warm-up, then half a cosine from the full rate to 0.

    Appendix D.3 names the rate alone; the cosine over all steps is that of the authors' released code.

    Args:
        recipe: recipe with the full learning rate and the number of epochs.
        step: number of the step over all epochs, from 0.
        steps_per_epoch: steps in an epoch.
        warmup_epochs: epochs of warm-up.
    """
    warmup = min(warmup_epochs, recipe.epochs) * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    share = (step - warmup) / (recipe.epochs * steps_per_epoch - warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def evaluation_epochs(epochs: int, evaluations: int) -> list[int]:
    """The epochs, 1-based and ascending, after which a network is evaluated; the last is always `epochs`."""
    return sorted({max(1, round(epochs * (i + 1) / evaluations)) for i in range(evaluations)})


def _resume(members: list[Member], checkpoint: Checkpoint | None) -> tuple[int, float]:
    """Puts members where a checkpoint left them; gives epochs done and seconds spent."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return 0, 0.0
    for member, saved in zip(members, state.members, strict=True):
        member.restore(saved)
    return state.epoch, state.seconds
