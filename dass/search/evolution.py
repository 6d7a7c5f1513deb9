"""Evolutionary search: better candidates from the best so far, at as many predictions as a random sample."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dass.search.candidates import Constraints, Passes, sample_candidates
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace

START = 0.25  # share of the candidates that are drawn at random
GENERATIONS = 6
PARENTS = 64
TRIES = 50  # children drawn for each that is wanted, where the budget refuses many

Fitness = Callable[[Sequence[Architecture]], NDArray[np.float64]]


def evolve_candidates(
    space: SearchSpace,
    count: int,
    seed: int,
    fitness: Fitness,
    *,
    resolution: int,
    classes: int,
    budget: Constraints | None = None,
    passes: Passes | None = None,
) -> list[Architecture]:
    """Candidates that a predictor likes: a random sample, then generations of children of the best.

    A child takes each stage from one of two parents and then has the blocks of one stage drawn anew (regularised
    evolution's mutation, Real et al. 2019, in a space whose stages are independent).

    Args:
        space: search space of the candidates.
        count: distinct candidates in all, each scored once.
        seed: random seed of all draws.
        fitness: scores candidates, higher for better.
        resolution: side of the target's images in pixels.
        classes: number of classes of the target.
        budget: limits that each candidate keeps.
        passes: tells which architectures keep further limits; None for none.

    Returns:
        At most `count` candidates, in the order in which they came up; the first quarter is a random sample.

    Raises:
        UsageError: nothing fits the budget.
    """
    limits = budget or Constraints()
    first = max(1, round(START * count))
    found = sample_candidates(space, first, seed, resolution=resolution, classes=classes, budget=limits, passes=passes)
    scores = {one: float(score) for one, score in zip(found, fitness(found), strict=True)}
    rng = np.random.default_rng([seed, 1])
    for generation in range(GENERATIONS):
        wanted = (count - len(scores)) // (GENERATIONS - generation)
        parents = sorted(scores, key=lambda one: scores[one], reverse=True)[:PARENTS]
        children: dict[Architecture, None] = {}
        for _ in range(TRIES * wanted):
            if len(children) == wanted:
                break
            child = _child(space, parents, rng)
            if child in scores or not limits.allows(cost(child, resolution, classes)):
                continue
            if passes is None or all(passes([child])):
                children[child] = None
        if children:
            scores |= {one: float(score) for one, score in zip(children, fitness(list(children)), strict=True)}
    return list(scores)


def _child(space: SearchSpace, parents: Sequence[Architecture], rng: np.random.Generator) -> Architecture:
    mother, father = (parents[int(index)] for index in rng.integers(len(parents), size=2))
    return space.child(mother, father, rng)
