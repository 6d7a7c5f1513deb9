"""Random draws of distinct members of a search space, as numbers of the options of its stages."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dass.space.limits import LimitCheck

DRAWS = 4096  # architectures drawn at a time from larger spaces
PATIENCE = 256  # rounds without a new architecture after which a larger space counts as exhausted
WORD = 2**62  # option numbers up to this one are machine words, larger ones Python's integers

OptionCounts = Sequence[Sequence[int]]
"""How many options each stage has at each depth, from 1."""


def sample_exactly(
    options_per_depth: OptionCounts, n: int, rng: np.random.Generator, fits: LimitCheck | None
) -> NDArray[np.int64]:
    """Draws without replacement from the enumerated space.

    Args:
        options_per_depth: how many options each stage has at each depth, from 1.
        n: number of members.
        rng: the source of randomness.
        fits: limits on the cost of members; None for no limits.

    Returns:
        Option numbers, [<= n, stages].
    """
    # The smallest of exponential variables divided by weights is a draw by weight; in ascending order they
    # are successive draws without replacement.
    weights = np.ones(())
    for counts in options_per_depth:
        weights = np.multiply.outer(weights, np.concatenate([np.full(count, 1 / count) for count in counts]))
    keys = rng.standard_exponential(weights.size) / weights.ravel()
    rows = np.stack(np.unravel_index(np.argsort(keys, kind="stable"), weights.shape), axis=1)
    return (rows if fits is None else rows[fits(rows)])[:n]


def sample_by_draws(
    options_per_depth: OptionCounts, n: int, rng: np.random.Generator, fits: LimitCheck | None
) -> list[tuple[int, ...]]:
    """Draws until n distinct members are there or no new ones come; arguments as of `sample_exactly`.

    Returns:
        Option numbers, [<= n, stages].
    """
    distinct: dict[tuple[int, ...], None] = {}
    fruitless = 0
    for rows in _draws(options_per_depth, rng):
        if len(distinct) >= n or fruitless >= PATIENCE:
            break
        before = len(distinct)
        distinct.update(dict.fromkeys(map(tuple, (rows if fits is None else rows[fits(rows)]).tolist())))
        fruitless = 0 if len(distinct) > before else fruitless + 1
    return list(distinct)[:n]


def _draws(options_per_depth: OptionCounts, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Option numbers [DRAWS, stages]: each depth with equal chance, then each choice with equal chance."""
    depths = [len(counts) for counts in options_per_depth]
    stages = np.arange(len(depths))
    kind = np.int64 if max(map(sum, options_per_depth)) <= WORD else object
    counts = np.zeros((len(stages), max(depths)), dtype=kind)
    first = np.zeros_like(counts)
    for stage, per_depth in enumerate(options_per_depth):
        counts[stage, : len(per_depth)] = per_depth
        first[stage, 1 : len(per_depth)] = np.cumsum(np.array(per_depth[:-1], dtype=kind))
    # One limit for all stages and an array of equal limits draw different numbers: samples must stay what they are.
    deepest = depths[0] if len(set(depths)) == 1 else np.array(depths)
    while True:
        depth = rng.integers(0, deepest, (DRAWS, len(stages)))
        options = counts[stages, depth]
        if kind is np.int64:
            yield first[stages, depth] + rng.integers(0, options)
        else:  # more than a machine word holds: two draws, of which the second decides next to nothing
            high, low = (rng.integers(0, 2**62, options.shape).astype(object) for _ in range(2))
            yield first[stages, depth] + ((high << 62) + low) * options // 2**124
