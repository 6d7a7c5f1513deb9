"""Methods held against the truth on one target: every number of `reports/correlations.csv`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dass.errors import DassError
from dass.evaluation.correlation import kendall, partial_spearman, pearson, spearman
from dass.evaluation.intervals import Draws, Estimate, NoiseCeiling, Spread, Statistic, bootstrap, noise_ceiling, spread
from dass.evaluation.selection import precision_at_k, top1_regret
from dass.evaluation.tables import MEAN, CorrelationRow
from dass.students.record import StudentRecord

SPREAD_RULE = 2.0  # a ranking counts if accuracies spread at least this many standard errors of one accuracy
TOP = 5


@dataclass(frozen=True)
class Truth:
    """A target's really distilled students.

    Attributes:
        target: its name.
        records: one per architecture, of the first seed, sorted by architecture.
        repeats: for each record the accuracy under a second seed, percent, NaN where there is none.
        test_images: how many an accuracy is over.
    """

    target: str
    records: tuple[StudentRecord, ...]
    repeats: NDArray[np.float64]
    test_images: int

    @classmethod
    def of(cls, target: str, records: Sequence[StudentRecord], seed: int, test_images: int) -> "Truth":
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
        return cls(target, tuple(first), repeats, test_images)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """[n] percent, at the end of training."""
        return np.array([record.final_accuracy for record in self.records])

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
        """Whether the target enters means: deviation at least twice the standard error of one accuracy."""
        found = self.spread
        return found.deviation >= SPREAD_RULE * found.error

    def ceiling(self, *, resamples: int, confidence: float, seed: int) -> NoiseCeiling | None:
        """The noise ceiling, where at least three students have a second seed."""
        there = np.isfinite(self.repeats)
        if there.sum() < 3:
            return None
        first, second = self.accuracies[there], self.repeats[there]
        return noise_ceiling(first, second, resamples=resamples, confidence=confidence, seed=seed)


def compare(
    truths: Sequence[Truth],
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> list[CorrelationRow]:
    """Every statistic of every method on every target, and the SRC's mean over the targets that count.

    Args:
        truths: the targets.
        scores: by method and target, [n] in the order of the target's records.
        resamples: of the bootstrap over students.
        confidence: percent.
        seed: of the resamples; methods share them, so that differences are paired.
    """
    rows: list[CorrelationRow] = []
    for method, by_target in scores.items():
        drawn: list[Draws] = []
        for truth in truths:
            values, accuracies = by_target[truth.target], truth.accuracies

            draw = partial(_draw, scores=values, accuracies=accuracies, resamples=resamples, seed=seed)

            src = draw(spearman)
            statistics = {
                "src": src,
                "kendall": draw(kendall),
                "pearson": draw(pearson),
                "partial_src": draw(partial_spearman, truth.sizes),
                "regret": draw(top1_regret),
                f"precision_at_{TOP}": draw(lambda s, a: precision_at_k(s, a, TOP)),
            }
            rows += [
                CorrelationRow.of(method, truth.target, name, found.estimate(confidence))
                for name, found in statistics.items()
            ]
            if truth.counts:
                drawn.append(src)
        if drawn:
            rows.append(CorrelationRow.of(method, MEAN, "src", Draws.mean(drawn).estimate(confidence)))
    return rows


def _draw(
    statistic: Statistic,
    *more: NDArray[np.float64],
    scores: NDArray[np.float64],
    accuracies: NDArray[np.float64],
    resamples: int,
    seed: int,
) -> Draws:
    return bootstrap(statistic, scores, accuracies, *more, resamples=resamples, seed=seed)


def estimate_of(rows: Sequence[CorrelationRow], method: str, target: str, metric: str = "src") -> Estimate:
    """One cell of the comparison."""
    [row] = [r for r in rows if (r.method, r.target, r.metric) == (method, target, metric)]
    return Estimate(row.value, row.low, row.high, row.n, row.invalid, row.constant)
