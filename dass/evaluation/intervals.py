"""Intervals: the bootstrap over students, paired between methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dass.errors import UsageError
from dass.evaluation import counted
from dass.evaluation.correlation import finite_accuracies, kendall, partial_spearman, rankable, spearman

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]

COUNTED: dict[Statistic, Statistic] = {  # of these there are forms for many resamples at once
    spearman: counted.spearman,
    kendall: counted.kendall,
    partial_spearman: counted.partial_spearman,
}
CHUNK = 2**22  # numbers of resampled students that exist at a time


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval.

    Attributes:
        value: statistic over all students.
        low: lower end of the percentile interval; NaN for a statistic that has none.
        high: upper end of the interval.
        n: number of students.
        invalid: how many of their scores were NaN or infinite, and so ranked last.
        constant: all scores (or all accuracies) were equal, so that correlations are 0 by rule.
    """

    value: float
    low: float
    high: float
    n: int
    invalid: int = 0
    constant: bool = False


@dataclass(frozen=True, eq=False)
class Draws:
    """A statistic and its value in every bootstrap resample of the students.

    Draws of the same number of students and the same seed share their resamples. So their difference is the paired
    bootstrap of the difference, and their mean over targets with the same students resamples these jointly.

    Attributes:
        value: statistic over all students.
        resampled: statistic of each resample, [B].
        n: students; the fewest, for a combination.
        invalid: scores that were NaN or infinite; the sum, for a combination.
        constant: all scores or all accuracies were equal (of any, for a combination).
    """

    value: float
    resampled: Floats
    n: int
    invalid: int = 0
    constant: bool = False

    def __sub__(self, other: "Draws") -> "Draws":
        return _combined((self, other), self.value - other.value, self.resampled - other.resampled)

    @staticmethod
    def mean(parts: Sequence["Draws"]) -> "Draws":
        """Mean over targets, or over the seeds of a method.

        Raises:
            UsageError: nothing to average.
        """
        if not parts:
            raise UsageError("a mean over targets needs at least one target")
        return _combined(
            parts, float(np.mean([part.value for part in parts])), np.mean([part.resampled for part in parts], axis=0)
        )

    @staticmethod
    def over_seeds(parts: Sequence["Draws"], seed: int) -> "Draws":
        """Mean over the seeds of a method, where every resample of the students also draws the seeds anew.

        Args:
            parts: one for each seed, of the same resamples of the students.
            seed: random seed of the draws of seeds.

        Raises:
            UsageError: nothing to average.
        """
        whole = Draws.mean(parts)
        if len(parts) == 1:
            return whole
        drawn = np.random.default_rng([seed, len(parts)]).integers(len(parts), size=(len(parts), len(whole.resampled)))
        resampled = np.take_along_axis(np.array([part.resampled for part in parts]), drawn, axis=0).mean(0)
        return _combined(parts, whole.value, resampled)

    def map(self, function: Callable[[Floats], Floats]) -> "Draws":
        """The same for a function of the statistic."""
        value = float(function(np.asarray(self.value)))
        return Draws(value, function(self.resampled), self.n, self.invalid, self.constant)

    def estimate(self, confidence: float) -> Estimate:
        """The value with its percentile interval.

        Args:
            confidence: confidence of the interval, in percent, such as 95.
        """
        tail = (100 - confidence) / 2
        low, high = np.percentile(self.resampled, [tail, 100 - tail])
        return Estimate(self.value, float(low), float(high), self.n, self.invalid, self.constant)


def without_interval(statistic: Statistic, scores: ArrayLike, accuracies: ArrayLike, *, resamples: int) -> Draws:
    """A statistic that has no interval: of a maximum, such as a regret, the bootstrap's is none.

    The best student of all is in a resample or is not, so resamples do not vary as samples do (Efron and Tibshirani
    1993, section 7.4).

    Args:
        statistic: function of scores and accuracies, as in `bootstrap`.
        scores: scores, in the same order.
        accuracies: accuracies of the n students, in the same order.
        resamples: of other statistics, with which these draws are combined.

    Returns:
        Draws whose resamples, and so the ends of whose intervals, are NaN.
    """
    whole = bootstrap(statistic, scores, accuracies, resamples=1, seed=0)
    return replace(whole, resampled=np.full(resamples, np.nan))


