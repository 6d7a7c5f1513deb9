"""Sampling within constraints."""

import pytest

from dass.errors import UsageError
from dass.search.candidates import sample_candidates, scored
from dass.search.constraints import AskedLimits, Constraints
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace
from tests.samples import is_member

TABLES = SearchSpace((32, 64, 128, 256), 5, tuple(i / 16 for i in range(8, 17)), "stage")


def test_distinct_within_both_limits_and_repeatable() -> None:
    constraints = Constraints(max_macs=600.0, max_params=3.0)
    found = sample_candidates(TABLES, 300, 5, resolution=64, classes=10, constraints=constraints)
    assert len(set(found)) == 300
    for candidate in scored(found, [0.0] * 300, resolution=64, classes=10):
        assert constraints.allows(candidate.cost)
        assert is_member(TABLES, candidate.architecture)
    again = sample_candidates(TABLES, 100, 5, resolution=64, classes=10, constraints=constraints)
    assert again == found[:100]
    assert sample_candidates(TABLES, 100, 6, resolution=64, classes=10, constraints=constraints) != again


def test_a_constraints_below_the_smallest_member_names_its_cost() -> None:
    with pytest.raises(UsageError, match=r"smallest member has .* M MACs"):
        sample_candidates(TABLES, 5, 0, resolution=64, classes=10, constraints=Constraints(max_macs=1.0))


def test_more_than_the_space_holds() -> None:
    tiny = SearchSpace((4, 4, 4, 4), 1, (1.0,), "stage")
    assert len(sample_candidates(tiny, 1, 0, resolution=16, classes=2)) == 1
    assert sample_candidates(tiny, 2, 0, resolution=16, classes=2) == [tiny.largest]
    with pytest.raises(UsageError, match="smallest member has"):
        sample_candidates(tiny, 2, 0, resolution=16, classes=2, constraints=Constraints(max_macs=0.0001))


def test_limits_are_in_millions_and_inclusive() -> None:
    spent = Cost(parameters=2_000_000, macs=5_000_000, macs_bn1=0, macs_bn3_pool=0)
    assert Constraints().allows(spent)
    assert Constraints(max_macs=5.0, max_params=2.0).allows(spent)
    assert not Constraints(max_macs=4.999).allows(spent)
    assert not Constraints(max_params=1.999).allows(spent)
    assert str(Constraints(4.0, 2.5)) == "4 M MACs and 2.5 M parameters"
    assert str(Constraints()) == "no limit"
    assert Constraints(min_macs=5.0, max_macs=5.0, min_params=2.0).allows(spent)
    assert not Constraints(min_macs=5.001).allows(spent)
    assert not Constraints(min_params=2.001).allows(spent)
    assert str(Constraints(5.0, None, 4.0, 1.5)) == "4 to 5 M MACs and at least 1.5 M parameters"
    with pytest.raises(UsageError, match="6 and at most 5 M MACs"):
        Constraints(min_macs=6.0, max_macs=5.0)


def test_a_lower_limit_is_millions_or_a_share_or_none() -> None:
    teacher = Cost(parameters=2_000_000, macs=5_000_000, macs_bn1=0, macs_bn3_pool=0)
    assert AskedLimits(4, min_macs="40%", min_params=0.5).constraints(teacher) == Constraints(4.0, None, 2.0, 0.5)
    assert AskedLimits(None, "50%", min_macs=0, min_params=0).constraints(teacher) == Constraints(None, 1.0)
    for wrong in (-1, "140%", "x", "-0%"):
        with pytest.raises(UsageError, match="is no limit"):
            AskedLimits(min_macs=wrong).constraints(teacher)


def test_the_window_of_table_4_is_drawn_from() -> None:
    constraints = Constraints(min_macs=700.0, max_macs=1300.0)
    found = sample_candidates(TABLES, 300, 0, resolution=64, classes=10, constraints=constraints)
    spent = [cost(one, 64, 10).macs / 1e6 for one in found]
    assert len(set(found)) == 300
    assert 700 <= min(spent) < 720
    assert max(spent) <= 1300
    assert sample_candidates(TABLES, 50, 0, resolution=64, classes=10, constraints=constraints) == found[:50]
    with pytest.raises(UsageError, match=r"the largest 14\d\d\.\d+ M MACs"):
        sample_candidates(TABLES, 5, 0, resolution=64, classes=10, constraints=Constraints(min_macs=1500.0))


def test_scored_keeps_the_order() -> None:
    found = sample_candidates(TABLES, 3, 0, resolution=32, classes=7)
    candidates = scored(found, [1.0, 2.0, 3.0], resolution=32, classes=7)
    assert [c.architecture for c in candidates] == found
    assert [c.score for c in candidates] == [1, 2, 3]
    assert candidates[1].cost == cost(found[1], 32, 7)


@pytest.mark.parametrize(("score", "predicted"), [(111.8, 100.0), (-3.0, 0.0), (63.5, 63.5), (float("inf"), 100.0)])
def test_a_prediction_is_an_accuracy_whatever_the_score(score: float, predicted: float) -> None:
    [candidate] = scored(
        [SearchSpace((4, 8, 8, 16), 2, (0.5, 1.0), "block").largest], [score], resolution=16, classes=4
    )
    assert (candidate.score, candidate.predicted) == (score, predicted)


@pytest.mark.parametrize(
    "limits",
    [
        {"min_macs": "1", "max_macs": "40%"}, {"min_macs": "50%", "max_macs": "2"}, {"min_macs": "0", "max_macs": "2"},
        {"max_macs": "40%"}, {"min_params": "10%", "max_params": "20%"}, {},
    ],
)  # fmt: skip
def test_limits_are_looked_at_before_the_teacher_is_known(limits: dict[str, str]) -> None:
    AskedLimits(**limits).check()


@pytest.mark.parametrize(
    "limits",
    [
        {"min_macs": "3", "max_macs": "2"},
        {"min_macs": "50%", "max_macs": "40%"},
        {"max_macs": "0"},
        {"min_params": "x"},
    ],
)
def test_limits_that_are_none_are_refused_before_the_teacher_is_known(limits: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        AskedLimits(**limits).check()
