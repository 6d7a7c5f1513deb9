"""The one training loop: a teacher alone, or a group of students on the same batches."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dass.config import Recipe
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.batches import Batch, epoch_batches, steps_per_epoch
from dass.training.checkpoint import Checkpoint, TrainingState
from dass.training.evaluation import evaluate, forward

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits [b, classes], labels [b], teacher's logits [b, classes] or None) -> scalar."""

TeacherLogits = Callable[[int, int, Tensor], Tensor]
"""(epoch, step, images [b, 3, h, w]) -> the teacher's logits [b, classes] for that batch."""

Progress = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True)
class EpochEvaluation:
    """A test evaluation during training.

    Attributes:
        epoch: epochs done, 1-based.
        accuracy: percent of test images.
        loss: mean test cross entropy.
    """

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class TrainingRun:
    """What became of one network.

    Attributes:
        evaluations: in order; the last is at the end of training unless training failed.
        losses: mean training loss of each finished epoch.
        seconds: its share of the wall time: the group's, divided by its size.
        failure: empty, or why training stopped.
    """

    evaluations: tuple[EpochEvaluation, ...]
    losses: tuple[float, ...]
    seconds: float
    failure: str


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
        data: the task.
        recipe: epochs, rates, augmentation, precision.
        loss: what each network is trained towards.
        seed: of batch order and augmentation.
        device: where to train.
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
    members = [_Member(network, recipe, device) for network in networks]
    done, elapsed = _resume(members, checkpoint)
    started = time.perf_counter() - elapsed
    for epoch in range(done, recipe.epochs):
        running = [member for member in members if not member.failure]
        for step, batch in enumerate(epoch_batches(data, recipe, seed, epoch, precision) if running else ()):
            rate = learning_rate(recipe, epoch * steps + step, steps, warmup_epochs)
            teacher_logits = teacher(epoch, step, batch.images) if teacher else None
            for member in running:
                member.step(batch, teacher_logits, loss, rate, precision)
            if progress:
                progress(epoch * steps + step + 1, recipe.epochs * steps)
        for member in running:
            member.end_epoch(epoch + 1, data if epoch + 1 in evaluated else None, precision)
        if checkpoint:
            elapsed = time.perf_counter() - started
            checkpoint.save(TrainingState(epoch + 1, elapsed, [member.state() for member in members]))
    seconds = (time.perf_counter() - started) / max(len(members), 1)
    return [TrainingRun(tuple(member.evaluations), tuple(member.losses), seconds, member.failure) for member in members]


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, warmup_epochs: int) -> float:
    """Rate of a step: linear from 0 over the warm-up, then half a cosine from the full rate to 0 (Appendix D.3).

    Args:
        recipe: full rate and epochs.
        step: 0-based, over all epochs.
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


@dataclass
class _Member:
    """One network of the group, with its optimizer and what was seen of it."""

    network: ElasticResNet
    recipe: Recipe
    device: torch.device
    evaluations: list[EpochEvaluation] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    failure: str = ""

    def __post_init__(self) -> None:
        self.network.to(self.device).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
            nesterov=self.recipe.momentum > 0,
            fused=True,
        )
        self._epoch_losses: list[Tensor] = []

    def step(self, batch: Batch, teacher_logits: Tensor | None, loss: Loss, rate: float, precision: str) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        value = loss(forward(self.network, batch.images, precision), batch.labels, teacher_logits)
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()
        self._epoch_losses.append(value.detach())

    def end_epoch(self, epoch: int, data: TaskData | None, precision: str) -> None:
        """Looks at the epoch's losses (only now, so that a GPU never waits) and evaluates where there is data."""
        losses = torch.stack(self._epoch_losses).cpu()
        self._epoch_losses.clear()
        wrong = (~losses.isfinite()).nonzero()
        if len(wrong):
            step = int(wrong[0])
            self.failure = f"loss became {losses[step].item()} in epoch {epoch}, step {step + 1}"
            return
        self.losses.append(losses.double().mean().item())
        if data is None:
            return
        result = evaluate(self.network, data.test_images, data.test_labels, precision)
        if not math.isfinite(result.loss):
            self.failure = f"test loss became {result.loss} after epoch {epoch}"
            return
        self.evaluations.append(EpochEvaluation(epoch, result.accuracy, result.loss))

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "evaluations": [(point.epoch, point.accuracy, point.loss) for point in self.evaluations],
            "losses": self.losses,
            "failure": self.failure,
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.evaluations = [EpochEvaluation(*point) for point in state["evaluations"]]
        self.losses = list(state["losses"])
        self.failure = state["failure"]


def _resume(members: list[_Member], checkpoint: Checkpoint | None) -> tuple[int, float]:
    """Puts members where a checkpoint left them; gives epochs done and seconds spent."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return 0, 0.0
    for member, saved in zip(members, state.members, strict=True):
        member.restore(saved)
    return state.epoch, state.seconds
