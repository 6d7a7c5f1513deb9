"""Ranking and picking."""

import math
from collections.abc import Callable

import pytest

from dass.errors import UsageError
from dass.search.candidates import Candidate
from dass.search.constraints import Constraints
from dass.search.select import pick, rank


def test_rank_breaks_ties_by_cost_then_architecture(make: Callable[..., Candidate]) -> None:
    best, cheap, small, first, last = (
        make(9, 50.0, 9, 9),
        make(8, 40.0, 1, 9),
        make(7, 40.0, 2, 1),
        make(1, 40.0, 2, 2),
        make(2, 40.0, 2, 2),
    )
    failed = [make(3, math.inf, 1), make(4, math.nan, 2)]
    assert rank([*reversed(failed), last, first, small, cheap, best]) == [best, cheap, small, first, last, *failed]


def test_pick_is_the_best_within_the_budget(make: Callable[..., Candidate]) -> None:
    candidates = [
        make(0, 50.0, 3_000_000, 100),
        make(1, 40.0, 2_000_000, 2_000_000),
        make(2, 30.0, 2_000_000, 100),
        make(3, 20.0, 1_000_000, 100),
    ]
    assert pick(candidates, Constraints()) == candidates[0]
    assert pick(candidates, Constraints(max_macs=2.0)) == candidates[1]
    assert pick(candidates, Constraints(max_macs=2.0, max_params=1.0)) == candidates[2]
    assert pick(candidates, Constraints(max_macs=1.0)) == candidates[3]
    assert pick(candidates, Constraints(max_macs=2.5, min_macs=1.5)) == candidates[1]


def test_nothing_fits_names_the_nearest(make: Callable[..., Candidate]) -> None:
    candidates = [make(0, 50.0, 3_000_000, 100), make(1, 20.0, 1_500_000, 400)]
    with pytest.raises(UsageError, match=r"1 M MACs; .*1\.50 M MACs"):
        pick(candidates, Constraints(max_macs=1.0))
    with pytest.raises(UsageError, match=r"3\.00 M MACs and 0\.000 M parameters"):
        pick(candidates, Constraints(max_params=0.00005))
    with pytest.raises(UsageError, match=r"the nearest, .*3\.00 M MACs"):
        pick(candidates, Constraints(min_macs=4.0))
    with pytest.raises(UsageError, match="no candidate"):
        pick([], Constraints())
