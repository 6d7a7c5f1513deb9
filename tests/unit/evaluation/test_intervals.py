"""The bootstrap: seeded, paired, covering, and as SciPy's."""

import numpy as np
import pytest
import scipy.stats

from dass.errors import DassError, UsageError
from dass.evaluation.correlation import partial_spearman, pearson, spearman
from dass.evaluation.intervals import Draws, bootstrap, noise_ceiling, spread, without_interval
from dass.evaluation.selection import top1_regret


def sample(n: int = 50, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    accuracies = rng.normal(50, 5, size=n)
    return accuracies + rng.normal(scale=5 * noise, size=n), accuracies


def test_value_and_interval_agree_with_scipys_bootstrap() -> None:
    scores, accuracies = sample()
    found = bootstrap(spearman, scores, accuracies, resamples=4000, seed=0).estimate(95)
    theirs = scipy.stats.bootstrap(
        (scores, accuracies),
        lambda x, y, axis: spearman(x, y),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.value == pytest.approx(scipy.stats.spearmanr(scores, accuracies).statistic)
    assert found.low == pytest.approx(theirs.low, abs=0.02)
    assert found.high == pytest.approx(theirs.high, abs=0.02)
    assert found.n == 50


def test_the_seed_decides_and_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, accuracies = sample(20)
    first = bootstrap(pearson, scores, accuracies, resamples=200, seed=3)
    monkeypatch.setattr("dass.evaluation.intervals.CHUNK", 45)
    second = bootstrap(pearson, scores, accuracies, resamples=200, seed=3)
    other = bootstrap(pearson, scores, accuracies, resamples=200, seed=4)
    np.testing.assert_array_equal(first.resampled, second.resampled)
    assert not np.array_equal(first.resampled, other.resampled)


def test_differences_are_paired() -> None:
    scores, accuracies = sample(noise=0.5)
    a = bootstrap(spearman, scores, accuracies, resamples=2000, seed=0)
    same = (a - bootstrap(spearman, 3 * scores + 1, accuracies, resamples=2000, seed=0)).estimate(95)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    worse = scores + np.random.default_rng(5).normal(scale=2, size=50)
    difference = (a - bootstrap(spearman, worse, accuracies, resamples=2000, seed=0)).estimate(95)
    alone = a.estimate(95)
    assert difference.high - difference.low < alone.high - alone.low  # what the two share cancels


def test_mean_over_targets() -> None:
    parts = [
        bootstrap(spearman, *sample(seed=seed, n=n), resamples=1000, seed=0) for seed, n in ((0, 50), (1, 40), (2, 50))
    ]
    mean = Draws.mean(parts).estimate(95)
    assert mean.value == pytest.approx(np.mean([part.value for part in parts]))
    assert mean.n == 40
    widths = [part.estimate(95).high - part.estimate(95).low for part in parts]
    assert mean.high - mean.low < max(widths)
    with pytest.raises(UsageError, match="at least one"):
        Draws.mean([])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's correlation of normals with Pearson's 0.6
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=60).T
        estimate = bootstrap(spearman, x, y, resamples=400, seed=seed).estimate(90)
        covered += estimate.low <= truth <= estimate.high
    assert 0.82 <= covered / 200 <= 0.96


def test_invalid_and_constant_scores_are_counted() -> None:
    _, accuracies = sample(10)
    scores = accuracies.copy()
    scores[[1, 4]] = np.nan, np.inf
    assert bootstrap(spearman, scores, accuracies, resamples=100, seed=0).estimate(95).invalid == 2
    constant = bootstrap(spearman, np.zeros(10), accuracies, resamples=100, seed=0).estimate(95)
    assert (constant.value, constant.low, constant.high, constant.constant) == (0, 0, 0, True)


def test_covariates_are_resampled_with_their_students() -> None:
    scores, accuracies = sample(30)
    sizes = np.random.default_rng(7).lognormal(size=(30, 2))
    draws = bootstrap(partial_spearman, scores, accuracies, sizes, resamples=50, seed=0)
    indices = np.random.default_rng([0, 30]).integers(30, size=(50, 30))
    expected = partial_spearman(scores[indices[17]], accuracies[indices[17]], sizes[indices[17]])
    assert draws.resampled[17] == pytest.approx(float(expected))


def test_bad_input_is_refused() -> None:
    with pytest.raises(DassError, match="failed students"):
        bootstrap(spearman, [1.0, 2.0], [1.0, np.nan], resamples=10, seed=0)
    with pytest.raises(UsageError, match="same students"):
        bootstrap(spearman, [1.0, 2.0], [1.0, 2.0, 3.0], resamples=10, seed=0)
    with pytest.raises(UsageError, match="same students"):
        bootstrap(spearman, [], [], resamples=10, seed=0)


def test_noise_ceiling_recovers_what_a_perfect_predictor_reaches() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 3, size=4000)
    first, second = truth + rng.normal(scale=2, size=(2, 4000))
    ceiling = noise_ceiling(first, second, resamples=100, confidence=95, seed=0)
    assert ceiling.single.value == pytest.approx(float(spearman(truth, first)), abs=0.02)
    assert ceiling.reliability.value < ceiling.single.value
    opposed = noise_ceiling([1, 2, 3], [3, 2, 1], resamples=100, confidence=95, seed=0)
    assert (opposed.reliability.value, opposed.single.value) == (-1, 0)


def test_spread_beside_the_error_of_the_test_set() -> None:
    found = spread([40.0, 44.0], test_images=294)
    assert found.mean == 42
    assert found.deviation == 2
    assert found.error == pytest.approx(100 * np.sqrt(0.42 * 0.58 / 294))


def test_seeds_are_resampled_with_the_students() -> None:
    """Two seeds that differ by ten leave an interval that holds both; students alone would leave a narrow one."""
    low, high = (Draws(value, np.full(2000, value), 30) for value in (0.0, 10.0))
    found = Draws.over_seeds([low, high], seed=0)
    assert found.value == 5
    assert set(np.unique(found.resampled)) == {0.0, 5.0, 10.0}
    assert np.mean(found.resampled == 5) == pytest.approx(0.5, abs=0.05)
    alone = Draws.over_seeds([low], seed=0)
    np.testing.assert_array_equal(alone.resampled, low.resampled)


def test_a_statistic_without_interval_has_its_value_and_no_ends() -> None:
    accuracies = np.arange(20.0)
    found = without_interval(top1_regret, -accuracies, accuracies, resamples=50).estimate(95)
    assert (found.value, found.n) == (19, 20)
    assert np.isnan([found.low, found.high]).all()
