"""Adaptation to students of the target that were really distilled, and what their collection costs (Fig. 3).

As in the paper's code the rivals of the guide are meta-trained for what they do: in each episode some random students
of each source task are the support, and others the query.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dass.baselines.methods.meta_predictors import MetaPredictorRanker
from dass.baselines.ranker import Ranker, Settings, not_fitted
from dass.device import resolve_precision
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.evaluation.tables import CurveRow
from dass.predictor.scorer import score_candidates
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.evaluation import evaluate


class FewShot(Ranker):
    """A predictor whose inner steps see real pairs in place of the teacher's, in meta-training and on the target.

    The only method that is shown accuracies of the target: those of the first `shots` of its known students.

    Attributes:
        meta_: the meta-learned predictor, after `fit`.
    """

    meta_: MetaPredictorRanker | None = None

    def __init__(self, shots: int, meta: MetaPredictorRanker) -> None:
        """Stores the settings.

        Args:
            shots: number of students shown, at least 1.
            meta: what adapts, meta-trained with as many shots; one that is fitted is used as it is.
        """
        self.shots = shots
        self.meta = meta

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(**options, meta=MetaPredictorRanker.of(settings, **options))

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Meta-trains the predictor, unless that was done before."""
        if self.meta.predictor_ is None:
            self.meta.fit(training, validation)
        self.meta_ = self.meta
        return self

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Predicted accuracies in percent of students that were not shown.

        Args:
            task: the target, with at least `shots` known students; `reveal` makes one.
            architectures: architectures of students that were not shown.

        Raises:
            UsageError: not fitted, too few known students, or one of those shown is to be scored.
        """
        if self.meta_ is None or self.meta_.predictor_ is None:
            raise not_fitted(self)
        if not 1 <= self.shots <= len(task.accuracies):
            raise UsageError(f"{self.shots} students of {task.name} are to be shown, {len(task.accuracies)} are known")
        shown = task.architectures[: self.shots]
        if set(shown) & set(architectures):
            raise UsageError(f"a student of {task.name} is both shown and to be ranked: leave out those shown")
        tensors = task.tensors(self.meta_.predictor_.statistics)
        adapted = self.meta_.predictor_.adapt_to_students(
            tensors.teacher_embedding,
            tensors.student_embeddings[: self.shots],
            tensors.codes[: self.shots],
            tensors.accuracies[: self.shots],
        )
        return score_candidates(adapted, task.teacher, architectures, task.space, task.noise, dtype=task.dtype)


@dataclass(frozen=True)
class Revealed:
    """A target divided into students that may be shown and students to be ranked.

    Attributes:
        task: the target; it knows those that may be shown, in random order, and no others.
        shown: indices of the students that may be shown, int64, in random order.
        held_out: indices of the other students, int64, ascending.
    """

    task: RankingTask
    shown: NDArray[np.int64]
    held_out: NDArray[np.int64]


def reveal(task: RankingTask, count: int, seed: int) -> Revealed:
    """Draws the students that may be shown.

    Args:
        task: the target with all its known students.
        count: how many; the first k of them are what a draw of k gives.
        seed: random seed of the draw.

    Raises:
        UsageError: fewer than two students would be left to rank.
    """
    if count > len(task.accuracies) - 2:
        raise UsageError(
            f"{task.name} has {len(task.accuracies)} known students, too few to show {count} and rank the others: "
            "raise students.per_target or show fewer"
        )
    order = np.random.default_rng(seed).permutation(len(task.accuracies))
    shown, held_out = order[:count], np.sort(order[count:])
    students = tuple(task.architectures[i] for i in shown), tuple(task.accuracies[i] for i in shown)
    return Revealed(replace(task, architectures=students[0], accuracies=students[1]), shown, held_out)


@dataclass(frozen=True)
class FewShotPoint:
    """One point of Fig. 3.

    Attributes:
        target: name of the target.
        draw: number of the draw, from 0.
        shots: how many of it; 0 for the guide, the teacher's own pair.
        seconds: collecting them: the sum of their distillations, or the teacher's one pass over the test images.
        src: Spearman correlation over the students that no number of shots shows in this draw.
        n: number of the students that were ranked.
    """

    target: str
    draw: int
    shots: int
    seconds: float
    src: float
    n: int


def few_shot_curve(
    meta: MetaPredictorRanker,
    rivals: Sequence[FewShot],
    task: RankingTask,
    seconds: Sequence[float],
    *,
    draws: int = 10,
    seed: int = 0,
) -> list[FewShotPoint]:
    """SRC against collecting time; within a draw all numbers of shots, and the guide, rank the same students.

    Args:
        meta: fitted; it adapts to the teacher's pair.
        rivals: fitted, each with another number of shots.
        task: the target with all its known students.
        seconds: what each of them took to distil (`StudentRecord.seconds`).
        draws: number of random orders of the students, at least 1.
        seed: random seed of the first order.

    Raises:
        UsageError: no rivals, fewer than two students would be left to rank, or something is not fitted.
    """
    if meta.predictor_ is None:
        raise not_fitted(meta)
    if not rivals:
        raise UsageError(f"{task.name} or the source tasks have too few students to show some and rank others")
    guide_seconds = _guide_seconds(task)
    points = []
    for draw in range(draws):
        part = reveal(task, max(rival.shots for rival in rivals), seed + draw)
        others = [task.architectures[i] for i in part.held_out]
        accuracies = [task.accuracies[i] for i in part.held_out]
        for count, ranker in ((0, meta), *((rival.shots, rival) for rival in rivals)):
            cost = sum(seconds[i] for i in part.shown[:count]) if count else guide_seconds
            src = float(spearman(ranker.score(part.task, others), accuracies))
            points.append(FewShotPoint(task.name, draw, count, cost, src, len(others)))
    return points


def curve_rows(points: Sequence[FewShotPoint]) -> list[CurveRow]:
    """Means over draws and seeds, target by target and by ascending shots."""
    groups: dict[tuple[str, int], list[FewShotPoint]] = {}
    for point in points:
        groups.setdefault((point.target, point.shots), []).append(point)
    targets = list(dict.fromkeys(point.target for point in points))
    rows = []
    for (target, shots), group in sorted(groups.items(), key=lambda item: (targets.index(item[0][0]), item[0][1])):
        src = np.array([point.src for point in group])
        seconds = float(np.mean([point.seconds for point in group]))
        rows.append(CurveRow(target, shots, seconds, float(src.mean()), float(src.std()), len(group), group[0].n))
    return rows


def _guide_seconds(task: RankingTask) -> float:
    """How long it takes to know the teacher's accuracy."""
    device = task.teacher.device
    started = time.perf_counter()
    data = task.data.to(device)
    evaluate(task.teacher, data.test_images, data.test_labels, resolve_precision("auto", device))
    return time.perf_counter() - started
