"""Regret and precision, ties included."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dass.errors import UsageError
from dass.evaluation.selection import precision_at_k, top1_regret


def test_by_hand() -> None:
    accuracies = [10.0, 40.0, 30.0, 20.0]
    assert top1_regret([0, 3, 2, 1], accuracies) == 0
    assert top1_regret([0, 1, 3, 2], accuracies) == 10
    assert precision_at_k([0, 1, 3, 2], accuracies, 2) == 0.5
    assert precision_at_k([4, 1, 2, 3], accuracies, 1) == 0
    assert precision_at_k([4, 1, 2, 3], accuracies, 9) == 1
    assert top1_regret([np.nan, 1, np.inf, np.nan], accuracies) == 0


def test_a_constant_method_is_chance() -> None:
    accuracies = np.arange(10.0)
    assert top1_regret(np.zeros(10), accuracies) == pytest.approx(4.5)
    assert precision_at_k(np.zeros(10), accuracies, 5) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6), st.integers(1, 6))
def test_ties_are_the_mean_over_all_ways_to_break_them(pairs: list[tuple[int, int]], k: int) -> None:
    scores, accuracies = np.array(pairs, dtype=float).T
    k = min(k, len(pairs))
    regrets, hits = [], []
    for order in itertools.permutations(range(len(pairs))):
        picked = sorted(range(len(pairs)), key=lambda i: (-scores[i], order[i]))
        regrets.append(accuracies.max() - accuracies[picked[0]])
        # Accuracies' own ties are broken independently: average over the same orders below.
        hits.append(set(picked[:k]))
    best = [
        set(sorted(range(len(pairs)), key=lambda i: (-accuracies[i], order[i]))[:k])
        for order in itertools.permutations(range(len(pairs)))
    ]
    chance = {i: np.mean([i in b for b in best]) for i in range(len(pairs))}
    assert top1_regret(scores, accuracies) == pytest.approx(np.mean(regrets))
    assert precision_at_k(scores, accuracies, k) == pytest.approx(
        np.mean([sum(chance[i] for i in h) / k for h in hits])
    )


def test_reduces_the_last_axis() -> None:
    rng = np.random.default_rng(0)
    scores, accuracies = rng.normal(size=(3, 8)), rng.normal(size=(3, 8))
    assert top1_regret(scores, accuracies)[2] == top1_regret(scores[2], accuracies[2])
    assert precision_at_k(scores, accuracies, 3)[2] == precision_at_k(scores[2], accuracies[2], 3)


def test_nothing_to_pick_from_is_refused() -> None:
    with pytest.raises(UsageError, match="budget"):
        top1_regret([], [])
