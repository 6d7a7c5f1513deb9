"""Search by successive halving: students train, the better half go on, until one is left.

Nothing that was learned is needed, so the method works for any teacher (Jamieson and Talwalkar 2016). Students go on
from where they stopped; none is trained twice.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.device import deterministic, resolve_precision
from dass.errors import DassError
from dass.evaluation.answers import share_interval
from dass.fidelity import Fidelity
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.proxies.k_step import batches, divide, evaluate_held_out
from dass.proxies.one_batch import LOSS, one_batch_rows
from dass.search.budget import RaceSize
from dass.search.candidates import Candidate, sample_candidates
from dass.search.constraints import Constraints
from dass.search.fitting import fitting
from dass.search.method import Progress
from dass.search.result import SearchResult, concluded
from dass.search.select import INTERVAL
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from dass.training.batches import Batch
from dass.training.evaluation import forward
from dass.training.losses import distillation_loss
from dass.training.member import Member

START_SHARE = 0.3  # of a limited time goes to one batch for each candidate,
CHUNK = 8  # so many at a time, between two looks at the clock
FIRST = 10  # steps of the first round; each later one is twice as long


@dataclass(eq=False)
class _Runner:
    """A student in training.

    Attributes:
        architecture: architecture of the network.
        member: network and optimizer; None while it has not started and after it has dropped out.
        steps: number of steps taken so far.
        loss: mean cross entropy on held-out training images.
        accuracy: percent of these.
    """

    architecture: Architecture
    member: Member | None = None
    steps: int = 0
    loss: float = math.inf
    accuracy: float = 0.0


@dataclass(frozen=True, eq=False)
class RaceSearch:
    """Ranks candidates by how far they come; a `SearchMethod`.

    A fifth of the training images, at most 256, is held out and decides; test images are not looked at.

    Attributes:
        space: search space of the teacher's students.
        size: numbers of candidates and of students that train.
        seed: random seed of the sample, and of batch order and augmentation.
        device: device that students train on.
        recipe: recipe of the distillation, at whose full rate students train; None for the usual one.
    """

    space: SearchSpace
    size: RaceSize
    seed: int
    device: torch.device
    recipe: DistillationRecipe | None = None

    @deterministic()
    def rank(self, task: Task, constraints: Constraints, progress: Progress | None = None) -> SearchResult:
        """See `SearchMethod.rank`; progress counts steps of students.

        How far below its teacher a student may stay is not looked at, since a race predicts nothing.

        Returns:
            Those that took steps, the longest first and by loss among equals; `predicted` is their accuracy on held-out
            training images after so many steps, not that after distillation, with its 80% interval.
        """
        started = time.perf_counter()
        data, classes, size = task.data, len(task.data.classes), self.size
        recipe = self.recipe or DistillationRecipe.usual(len(data.train_labels), data.resolution)
        teacher = task.teacher.to(self.device).to(memory_format=torch.channels_last).eval()
        fits = fitting(constraints, resolution=data.resolution, classes=classes, device=self.device)
        drawn = sample_candidates(
            self.space, size.candidates, self.seed, resolution=data.resolution, classes=classes,
            constraints=constraints, passes=fits,
        )  # fmt: skip
        tried = self._best_on_one_batch(teacher, drawn, data, recipe, started)
        runners = [_Runner(architecture) for architecture in tried[: size.students]]
        course = _Course(teacher, data.to(self.device), recipe, self.seed, self.device)
        steps, done = FIRST, 0
        since = time.perf_counter()
        left = math.inf if size.seconds is None else max(0.0, size.seconds - (since - started))
        going: list[_Runner] = []
        for runner in runners:
            if going and not _one_more_fits(len(going), time.perf_counter() - since, left):
                break
            course.run(runner, steps)
            going.append(runner)
            done += steps
            if progress:
                spent = time.perf_counter() - since
                most = _all_steps(len(runners))
                progress(done, most if math.isinf(left) else max(done, min(most, round(done * left / spent))))
        took_part, whole = going, _all_steps(len(going))
        while len(going) > 1:
            going = sorted(going, key=lambda runner: runner.loss)
            for runner in going[len(going) // 2 :]:
                runner.member = None
            going = going[: len(going) // 2]
            if len(going) == 1:
                break
            done, steps = done + steps * len(going), 2 * steps
            for runner in going:
                course.run(runner, steps)
            if progress:
                progress(done, whole)
        finite = [runner for runner in took_part if math.isfinite(runner.loss)]
        if not finite:
            raise DassError(
                f"every student of {data.name} diverged in its first steps: lower distillation.learning_rate"
            )
        ranking = [
            Candidate(
                runner.architecture,
                runner.accuracy,
                task.cost(runner.architecture),
                *share_interval(round(runner.accuracy / 100 * course.looked_at), course.looked_at, INTERVAL),
                fidelity=Fidelity("steps", runner.steps),
            )
            for runner in sorted(finite, key=lambda runner: (-runner.steps, runner.loss))
        ]
        return concluded(task, "", replace(constraints, keep_accuracy=None), ranking, fits, started)

    def _best_on_one_batch(
        self,
        teacher: ElasticResNet,
        drawn: Sequence[Architecture],
        data: TaskData,
        recipe: DistillationRecipe,
        started: float,
    ) -> list[Architecture]:
        """By their loss on one batch, the best first; as many as a part of the time allows, if it is limited."""
        seconds = self.size.seconds
        limit = math.inf if seconds is None else START_SHARE * seconds
        chunk = len(drawn) if seconds is None else CHUNK
        losses: list[float] = []
        for start in range(0, len(drawn), chunk):
            if losses and time.perf_counter() - started > limit:
                break
            rows = one_batch_rows(
                teacher, drawn[start : start + chunk], data, alpha=recipe.alpha, temperature=recipe.temperature,
                seed=self.seed, precision=recipe.precision,
            )  # fmt: skip
            losses += rows[:, LOSS].tolist()
        order = np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")
        return [drawn[index] for index in order]


def _all_steps(students: int) -> int:
    """Steps of all rounds together."""
    whole, steps = FIRST * students, FIRST
    while (students := students // 2) > 1:
        whole, steps = whole + steps * students, 2 * steps
    return whole


def _one_more_fits(students: int, seconds: float, left: float) -> bool:
    """Whether a first round of another student leaves time for the rounds that follow it.

    Args:
        students: number that have taken the first round, at least 1.
        seconds: seconds that they took.
        left: seconds of all rounds together.
    """
    return seconds / students * _all_steps(students + 1) / FIRST <= left


class _Course:
    """The batches that all students see in the same order, with the teacher's logits for them."""

    def __init__(
        self,
        teacher: ElasticResNet,
        data: TaskData,
        recipe: DistillationRecipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self._teacher = teacher
        self._recipe = recipe
        self._device = device
        self._precision = resolve_precision(recipe.precision, device)
        shown, self._held_out = divide(data, recipe.batch_size, self._precision)
        self.looked_at = len(self._held_out.labels)
        self._stream = batches(shown, recipe, seed, self._precision)
        self._seen: list[tuple[Batch, Tensor]] = []

    def run(self, runner: _Runner, steps: int) -> None:
        """Takes a student on to so many steps and looks at it."""
        if runner.member is None:
            runner.member = Member(remap(self._teacher, runner.architecture), self._recipe, self._device)
        for step in range(runner.steps, steps):
            batch, soft = self._batch(step)
            runner.member.step(batch, soft, self._loss, self._recipe.learning_rate, self._precision)
        runner.steps = steps
        accuracy, loss = evaluate_held_out(runner.member.network, self._held_out, self._precision)
        runner.accuracy, runner.loss = 100 * accuracy, loss if math.isfinite(loss) else math.inf

    def _batch(self, step: int) -> tuple[Batch, Tensor]:
        while len(self._seen) <= step:
            batch = next(self._stream)
            with torch.no_grad():
                self._seen.append((batch, forward(self._teacher, batch.images, self._precision)))
        return self._seen[step]

    def _loss(self, logits: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None  # each step has its own
        return distillation_loss(logits, labels, soft, self._recipe.alpha, self._recipe.temperature)
