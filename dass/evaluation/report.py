"""Methods held against the truth on one target: every number of `reports/correlations.csv`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dass.errors import DassError
from dass.evaluation.correlation import kendall, partial_spearman, pearson, spearman
from dass.evaluation.intervals import (
    Draws,
    Estimate,
    NoiseCeiling,
    Spread,
    bootstrap,
    noise_ceiling,
    spread,
    without_interval,
)
from dass.evaluation.selection import precision_at_k, top1_regret
from dass.evaluation.tables import MEAN, CorrelationRow
from dass.students.record import StudentRecord

RELIABILITY_RULE = 1 - 1 / 2.0**2  # of two seeds, where there are enough students with two
FEWEST_REPEATED = 10
SPREAD_RULE = 2.0  # a ranking counts if accuracies spread at least this many standard errors of one accuracy
TOP = 5
DIFFERENCES = ("src", "partial_src", "src_loss")  # of which the difference to the reference is taken
CEILING = "noise ceiling"


@dataclass(frozen=True)
class GroundTruth:
    """A target's really distilled students.

    Attributes:
        target: name of the target.
        records: one per architecture, of the first seed, sorted by architecture.
        repeats: for each record the accuracy under a second seed, percent, NaN where there is none.
        test_images: number of test images that an accuracy is over.
        teacher_macs: multiply-accumulates of the largest member, of which budgets are shares.
    """

    target: str
    records: tuple[StudentRecord, ...]
    repeats: NDArray[np.float64]
    test_images: int
    teacher_macs: int

    @classmethod
    def of(
        cls, target: str, records: Sequence[StudentRecord], seed: int, test_images: int, teacher_macs: int
    ) -> "GroundTruth":
        """Sorts the records of a target by seed; failed students are left out by the database.

        Raises:
            DassError: there is none of the first seed.
        """
        first = sorted((record for record in records if record.seed == seed), key=lambda record: record.arch_id)
        if not first:
            raise DassError(
                f"{target} has no distilled student of its present teacher, recipe and seed: run its target_students "
                "stage; if they all failed, lower distillation.learning_rate"
            )
        second = {record.arch_id: record.final_accuracy for record in records if record.seed == seed + 1}
        repeats = np.array([second.get(record.arch_id, np.nan) for record in first])
        return cls(target, tuple(first), repeats, test_images, teacher_macs)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """[n] percent, at the end of training."""
        return np.array([record.final_accuracy for record in self.records])

    @property
    def best_accuracies(self) -> NDArray[np.float64]:
        """[n] percent, the best evaluation, by which the paper ranks; chosen on the test set."""
        return np.array([record.best_accuracy for record in self.records])

    @property
    def losses(self) -> NDArray[np.float64]:
        """[n] test cross entropy at the end of training: a finer measure of the same students, lower for better."""
        return np.array([record.final_loss for record in self.records])

    @property
    def sizes(self) -> NDArray[np.float64]:
        """[n, 2] MACs and parameters."""
        return np.array([[record.macs, record.params] for record in self.records], dtype=np.float64)

    @property
    def spread(self) -> Spread:
        """Whether the students differ by more than the test set can tell."""
        return spread(self.accuracies, self.test_images)

    @property
    def counts(self) -> bool:
        """Whether the target enters means, because its students differ by more than chance.

        Where enough students were distilled with a second seed these decide: their reliability is at least
        `RELIABILITY_RULE`. Else the deviation of the accuracies must be twice the standard error of one, and above 0;
        that is the same rule for an error that comes from the test set alone, since a quarter of the variance is then
        chance.
        """
        spread = self.spread
        if self.repeated >= FEWEST_REPEATED:
            there = np.isfinite(self.repeats)
            return bool(spearman(self.accuracies[there], self.repeats[there]) >= RELIABILITY_RULE)
        return 0 < spread.deviation >= SPREAD_RULE * spread.error

    @property
    def repeated(self) -> int:
        """How many students were distilled with a second seed."""
        return int(np.isfinite(self.repeats).sum())

    def ceiling(self, *, resamples: int, confidence: float, seed: int) -> NoiseCeiling | None:
        """The noise ceiling, where at least three students have a second seed."""
        there = np.isfinite(self.repeats)
        if there.sum() < 3:
            return None
        first, second = self.accuracies[there], self.repeats[there]
        return noise_ceiling(first, second, resamples=resamples, confidence=confidence, seed=seed)


def compare(
    ground_truths: Sequence[GroundTruth],
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    budgets: Sequence[float] = (),
    reference: str = "",
    simple: str = "",
) -> list[CorrelationRow]:
    """Every statistic of every method on every target, and its mean over the targets that count.

    A statistic of a method with several seeds is the mean over them. A method that lacks a target has no row of it,
    and no mean where that target counts.

    Args:
        ground_truths: accuracies of the targets' students.
        scores: by method and target, [n] in the order of the target's records, or [seeds, n].
        resamples: number of resamples of the bootstrap over students, at least 1.
        confidence: confidence of the interval, in percent (0..100).
        seed: random seed of the resamples; methods share them, so that differences are paired.
        budgets: shares of the teacher's MACs under which regret and precision are taken too.
        reference: the method to which the others' `DIFFERENCES` are taken; empty for none.
        simple: the method to which the others' `src_gain` is taken, the difference of their SRC; empty for none.
    """
    drawn = {
        method: {
            ground_truth.target: _statistics(ground_truth, by_target[ground_truth.target], budgets, resamples, seed)
            for ground_truth in ground_truths
            if ground_truth.target in by_target
        }
        for method, by_target in scores.items()
    }
    base = drawn.get(reference, {})
    for method, by_target in drawn.items():
        for target, scores_of_target in by_target.items():
            if method != reference and target in base:
                scores_of_target.update(
                    {f"{name}_difference": scores_of_target[name] - base[target][name] for name in DIFFERENCES}
                )
            if method != simple and target in drawn.get(simple, {}):
                scores_of_target["src_gain"] = scores_of_target["src"] - drawn[simple][target]["src"]
    rows: list[CorrelationRow] = []
    counting = [ground_truth.target for ground_truth in ground_truths if ground_truth.counts]
    for method, by_target in drawn.items():
        for ground_truth in ground_truths:
            rows += [
                CorrelationRow.of(
                    method, ground_truth.target, name, draws.estimate(confidence), counts=ground_truth.counts
                )
                for name, draws in by_target.get(ground_truth.target, {}).items()
            ]
            rows += _seed_rows(method, ground_truth, scores[method].get(ground_truth.target))
        if counting and all(target in by_target for target in counting):
            common = [name for name in by_target[counting[0]] if all(name in by_target[t] for t in counting)]
            rows += [
                CorrelationRow.of(
                    method, MEAN, name, Draws.mean([by_target[t][name] for t in counting]).estimate(confidence)
                )
                for name in common
            ]
    return rows


def ceiling_rows(
    ground_truths: Sequence[GroundTruth], *, resamples: int, confidence: float, seed: int
) -> list[CorrelationRow]:
    """The noise ceiling and the SRC of two seeds, as rows of a method `noise ceiling`, where they are known."""
    rows = []
    for ground_truth in ground_truths:
        ceiling = ground_truth.ceiling(resamples=resamples, confidence=confidence, seed=seed)
        if ceiling:
            for metric, estimate in (("src", ceiling.single), ("reliability", ceiling.reliability)):
                rows.append(
                    CorrelationRow.of(CEILING, ground_truth.target, metric, estimate, counts=ground_truth.counts)
                )
    return rows


def best_baseline(rows: Sequence[CorrelationRow], target: str, methods: Sequence[str]) -> CorrelationRow | None:
    """The SRC of that one of the methods which has the highest on a target; None where none was scored."""
    own = [row for row in rows if (row.target, row.metric) == (target, "src") and row.method in methods]
    return max(own, key=lambda row: row.value, default=None)


def estimate_of(rows: Sequence[CorrelationRow], method: str, target: str, metric: str = "src") -> Estimate:
    """One cell of the comparison."""
    [row] = [r for r in rows if (r.method, r.target, r.metric) == (method, target, metric)]
    return Estimate(row.value, row.low, row.high, row.n, row.invalid, row.constant)


def _statistics(
    ground_truth: GroundTruth, scores: NDArray[np.float64], budgets: Sequence[float], resamples: int, seed: int
) -> dict[str, Draws]:
    """Every statistic of a method on one target, the mean over its seeds, which are resampled with the students."""
    by_seed = [_of_seed(ground_truth, values, budgets, resamples, seed) for values in np.atleast_2d(scores)]
    return {name: Draws.over_seeds([draws[name] for draws in by_seed], seed) for name in by_seed[0]}


def _of_seed(
    ground_truth: GroundTruth, scores: NDArray[np.float64], budgets: Sequence[float], resamples: int, seed: int
) -> dict[str, Draws]:
    draw = partial(bootstrap, resamples=resamples, seed=seed)
    point = partial(without_interval, resamples=resamples)
    accuracies = ground_truth.accuracies
    draws = {
        "src": draw(spearman, scores, accuracies),
        "kendall": draw(kendall, scores, accuracies),
        "pearson": draw(pearson, scores, accuracies),
        "partial_src": draw(partial_spearman, scores, accuracies, ground_truth.sizes),
        "src_loss": draw(spearman, scores, -ground_truth.losses),
        "src_best": draw(spearman, scores, ground_truth.best_accuracies),
        "regret": point(top1_regret, scores, accuracies),
        f"precision_at_{TOP}": point(_precision, scores, accuracies),
    }
    for budget in budgets:
        within = ground_truth.sizes[:, 0] <= budget * ground_truth.teacher_macs
        if within.sum() >= 2:
            draws[f"regret_within_{budget:g}"] = point(top1_regret, scores[within], accuracies[within])
        if within.sum() > TOP:
            draws[f"precision_at_{TOP}_within_{budget:g}"] = point(_precision, scores[within], accuracies[within])
    return draws


def _precision(scores: NDArray[np.float64], accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
    return precision_at_k(scores, accuracies, TOP)


def _seed_rows(method: str, ground_truth: GroundTruth, scores: NDArray[np.float64] | None) -> list[CorrelationRow]:
    """How far the seeds of a method differ: deviation of their SRC, and the lowest and highest of them."""
    if scores is None or scores.ndim < 2 or len(scores) < 2:
        return []
    src = spearman(scores, np.broadcast_to(ground_truth.accuracies, scores.shape))
    low, high = float(src.min()), float(src.max())
    return [
        CorrelationRow(
            method,
            ground_truth.target,
            "src_seed_deviation",
            float(src.std(ddof=1)),
            low,
            high,
            len(src),
            counts=ground_truth.counts,
        )
    ]
