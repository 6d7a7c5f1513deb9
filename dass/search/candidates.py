"""The architectures that a search looks at, with what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dass.amounts import Limit, crossed, megabytes, milliseconds
from dass.errors import UsageError
from dass.fidelity import Fidelity
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace

MILLION = 1e6
FEWEST_DRAWN = 64  # before smaller ones are looked for
WIDEST = 8  # times the candidates that are wanted: so many are drawn where many are refused
KEEP_PROBABILITY = 0.8  # with which a pick is to keep the accuracy that is asked for
SMALLER = 1.5  # the limit on MACs is divided by it while all that are drawn are refused


@dataclass(frozen=True)
class Constraints:
    """What a pick may cost, and how close to its teacher it has to stay.

    Attributes:
        max_macs: millions of multiply-accumulates (conv + linear) on one image; None for no limit.
        max_params: millions of parameters; None for no limit.
        min_macs: likewise the least; None for no limit.
        min_params: the least number of parameters, in the same form.
        max_size: megabytes (of 1,000,000 bytes) of the weights' file; None for no limit.
        max_latency: milliseconds of one forward pass on the device; None for no limit.
        latency_batch: number of images in that forward pass.
        keep_accuracy: points that the pick may lose against its teacher; the smallest such is picked. None for the
            most accurate.
        keep_probability: how likely it has to be that it loses no more, 0..1, both excluded.

    Raises:
        UsageError: a lower limit is above the upper one, or a number is out of its range.
    """

    max_macs: float | None = None
    max_params: float | None = None
    min_macs: float | None = None
    min_params: float | None = None
    max_size: float | None = None
    max_latency: float | None = None
    latency_batch: int = 1
    keep_accuracy: float | None = None
    keep_probability: float = KEEP_PROBABILITY

    def __post_init__(self) -> None:
        if self.latency_batch < 1:
            raise UsageError(f"a batch of {self.latency_batch} images has no latency: give at least 1")
        if self.keep_accuracy is not None and not 0 <= self.keep_accuracy <= 100:
            raise UsageError(f"nothing can lose {self.keep_accuracy:g} points of accuracy: give 0 to 100")
        if not 0 < self.keep_probability < 1:
            raise UsageError(f"{self.keep_probability:g} is no probability: give a number between 0 and 1, such as 0.8")
        for least, most, what in (
            (self.min_macs, self.max_macs, "M MACs"),
            (self.min_params, self.max_params, "M parameters"),
        ):
            if least is not None and most is not None and least > most:
                raise UsageError(f"nothing has at least {least:g} and at most {most:g} {what}: exchange the limits")

    @classmethod
    def of(
        cls,
        max_macs: float | str | None,
        max_params: float | str | None,
        teacher: Cost,
        *,
        min_macs: float | str | None = None,
        min_params: float | str | None = None,
        max_size: float | str | None = None,
        max_latency: float | str | None = None,
        latency_batch: int = 1,
        keep_accuracy: float | None = None,
        keep_probability: float | None = None,
    ) -> "Constraints":
        """Limits as people give them: millions, or a share of the teacher's such as `40%`; `1MB`; `5ms`.

        Args:
            max_macs: limit on multiply-accumulates.
            max_params: limit on parameters.
            teacher: cost of the teacher.
            min_macs: the least multiply-accumulates; 0 for no limit.
            min_params: the fewest parameters; 0 for no limit.
            max_size: largest size of the weights' file, as `dass.amounts.megabytes` reads it.
            max_latency: on the device, as `dass.amounts.milliseconds` reads it.
            latency_batch: number of images in a forward pass.
            keep_accuracy: most points of accuracy (0..100) below the teacher.
            keep_probability: probability (0..1) of keeping that accuracy; None for `KEEP_PROBABILITY`.

        Raises:
            UsageError: neither a number above 0 nor a share of at most 100%, no time or size, a lower limit above the
                upper one, or a number out of its range.
        """
        return cls(
            _millions(Limit.upper(max_macs), teacher.macs),
            _millions(Limit.upper(max_params), teacher.parameters),
            _millions(Limit.lower(min_macs), teacher.macs),
            _millions(Limit.lower(min_params), teacher.parameters),
            None if max_size is None else megabytes(max_size),
            None if max_latency is None else milliseconds(max_latency),
            latency_batch,
            keep_accuracy,
            KEEP_PROBABILITY if keep_probability is None else keep_probability,
        )

    @property
    def units(self) -> dict[str, float | None]:
        """The limits of MACs and parameters by name, not in millions, as `SearchSpace.sample` takes them."""
        return {
            name: None if (limit := getattr(self, name)) is None else limit * MILLION
            for name in ("max_macs", "max_params", "min_macs", "min_params")
        }

    @property
    def further(self) -> dict[str, float]:
        """What is asked for beyond MACs and parameters, by name."""
        names = ("max_size", "max_latency", "keep_accuracy")
        asked = {name: value for name in names if (value := getattr(self, name)) is not None}
        asked |= {"latency_batch": self.latency_batch} if "max_latency" in asked else {}
        return asked | ({"keep_probability": self.keep_probability} if "keep_accuracy" in asked else {})

    def allows(self, price: Cost) -> bool:
        """Whether a cost is within the limits of MACs and parameters; at a limit is within."""
        return all(
            (least is None or amount >= least * MILLION) and (most is None or amount <= most * MILLION)
            for amount, least, most in (
                (price.macs, self.min_macs, self.max_macs),
                (price.parameters, self.min_params, self.max_params),
            )
        )

    def __str__(self) -> str:
        limits = [
            f"{'' if least is None else f'{least:g} to ' if most is not None else f'at least {least:g} '}"
            f"{'' if most is None else f'{most:g} '}{what}"
            for least, most, what in (
                (self.min_macs, self.max_macs, "M MACs"),
                (self.min_params, self.max_params, "M parameters"),
            )
            if least is not None or most is not None
        ]
        limits += [] if self.max_size is None else [f"{self.max_size:g} MB"]
        if self.max_latency is not None:
            images = "one image" if self.latency_batch == 1 else f"{self.latency_batch} images"
            limits.append(f"{self.max_latency:g} ms for {images}")
        if self.keep_accuracy is not None:
            limits.append(
                f"{self.keep_accuracy:g} points below the teacher with a probability of {self.keep_probability:.0%}"
            )
        return " and ".join(limits) or "no limit"


def check_limits(
    max_macs: float | str | None = None,
    max_params: float | str | None = None,
    *,
    min_macs: float | str | None = None,
    min_params: float | str | None = None,
    **further: Any,
) -> None:
    """Refuses limits that are none before the teacher is known, which shares are of.

    Args:
        max_macs: limit as in `Constraints.of`.
        max_params: the largest number of parameters, in the same form.
        min_macs: the least multiply-accumulates, in the same form.
        min_params: the least number of parameters, in the same form.
        **further: the other arguments of `Constraints.of`, but for the teacher.

    Raises:
        UsageError: as there; a lower and an upper limit are compared where both are of one kind. Or what belongs to a
            limit that is not given.
    """
    if further.get("latency_batch", 1) not in (None, 1) and further.get("max_latency") is None:
        raise UsageError("a batch of images belongs to a limit on latency: give max_latency too, or leave it out")
    if further.get("keep_probability") is not None and further.get("keep_accuracy") is None:
        raise UsageError("a probability belongs to an accuracy that is kept: give keep_accuracy too, or leave it out")
    for least, most, what in ((min_macs, max_macs, "macs"), (min_params, max_params, "params")):
        if crossed(Limit.lower(least), Limit.upper(most)):
            raise UsageError(f"nothing has at least {least} and at most {most} of {what}: exchange the limits")
    Limit.upper(max_macs), Limit.upper(max_params)
    Constraints.of(None, None, Cost(1, 1, 1, 1), **further)


def _millions(limit: Limit | None, whole: float) -> float | None:
    return None if limit is None else limit.millions(whole)


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
    budget: Constraints | None = None,
    passes: Passes | None = None,
) -> list[Architecture]:
    """Draws distinct architectures within a budget; the same seed gives the same ones.

    The first k of `count` are what the same call gives for k, so a search can be widened later; but not where
    `passes` refuses all that are drawn first, since smaller ones are then drawn.

    Args:
        space: search space of the candidates.
        count: largest number; where fewer fit the limits, all that do.
        seed: random seed of the draw.
        resolution: side of the target's images in pixels.
        classes: number of classes of the target.
        budget: limits on MACs and parameters; None for none.
        passes: tells of some architectures which keep further limits; None for none.

    Raises:
        UsageError: nothing fits the budget; the message names the smallest member's cost.
    """
    limits = (budget or Constraints()).units

    def draw(number: int) -> list[Architecture]:
        rng = np.random.default_rng(seed)
        return space.sample(number, rng, **limits, resolution=resolution, classes=classes, fewer=True)

    if passes is None:
        return draw(count)
    most = limits["max_macs"] or cost(space.largest, resolution, classes).macs
    architectures: list[Architecture] = []
    while not architectures:
        limits["max_macs"], number = most, max(count, FEWEST_DRAWN)
        try:
            drawn = draw(number)
        except UsageError:  # there is no smaller one
            if not passes.nearest:
                raise
            raise UsageError(f"no student was found within {budget}; {passes.nearest}: widen the limit") from None
        architectures = _passing(drawn, passes)
        while architectures and len(architectures) < count and len(drawn) == number and number < WIDEST * count:
            number *= 2
            architectures += _passing((drawn := draw(number))[number // 2 :], passes)
        most /= SMALLER
    return architectures[:count]


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
