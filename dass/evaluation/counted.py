"""Rank statistics of many bootstrap resamples at once, from how often each student is in each.

What is compared between students is compared once and then counted: B resamples of n students cost a few products of
[B, n] and [n, n] instead of B sorts or B tables of n x n. The numbers are those of `dass.evaluation.correlation`, up to
rounding.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def count(indices: NDArray[np.int64]) -> Floats:
    """How often each of n students is in each resample, [B, n], from their indices [B, n]."""
    resamples, n = indices.shape
    flat = (indices + n * np.arange(resamples)[:, None]).ravel()
    return np.bincount(flat, minlength=n * resamples).reshape(resamples, n).astype(np.float64)


def spearman(counts: Floats, scores: Floats, accuracies: Floats) -> Floats:
    """Spearman's correlation of each resample, [B]; scores and accuracies are [n] and finite."""
    return _correlation(counts, _ranks(counts, scores), _ranks(counts, accuracies))


def kendall(counts: Floats, scores: Floats, accuracies: Floats) -> Floats:
    """Kendall's tau-b of each resample, [B].

    A student that a resample has c times stands in c times as many of its pairs; pairs of its copies tie.
    """
    signs = [np.sign(values[:, None] - values[None, :]) for values in (scores, accuracies)]

    def pairs(table: Floats) -> Floats:
        statistic: Floats = ((counts @ table) * counts).sum(-1)
        return statistic

    agreement = pairs(signs[0] * signs[1])
    return _ratio(agreement, pairs(np.abs(signs[0])) * pairs(np.abs(signs[1])))


def partial_spearman(counts: Floats, scores: Floats, accuracies: Floats, covariates: Floats) -> Floats:
    """Spearman's correlation at equal covariates [n, k] of each resample, [B]."""
    sizes = np.stack([_centered(counts, _ranks(counts, column)) for column in covariates.T], -1)
    weighted = sizes * counts[..., None]
    inverse = np.linalg.pinv(np.swapaxes(weighted, -1, -2) @ sizes, hermitian=True)
    left = []
    for values in (scores, accuracies):
        ranks = _centered(counts, _ranks(counts, values))
        rest = ranks - (sizes @ (inverse @ (np.swapaxes(weighted, -1, -2) @ ranks[..., None])))[..., 0]
        nothing = (counts * rest**2).sum(-1) <= 1e-9 * (counts * ranks**2).sum(-1)
        left.append(np.where(nothing[:, None], 0.0, rest))
    return _correlation(counts, *left)


def _ranks(counts: Floats, values: Floats) -> Floats:
    """Mean ranks of values [n] within each resample, [B, n]."""
    below = (values[:, None] < values[None, :]) + 0.5 * (values[:, None] == values[None, :])
    ranks: Floats = counts @ below + 0.5
    return ranks


def _centered(counts: Floats, values: Floats) -> Floats:
    return values - (counts * values).sum(-1, keepdims=True) / counts.sum(-1, keepdims=True)


def _correlation(counts: Floats, first: Floats, second: Floats) -> Floats:
    first, second = _centered(counts, first), _centered(counts, second)
    products = (counts * first**2).sum(-1) * (counts * second**2).sum(-1)
    return np.clip(_ratio((counts * first * second).sum(-1), products), -1.0, 1.0)


def _ratio(products: Floats, squares: Floats) -> Floats:
    """Products over the root of the squares; 0 where there is nothing to divide by."""
    return np.divide(products, np.sqrt(squares), out=np.zeros_like(products), where=squares > 1e-12)
