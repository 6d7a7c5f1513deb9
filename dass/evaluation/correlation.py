"""Correlations between a method's scores and the accuracies that students really reached.

All functions take arrays [..., n] and reduce the last axis, so that thousands of bootstrap resamples are one call.
The rules they share:

- Ties share the mean of their ranks (Spearman) or count for neither side (Kendall's tau-b).
- A score that is NaN or infinite is the worst: below every finite score, tied with its like. For Pearson it takes
  the value of the lowest finite score.
- Where all scores or all accuracies are equal, every correlation is 0: such a method has no preference.
- Accuracies must be finite: a student whose training failed has none and is left out by the caller.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dass.errors import DassError

Floats = NDArray[np.float64]


def spearman(scores: ArrayLike, accuracies: ArrayLike) -> Floats:
    """Spearman's rank correlation (SRC), [...] for arrays [..., n]."""
    scores, accuracies = _checked(scores, accuracies)
    return _correlation(_ranks(scores), _ranks(accuracies))


def pearson(scores: ArrayLike, accuracies: ArrayLike) -> Floats:
    """Pearson's correlation, [...] for arrays [..., n]."""
    return _correlation(*_checked(scores, accuracies))


def kendall(scores: ArrayLike, accuracies: ArrayLike) -> Floats:
    """Kendall's tau-b, [...] for arrays [..., n]; needs memory for n^2 numbers of each."""
    scores, accuracies = _checked(scores, accuracies)
    by_score = np.sign(scores[..., :, None] - scores[..., None, :]).astype(np.int8)
    by_accuracy = np.sign(accuracies[..., :, None] - accuracies[..., None, :]).astype(np.int8)
    agreement = np.einsum("...ij,...ij->...", by_score, by_accuracy, dtype=np.float64)
    untied = np.count_nonzero(by_score, (-2, -1)) * np.count_nonzero(by_accuracy, (-2, -1)).astype(np.float64)
    return np.divide(agreement, np.sqrt(untied), out=np.zeros_like(agreement), where=untied > 0)


def partial_spearman(scores: ArrayLike, accuracies: ArrayLike, covariates: ArrayLike) -> Floats:
    """Spearman's correlation at equal covariates, such as MACs and parameters: what size does not explain.

    Scores and accuracies are ranked, and what the ranks of the covariates explain of each by a linear fit is taken
    off. 0 where nothing is left, as when the scores are one of the covariates.

    Args:
        scores: scores of n students, [..., n].
        accuracies: accuracies of the n students, [..., n].
        covariates: k numbers of each student whose effect is taken out, [..., n, k].
    """
    scores, accuracies = _checked(scores, accuracies)
    sizes = _centered(_ranks(np.asarray(covariates, dtype=np.float64), axis=-2), axis=-2)
    # Pseudo-inverse: the covariates may be ranked alike, or all equal in a resample.
    inverse = np.linalg.pinv(np.swapaxes(sizes, -1, -2) @ sizes, hermitian=True)
    left = []
    for values in (_centered(_ranks(scores)), _centered(_ranks(accuracies))):
        explained = sizes @ (inverse @ (np.swapaxes(sizes, -1, -2) @ values[..., None]))
        rest = values - explained[..., 0]
        nothing = (rest**2).sum(-1) <= 1e-9 * (values**2).sum(-1)
        left.append(np.where(nothing[..., None], 0.0, rest))
    return _correlation(*left)


def rankable(scores: ArrayLike) -> Floats:
    """Scores [..., n] with every NaN and infinity put just below the lowest finite score.

    Where nothing is finite all become 0.
    """
    values = np.array(scores, dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        lowest = np.min(np.where(bad, np.inf, values), axis=-1, keepdims=True)
        lowest = np.where(np.isfinite(lowest), lowest, 0.0)
        least = np.nextafter(np.finfo(np.float64).min, 0)  # below it nothing finite is left to stand for the worst
        worst = np.nextafter(np.maximum(lowest, least), -np.inf)
        values = np.where(bad, worst, values)
    return values


def finite_accuracies(accuracies: ArrayLike) -> Floats:
    """Accuracies as float64.

    Raises:
        DassError: one is NaN or infinite.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DassError("an accuracy to rank against is NaN or infinite: leave out the records of failed students")
    return values


def _checked(scores: ArrayLike, accuracies: ArrayLike) -> tuple[Floats, Floats]:
    first, second = rankable(scores), finite_accuracies(accuracies)
    if first.shape != second.shape or first.ndim == 0 or first.shape[-1] == 0:
        raise DassError(f"scores {list(first.shape)} and accuracies {list(second.shape)} must match and not be empty")
    return first, second


def _ranks(values: Floats, axis: int = -1) -> Floats:
    from scipy.stats import rankdata

    return rankdata(values, axis=axis)


def _centered(values: Floats, axis: int = -1) -> Floats:
    return values - values.mean(axis, keepdims=True)


def _correlation(first: Floats, second: Floats) -> Floats:
    flat = (np.ptp(first, axis=-1) == 0) | (np.ptp(second, axis=-1) == 0)
    # Divided by the largest magnitude first: scores of 1e200 must not overflow when squared.
    first, second = (_centered(values / _magnitude(values)) for values in (first, second))
    size = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    result = np.divide((first * second).sum(-1), size, out=np.zeros_like(size), where=~flat & (size > 0))
    return np.clip(result, -1.0, 1.0)


def _magnitude(values: Floats) -> Floats:
    largest = np.abs(values).max(-1, keepdims=True)
    return np.where(largest > 0, largest, 1.0)
