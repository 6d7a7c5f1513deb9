"""Counting gives what resampling gives, ties and constants included."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dass.evaluation import correlation, counted

ties = st.lists(st.integers(-2, 2).map(float), min_size=4, max_size=9)


def test_counts() -> None:
    indices = np.array([[0, 2, 2], [1, 1, 1]])
    assert counted.count(indices).tolist() == [[1, 0, 2], [0, 3, 0]]


@pytest.mark.parametrize(
    ("resampled", "plain"), [(counted.spearman, correlation.spearman), (counted.kendall, correlation.kendall)]
)
@given(scores=ties, seed=st.integers(0, 100))
def test_equal_the_plain_ones(resampled: Callable, plain: Callable, scores: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, accuracies = np.array(scores), np.round(rng.normal(size=len(scores)), 1)
    indices = rng.integers(len(scores), size=(40, len(scores)))
    found = resampled(counted.count(indices), values, accuracies)
    np.testing.assert_allclose(found, plain(values[indices], accuracies[indices]), atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_equal_the_plain_one_at_equal_covariates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, accuracies, sizes = np.round(rng.normal(size=12), 1), rng.normal(size=12), rng.normal(size=(12, 2))
    if seed % 4 == 1:
        sizes[:, 1] = sizes[:, 0] ** 3  # ranked alike
    if seed % 4 == 2:
        scores = sizes[:, 0]  # nothing is left
    if seed % 4 == 3:
        sizes[:, 0] = 7.0
    indices = rng.integers(12, size=(60, 12))
    found = counted.partial_spearman(counted.count(indices), scores, accuracies, sizes)
    expected = correlation.partial_spearman(scores[indices], accuracies[indices], sizes[indices])
    np.testing.assert_allclose(found, expected, atol=1e-6)
