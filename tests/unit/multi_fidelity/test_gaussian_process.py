import numpy as np
import pytest
from scipy.stats import spearmanr

from dass.errors import DassError
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess

FEATURES = 6


def tasks(count: int, students: int, seed: int, *, offset: float, noise: float = 0.1) -> Sample:
    """Linear in the first two of six features, with an offset of each task's own."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count * students, FEATURES))
    numbers = np.repeat(np.arange(count), students)
    targets = features[:, :2] @ [1.0, -0.5] + offset * rng.normal(size=count)[numbers]
    return Sample(features, numbers, targets + noise * rng.normal(size=len(targets)), np.full(len(targets), 1e-4))


def test_learns_an_order_that_task_offsets_hide() -> None:
    process = TaskProcess([0] * FEATURES).fit(tasks(8, 20, 0, offset=5.0))
    unseen = tasks(1, 200, 1, offset=0.0)
    mean, variance = process.predict(unseen.features)
    assert spearmanr(mean, unseen.targets).statistic > 0.97
    assert process.variances_["offset"] > 20 * process.variances_["noise"]
    assert (variance > 0.5).all()  # the unseen task's offset is not known


def test_a_group_of_features_without_meaning_is_given_little_weight() -> None:
    found = TaskProcess([0, 0, 1, 1, 1, 1]).fit(tasks(6, 30, 2, offset=0.2)).variances_
    assert found["linear_1"] < 0.02 * found["linear_0"]


def test_intervals_cover_unseen_tasks_as_often_as_they_say() -> None:
    process = TaskProcess([0] * FEATURES).fit(tasks(30, 10, 3, offset=0.5))
    inside = []
    for seed in range(40):
        unseen = tasks(1, 10, 100 + seed, offset=0.5)
        mean, variance = process.predict(unseen.features)
        inside.append(np.abs(unseen.targets - mean) < 1.2816 * np.sqrt(variance + unseen.noise))
    assert 0.68 < np.mean(inside) < 0.92


def test_equals_a_plain_gaussian_process_computed_by_hand() -> None:
    sample = tasks(2, 4, 4, offset=0.3)
    process = TaskProcess([0] * FEATURES).fit(sample)
    v, mean, scale = process.variances_, sample.features.mean(0), sample.features.std(0)
    new = np.random.default_rng(5).normal(size=(3, FEATURES))

    def covariance(first: np.ndarray, second: np.ndarray, same: np.ndarray) -> np.ndarray:
        inner = first @ second.T
        distance = ((first[:, None] - second[None]) ** 2).sum(-1)
        whole = v["linear_0"] * inner + v["bias"] + v["smooth"] * np.exp(-distance / (2 * FEATURES))
        return whole + same * (v["offset"] + v["slope"] * inner)

    seen, unseen = (sample.features - mean) / scale, (new - mean) / scale
    among = covariance(seen, seen, sample.tasks[:, None] == sample.tasks) + (v["noise"] + 1e-4 + 1e-8) * np.eye(8)
    across = covariance(unseen, seen, np.zeros((3, 8)))
    own = covariance(unseen, unseen, np.ones((3, 3)))
    found, variance = process.predict(new)
    center = sample.targets.mean()
    np.testing.assert_allclose(found, across @ np.linalg.solve(among, sample.targets - center) + center, rtol=1e-6)
    expected = np.diag(own - across @ np.linalg.solve(among, across.T)) + v["noise"]
    np.testing.assert_allclose(variance, expected, rtol=1e-6)


def test_what_is_not_finite_is_refused() -> None:
    sample = tasks(2, 4, 4, offset=0.3)
    sample.features[0, 0] = np.nan
    with pytest.raises(DassError, match="must be finite"):
        TaskProcess([0] * FEATURES).fit(sample)
