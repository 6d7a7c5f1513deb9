"""Correlations against SciPy, and the stated rules."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dass.errors import DassError
from dass.evaluation.correlation import kendall, partial_spearman, pearson, rankable, spearman

STATISTICS = [spearman, kendall, pearson]

# Few distinct values, so that ties are common.
coarse = st.integers(-3, 3).map(float)
fine = st.floats(-1e6, 1e6, allow_subnormal=False)
pairs = st.integers(3, 25).flatmap(
    lambda n: st.tuples(*(st.one_of(*(st.lists(v, min_size=n, max_size=n) for v in (coarse, fine))) for _ in range(2)))
)


def varied(*lists: list[float]) -> bool:
    return all(np.ptp(values) > 1e-3 for values in lists)


@given(pairs)
def test_equal_scipy_with_ties(pair: tuple[list[float], list[float]]) -> None:
    x, y = pair
    if not varied(x, y):
        return
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-9)
    assert kendall(x, y) == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-9)
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


@given(pairs)
def test_bounds_and_symmetry(pair: tuple[list[float], list[float]]) -> None:
    x, y = np.array(pair[0]), np.array(pair[1])
    for statistic in STATISTICS:
        value = statistic(x, y)
        assert -1 <= value <= 1
        assert statistic(y, x) == pytest.approx(value, abs=1e-9)
        assert statistic(-x, y) == pytest.approx(-value, abs=1e-9)


def test_reduces_the_last_axis() -> None:
    rng = np.random.default_rng(0)
    x, y, c = rng.normal(size=(4, 5, 12)), rng.normal(size=(4, 5, 12)), rng.normal(size=(4, 5, 12, 2))
    for statistic in STATISTICS:
        found = statistic(x, y)
        assert found.shape == (4, 5)
        assert found[1, 2] == pytest.approx(float(statistic(x[1, 2], y[1, 2])))
    assert partial_spearman(x, y, c)[3, 4] == pytest.approx(float(partial_spearman(x[3, 4], y[3, 4], c[3, 4])))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_constant_has_no_correlation(statistic: object) -> None:
    assert callable(statistic)
    assert statistic([2.5] * 4, [1, 2, 3, 4]) == 0
    assert statistic([1, 2, 3, 4], [7.1] * 4) == 0
    assert statistic([0.1 + 0.2, 0.3, 0.3], [1, 1, 1]) == 0
    assert statistic([np.nan] * 3, [1, 2, 3]) == 0
    assert statistic([5.0], [1.0]) == 0


def test_scores_that_are_not_finite_rank_last_and_tie() -> None:
    accuracies = [10.0, 20.0, 30.0, 40.0, 50.0]
    for bad in (np.nan, np.inf, -np.inf):
        scores = [bad, bad, -5.0, 1.0, 2.0]
        expected = scipy.stats.spearmanr([1.5, 1.5, 3, 4, 5], accuracies).statistic
        assert spearman(scores, accuracies) == pytest.approx(expected)
        assert kendall(scores, accuracies) == pytest.approx(
            scipy.stats.kendalltau([1, 1, 3, 4, 5], accuracies).statistic
        )
        assert pearson(scores, accuracies) == pytest.approx(np.corrcoef([-5, -5, -5, 1, 2], accuracies)[0, 1])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=12))
def test_rankable_keeps_the_order_of_finite_scores_and_puts_the_rest_below(scores: list[float]) -> None:
    values, original = rankable(scores), np.array(scores)
    good = np.isfinite(original)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[good], original[good])
    if good.any() and not good.all():
        worst = values[~good]
        assert (worst == worst[0]).all()
        assert worst[0] < original[good].min() or original[good].min() == np.finfo(np.float64).min


def test_huge_scores_do_not_overflow() -> None:
    assert pearson([1e300, 2e300, 3e300], [1, 2, 3]) == pytest.approx(1)
    assert spearman([1e61, 1e32, 1e-200], [3, 2, 1]) == pytest.approx(1)


def test_bad_accuracies_and_shapes_are_refused() -> None:
    with pytest.raises(DassError, match="failed students"):
        spearman([1, 2], [1, np.nan])
    with pytest.raises(DassError, match="must match"):
        spearman([1, 2], [1, 2, 3])
    with pytest.raises(DassError, match="not be empty"):
        spearman([], [])


def residual_correlation(x: NDArray[np.float64], y: NDArray[np.float64], covariates: NDArray[np.float64]) -> float:
    """The definition: correlate what a least-squares fit on the covariates' ranks leaves."""
    design = np.column_stack([np.ones(len(x)), *map(scipy.stats.rankdata, covariates.T)])
    left = []
    for values in (x, y):
        ranks = scipy.stats.rankdata(values)
        left.append(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])
    return float(np.corrcoef(*left)[0, 1])


@given(st.integers(0, 10_000), st.integers(15, 40))
def test_partial_spearman_equals_its_definition(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.lognormal(size=(n, 2))
    x, y = sizes[:, 0] + rng.normal(size=n), sizes[:, 1] + rng.normal(size=n)
    assert partial_spearman(x, y, sizes) == pytest.approx(residual_correlation(x, y, sizes), abs=1e-8)
    # One covariate: the textbook formula.
    a, b, c = (spearman(p, q) for p, q in ((x, y), (x, sizes[:, 0]), (y, sizes[:, 0])))
    expected = (a - b * c) / np.sqrt((1 - b**2) * (1 - c**2))
    assert partial_spearman(x, y, sizes[:, :1]) == pytest.approx(expected, abs=1e-8)


def test_size_alone_explains_nothing_beyond_size() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.lognormal(size=(30, 2))
    accuracies = sizes[:, 0] + rng.normal(size=30)
    assert spearman(sizes[:, 0], accuracies) > 0.5
    assert partial_spearman(sizes[:, 0], accuracies, sizes) == 0
    # Covariates that rank alike are as good as one.
    doubled = np.column_stack([sizes[:, 0], sizes[:, 0] ** 2])
    noise = rng.normal(size=30)
    assert partial_spearman(noise, accuracies, doubled) == pytest.approx(
        float(partial_spearman(noise, accuracies, sizes[:, :1]))
    )
