"""The Pareto front against its definition."""

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from dass.search.candidates import Candidate
from dass.search.pareto import pareto_front

points = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(1, 5)), max_size=12)


@given(points)
def test_is_what_no_other_candidate_beats(make: Callable[..., Candidate], points: list[tuple[int, int, int]]) -> None:
    candidates = [make(i, float(predicted), macs, params) for i, (predicted, macs, params) in enumerate(points)]
    front = pareto_front(candidates)

    def beaten(one: Candidate) -> bool:
        return any(
            other.cost.macs <= one.cost.macs
            and other.score >= one.score
            and (other.cost.macs, other.score) != (one.cost.macs, one.score)
            for other in candidates
        )

    unbeaten = {(c.cost.macs, c.score) for c in candidates if not beaten(c)}
    assert [(c.cost.macs, c.score) for c in front] == sorted(unbeaten)
    by_params = pareto_front(candidates, lambda c: c.cost.parameters)
    assert [c.cost.parameters for c in by_params] == sorted({c.cost.parameters for c in by_params})


def test_equals_and_failures(make: Callable[..., Candidate]) -> None:
    twin, failed = make(3, 1.0, 7), make(0, math.nan, 1)
    assert pareto_front([make(5, 1.0, 7), twin, failed, make(1, math.inf, 9)]) == [twin]
    assert pareto_front([]) == []
