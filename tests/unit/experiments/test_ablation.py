"""The ablation's ridge regression and its rows."""

import numpy as np
import pytest

from dass.errors import DassError
from experiments.ablation import ridge, row_of

GROUPS = {"split0": 0, "split1": 0, "split2": 1}


def test_the_regression_finds_what_the_code_says_whatever_the_level_of_a_task() -> None:
    rng = np.random.default_rng(0)
    true = np.array([3.0, -2.0, 0.0, 1.0])
    codes = [rng.integers(0, 2, (40, 4)).astype(float) for _ in range(3)]
    accuracies = [own @ true + level for own, level in zip(codes, (20.0, 50.0, 80.0), strict=True)]
    np.testing.assert_allclose(ridge(codes, accuracies), true, atol=0.1)


def test_a_row_has_means_over_groups_and_over_targets() -> None:
    row = row_of("dass", "", 10, 1, {"split0": 0.2, "split1": 0.4, "split2": 0.9, "pets": 0.5, "cars": 0.7}, GROUPS)
    assert (row["left_out"], row["targets"]) == (pytest.approx(0.6), pytest.approx(0.6))
    assert row["left_out_error"] == pytest.approx(0.3)


def test_a_task_without_scores_is_told() -> None:
    with pytest.raises(DassError, match="split2"):
        row_of("dass", "", 10, 1, {"split0": 0.2, "split1": 0.4, "pets": 0.5}, GROUPS)
