import numpy as np
import pytest

from dass.errors import UsageError
from dass.search.candidates import Constraints
from dass.search.evolution import evolve_candidates
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace

SPACE = SearchSpace((8, 16, 16, 32), 3, (0.25, 0.5, 0.75, 1.0), "block")
SIZE = {"resolution": 16, "classes": 5}


def hidden(architectures: list[Architecture]) -> np.ndarray:
    """Likes deep first stages and narrow last ones."""
    return np.array([len(a.widths[0]) + len(a.widths[1]) - sum(a.widths[3]) / 32 for a in architectures])


def test_finds_better_ones_than_as_many_random_ones_and_never_scores_one_twice() -> None:
    scored: list[Architecture] = []

    def fitness(architectures: list[Architecture]) -> np.ndarray:
        scored.extend(architectures)
        return hidden(architectures)

    found = evolve_candidates(SPACE, 300, 0, fitness, **SIZE)
    assert len(found) == len(set(found)) == len(scored) == 300
    assert all(SPACE.contains(one) for one in found)
    random = SPACE.sample(300, np.random.default_rng(0))
    assert np.sort(hidden(found))[-50:].mean() > np.sort(hidden(random))[-50:].mean()
    assert hidden(found).max() >= hidden(random).max()


def test_the_same_seed_gives_the_same_ones_within_the_budget() -> None:
    budget = Constraints(max_macs=0.6)
    first, second = (evolve_candidates(SPACE, 100, 3, hidden, budget=budget, **SIZE) for _ in range(2))
    assert first == second
    assert max(cost(one, 16, 5).macs for one in first) <= 0.6e6


def test_a_budget_below_everything_is_refused() -> None:
    with pytest.raises(UsageError, match="smallest"):
        evolve_candidates(SPACE, 10, 0, hidden, budget=Constraints(max_macs=0.001), **SIZE)
