"""The architectures that a search looks at, with what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dass.errors import UsageError
from dass.fidelity import Fidelity
from dass.search.constraints import Constraints
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace

FEWEST_DRAWN = 64  # before smaller ones are looked for
WIDEST = 8  # times the candidates that are wanted: so many are drawn where many are refused
SMALLER = 1.5  # the limit on MACs is divided by it while all that are drawn are refused


@dataclass(frozen=True)
class Candidate:
    """An architecture that a search scored.

    Attributes:
        architecture: architecture of the network.
        score: what it is ranked by, the higher the better: as a rule the accuracy in percent that it is predicted to
            reach after distillation, which the arithmetic of a predictor may put beyond the scale.
        cost: cost of one image of the target.
        low: lower end of the 80% interval of what is predicted, or of what a race measured, percent; None where the
            method gives none.
        high: upper end of the interval.
        fidelity: what the score rests on; None where the method has one kind of measurement alone.
    """

    architecture: Architecture
    score: float
    cost: Cost
    low: float | None = None
    high: float | None = None
    fidelity: Fidelity | None = None

    @property
    def predicted(self) -> float:
        """The score as an accuracy, 0..100 percent; NaN stays NaN."""
        return self.score if math.isnan(self.score) else min(max(self.score, 0.0), 100.0)


class Passes(Protocol):
    """Limits that MACs and parameters do not tell."""

    def __call__(self, architectures: Sequence[Architecture]) -> Sequence[bool]:
        """Whether each keeps them."""

    @property
    def nearest(self) -> str:
        """What came nearest to them so far, in words."""


def sample_candidates(
    space: SearchSpace,
    count: int,
    seed: int,
    *,
    resolution: int,
    classes: int,
    constraints: Constraints | None = None,
    passes: Passes | None = None,
) -> list[Architecture]:
    """Draws distinct architectures within constraints; the same seed gives the same ones.

    The first k of `count` are what the same call gives for k, so a search can be widened later; but not where
    `passes` refuses all that are drawn first, since smaller ones are then drawn.

    Args:
        space: search space of the candidates.
        count: largest number; where fewer fit the limits, all that do.
        seed: random seed of the draw.
        resolution: side of the target's images in pixels.
        classes: number of classes of the target.
        constraints: limits on MACs and parameters; None for none.
        passes: tells of some architectures which keep further limits; None for none.

    Raises:
        UsageError: nothing keeps the constraints; the message names the smallest member's cost.
    """
    limits = (constraints or Constraints()).limits(resolution, classes)

    def draw(number: int, most: float | None = limits.max_macs) -> list[Architecture]:
        return space.sample(number, np.random.default_rng(seed), replace(limits, max_macs=most), fewer=True)

    if passes is None:
        return draw(count)
    most = limits.max_macs or cost(space.largest, resolution, classes).macs
    found: list[Architecture] = []
    while not found:
        number = max(count, FEWEST_DRAWN)
        try:
            drawn = draw(number, most)
        except UsageError:  # there is no smaller one
            if not passes.nearest:
                raise
            raise UsageError(f"no student was found within {constraints}; {passes.nearest}: widen the limit") from None
        found = _passing(drawn, passes)
        while found and len(found) < count and len(drawn) == number and number < WIDEST * count:
            number *= 2
            found += _passing((drawn := draw(number, most))[number // 2 :], passes)
        most /= SMALLER
    return found[:count]


def _passing(architectures: Sequence[Architecture], passes: Passes) -> list[Architecture]:
    return [one for one, keeps in zip(architectures, passes(architectures), strict=True) if keeps]


def scored(
    architectures: Sequence[Architecture], scores: Sequence[float], *, resolution: int, classes: int
) -> list[Candidate]:
    """Puts architectures, their scores and their costs together, in the same order."""
    return [
        Candidate(architecture, float(score), cost(architecture, resolution, classes))
        for architecture, score in zip(architectures, scores, strict=True)
    ]