def bootstrap(
    statistic: Statistic, scores: ArrayLike, accuracies: ArrayLike, *more: ArrayLike, resamples: int, seed: int
) -> Draws:
    """Evaluates a statistic on all students and on resamples of them.

    Args:
        statistic: takes arrays [..., n] (and whatever `more` holds, [..., n, k]) and reduces n.
        scores: [n] of a method; NaN and infinite ones rank last.
        accuracies: accuracies of the n students, [n], in percent.
        more: further values of the students, such as covariates [n, k].
        resamples: number B of resamples, at least 1.
        seed: random seed of the resamples.

    Raises:
        DassError: an accuracy is not finite, or there are no students.
    """
    arrays = [rankable(scores), finite_accuracies(accuracies), *(np.asarray(a, dtype=np.float64) for a in more)]
    n = len(arrays[1])
    if n == 0 or any(len(array) != n for array in arrays):
        raise UsageError(
            f"scores and accuracies must be of the same students, at least one: found {list(map(len, arrays))}"
        )
    indices = np.random.default_rng([seed, n]).integers(n, size=(resamples, n))
    if statistic in COUNTED:
        resampled = COUNTED[statistic](counted.count(indices), *arrays)
    else:
        step = max(1, CHUNK // n)
        parts = [statistic(*(a[indices[i : i + step]] for a in arrays)) for i in range(0, resamples, step)]
        resampled = np.concatenate(parts)
    return Draws(
        float(statistic(*arrays)),
        resampled,
        n,
        invalid=int((~np.isfinite(np.asarray(scores, dtype=np.float64))).sum()),
        constant=bool(np.ptp(arrays[0]) == 0 or np.ptp(arrays[1]) == 0),
    )


@dataclass(frozen=True)
class NoiseCeiling:
    """What no method can beat, since the accuracies it is held against are noisy themselves.

    Attributes:
        reliability: SRC between the accuracies of two seeds of the same students. Both are over the same test images,
            so it knows of the seeds' chance and not of the images': with other test images it would be lower.
        single: highest SRC expected with accuracies of one seed, the root of the reliability r.
    """

    reliability: Estimate
    single: Estimate


def noise_ceiling(first: ArrayLike, second: ArrayLike, *, resamples: int, confidence: float, seed: int) -> NoiseCeiling:
    """Estimates the ceiling from students that were distilled with two seeds.

    Correction for attenuation, which is exact for Pearson's correlation and close for ranks; a negative reliability
    counts as none.

    Args:
        first: [n] percent, with one seed.
        second: [n] percent, of the same students with another.
        resamples: number of resamples of the bootstrap, at least 1.
        confidence: confidence of the interval, in percent (0..100).
        seed: random seed of the resamples.
    """
    draws = bootstrap(spearman, finite_accuracies(first), second, resamples=resamples, seed=seed)
    highest = draws.map(lambda r: np.sqrt(np.maximum(r, 0.0)))
    return NoiseCeiling(draws.estimate(confidence), highest.estimate(confidence))


@dataclass(frozen=True)
class Spread:
    """Whether students differ by more than a test set can tell.

    Attributes:
        mean: mean of the accuracies, in percent.
        deviation: their standard deviation, in points.
        error: standard error of one accuracy that comes from the number of test images alone, in points.
    """

    mean: float
    deviation: float
    error: float


def spread(accuracies: ArrayLike, test_images: int) -> Spread:
    """Compares the spread of accuracies [n], in percent, with the error of a test set of `test_images`."""
    values = finite_accuracies(accuracies)
    mean = float(values.mean())
    return Spread(mean, float(values.std()), float(np.sqrt(mean * (100 - mean) / test_images)))


def _combined(parts: Sequence[Draws], value: float, resampled: Floats) -> Draws:
    return Draws(
        value,
        resampled,
        min(part.n for part in parts),
        sum(part.invalid for part in parts),
        any(part.constant for part in parts),
    )
