"""Meta-training of the predictor (Eq. 7, Appendix D.2): episodes over all source tasks at once."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from dass.config import Predictor
from dass.device import resolve_device, resolve_precision
from dass.errors import DassError, UsageError
from dass.files import content_id
from dass.predictor.adaptation import adapt
from dass.predictor.episodes import Episodes
from dass.predictor.meta_run import Run, Validation
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale, TaskTensors

# Small products take longer in bfloat16 than in float32 on a CPU. Least CPU milliseconds of an episode in float32 and
# in bfloat16, side by side: preset demo, whose first convolution has 5 million products, 5.9 and 7.3; preset small,
# 57 million, 16.2 and 16.1; 8 tasks of 50 students of a ResNet for CIFAR, 118 million, 30.7 and 23.6.
WORTH_BFLOAT16 = 2**25
VERSION = 2  # of a state that is kept; raised by hand where the same settings and data come to other bits


@dataclass(frozen=True)
class Variant:
    """What is left out of the paper's predictor.

    Attributes:
        inner_steps: steps of the guide, 0 for none; None for as many as the settings say.
        use_student: the student's functional embedding is an input.
        use_teacher: the teacher's functional embedding is an input.
        use_code: the architecture code is an input.
        first_order: no second derivatives in the outer gradient (first-order MAML).
        fixed_rates: the inner rates stay as they start (MAML).
    """

    inner_steps: int | None = None
    use_student: bool = True
    use_teacher: bool = True
    use_code: bool = True
    first_order: bool = False
    fixed_rates: bool = False


WHOLE = Variant()


class MetaLearner:
    """Learns a predictor's start and its inner rates by Adam on the loss after the guide, second order.

    An episode takes every training task: the guide, or some students in its place, adapts the start to each, and the
    loss is the mean squared error of `query` other random students of each. All tasks go through one batched pass. The
    weights kept are those with the highest mean validation SRC.

    Students of an episode depend on `seed` and the episode's number alone, so a run that was stopped goes on to
    exactly the result it would have had.

    Attributes:
        result_: the meta-learned predictor, after `fit`.
        dtype_: number format that `precision` came to.
        best_: the look at which its weights were taken.
        history_: validations, in the order of the episodes.
    """

    def __init__(
        self,
        settings: Predictor,
        variant: Variant = WHOLE,
        *,
        shots: int | None = None,
        seed: int = 0,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
    ) -> None:
        """Stores the settings.

        Args:
            settings: episodes, rates and unit. `query` students of each task are in an episode; at most as many as the
                task with the fewest has.
            variant: parts of the predictor that are left out.
            shots: students of a task that it adapts to in place of the guide's pair (Fig. 3), at least 1, drawn anew in
                each episode; None for the guide.
            seed: random seed of initial weights and queries.
            precision: number format of embeddings and encoders; the guide, the weights and Adam are float32 always.
                `auto` takes bfloat16 where the hardware computes in it and an episode is large enough to gain by it.
            device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.
        """
        self.settings = settings
        self.variant = variant
        self.shots = shots
        self.seed = seed
        self.precision = precision
        self.device = device

    @property
    def inner_steps(self) -> int:
        """Gradient steps of the guide."""
        return self.settings.inner_steps if self.variant.inner_steps is None else self.variant.inner_steps

    def fit(
        self,
        training: Sequence[TaskTensors],
        validation: Sequence[TaskTensors],
        *,
        checkpoint: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Meta-trains.

        Args:
            training: tasks with at least two students each, beside `shots`.
            validation: tasks that choose the weights to keep, likewise.
            checkpoint: a file that keeps the state at every look; a run with the same settings and data goes on
                from it, any other starts anew. Delete it once the result is saved.
            progress: called with (episodes done, episodes).

        Raises:
            UsageError: no tasks, or a task with too few students.
            DassError: tasks of different shapes, the checkpoint is unreadable, or training diverged.
        """
        _check(training, validation, self.shots or 0)
        device = resolve_device(self.device)
        scale = TargetScale(center=0.0, spread=self.settings.unit)
        query = min(self.settings.query, *(len(task.codes) - (self.shots or 0) for task in training))
        self.dtype_ = dtype = self._dtype(len(training) * query, training[0], device)
        run = Run(
            MetaPredictor(self._predictor(training[0]).to(device), {}, self.inner_steps, scale, training[0].statistics),
            training[0].teacher_embedding.shape[-1],
            self.settings.inner_rate,
            self.settings.learning_rate,
            self.variant.fixed_rates,
        )
        source = Episodes(training, run.predictor, scale, query, self.shots, dtype, device)
        held_out = [_moved(task, dtype, device) for task in validation]
        identity = ""
        if checkpoint is not None:
            content = [task.content() for task in (*training, *validation)]
            identity = content_id([VERSION, _settings(self), str(dtype), asdict(scale), len(training), content])
            if checkpoint.exists():
                run.load(checkpoint, identity)

        losses: list[Tensor] = []
        for episode in range(run.episode, self.settings.episodes):
            losses.append(self._episode(run, source, episode))
            if (episode + 1) % self.settings.validate_every == 0 or episode + 1 == self.settings.episodes:
                loss = float(torch.stack(losses).mean())
                losses.clear()
                src = _mean_src(run.meta_predictor(), held_out, self.shots, self.seed)
                if not np.isfinite([loss, src]).all():
                    raise DassError(f"meta-training diverged before episode {episode + 1}: lower predictor.inner_rate")
                run.record(Validation(episode + 1, loss, src))
                if checkpoint is not None:
                    run.save(checkpoint, identity)
            if progress:
                progress(episode + 1, self.settings.episodes)
        self.history_ = tuple(run.history)
        self.best_ = run.best
        self.result_ = run.best_predictor()
        return self

    def _dtype(self, students: int, task: TaskTensors, device: torch.device) -> torch.dtype:
        """Number format of an episode of so many students."""
        channels, side = task.teacher_embedding.shape[0], task.teacher_embedding.shape[-1]
        products = students * ((side + 1) // 2) ** 2 * 9 * channels * (channels // 2)  # of the first convolution
        if self.precision == "auto" and device.type == "cpu" and products < WORTH_BFLOAT16:
            return torch.float32
        return torch.bfloat16 if resolve_precision(self.precision, device) == "bfloat16" else torch.float32

    def _predictor(self, task: TaskTensors) -> DassPredictor:
        return DassPredictor(
            len(task.teacher_embedding),
            len(task.teacher_code),
            use_student=self.variant.use_student,
            use_teacher=self.variant.use_teacher,
            use_code=self.variant.use_code,
            seed=self.seed,
        )

    def _episode(self, run: Run, source: Episodes, episode: int) -> Tensor:
        drawn = source.draw(np.random.default_rng([self.seed, episode]))
        layers = adapt(
            run.predictor,
            run.weights,
            run.rates,
            drawn.support,
            self.inner_steps,
            first_order=self.variant.first_order,
            differentiable=True,
        )
        loss = (run.predictor(drawn.query, layers) - drawn.query.targets).square().mean()
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        return loss.detach()


def _settings(learner: MetaLearner) -> dict[str, Any]:
    """A learner's settings, without the unit, which is in the scale of the targets."""
    names = {"episodes", "query", "inner_rate", "learning_rate", "validate_every"}
    return {
        **learner.settings.model_dump(include=names),
        **asdict(learner.variant),
        "inner_steps": learner.inner_steps,
        "seed": learner.seed,
        "precision": learner.precision,
        "device": learner.device,
        **({} if learner.shots is None else {"shots": learner.shots}),  # as keys were before there was a choice
    }


def _check(training: Sequence[TaskTensors], validation: Sequence[TaskTensors], shots: int) -> None:
    if not training or not validation:
        raise UsageError("meta-training needs at least one training and one validation task: see source in params.yaml")
    first = training[0]
    for task in (*training, *validation):
        if len(task.codes) < shots + 2:
            raise UsageError(
                f"task {task.name} has {len(task.codes)} usable students: {shots + 2} are needed, distil more"
            )
        if (
            task.codes.shape[1:] != first.codes.shape[1:]
            or task.teacher_embedding.shape != first.teacher_embedding.shape
            or task.statistics != first.statistics
        ):
            raise DassError(
                f"tasks {first.name} and {task.name} are of different search spaces, resolutions or statistics"
            )


def _moved(task: TaskTensors, dtype: torch.dtype, device: torch.device) -> TaskTensors:
    return TaskTensors(
        task.name,
        task.teacher_embedding.to(device),
        task.teacher_code.to(device),
        task.teacher_accuracy,
        task.student_embeddings.to(device, dtype),
        task.codes.to(device),
        task.accuracies,
        task.statistics,
    )


def _mean_src(predictor: MetaPredictor, tasks: Sequence[TaskTensors], shots: int | None, seed: int) -> float:
    """Mean Spearman correlation; 0 for a task where all predictions or all accuracies are equal.

    With shots, so many students of a task are shown, the same at every look, and the others ranked.
    """
    from scipy.stats import spearmanr

    values = []
    for task in tasks:
        shown = np.random.default_rng(seed).permutation(len(task.codes))[: shots or 0]
        ranked = np.setdiff1d(np.arange(len(task.codes)), shown)
        if shots is None:
            adapted = predictor.adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy)
        else:
            adapted = predictor.adapt_to_students(
                task.teacher_embedding, task.student_embeddings[shown], task.codes[shown], task.accuracies[shown]
            )
        predictions = adapted.predict(task.student_embeddings[ranked], task.codes[ranked]).numpy()
        accuracies = task.accuracies.numpy()[ranked]
        flat = np.ptp(predictions) == 0 or np.ptp(accuracies) == 0
        values.append(0.0 if flat else spearmanr(predictions, accuracies).statistic)
    return float(np.mean(values))
