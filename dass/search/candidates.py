"""The architectures that a search looks at, with what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace

MILLION = 1e6


@dataclass(frozen=True)
class Budget:
    """What a pick may cost.

    Attributes:
        max_macs: millions of multiply-accumulates (conv + linear) on one image; None for no limit.
        max_params: millions of parameters; None for no limit.
        min_macs: likewise the least; None for no limit.
        min_params: likewise.

    Raises:
        UsageError: a lower limit is above the upper one.
    """

    max_macs: float | None = None
    max_params: float | None = None
    min_macs: float | None = None
    min_params: float | None = None

    def __post_init__(self) -> None:
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
    ) -> "Budget":
        """Limits as people give them: millions, or a share of the teacher's such as `40%`.

        Args:
            max_macs: on multiply-accumulates.
            max_params: on parameters.
            teacher: what the teacher costs.
            min_macs: the least multiply-accumulates; 0 for no limit.
            min_params: the fewest parameters; 0 for no limit.

        Raises:
            UsageError: neither a number above 0 nor a share of at most 100%, or a lower limit above the upper one.
        """
        return cls(
            _millions(max_macs, teacher.macs),
            _millions(max_params, teacher.parameters),
            _millions(None if min_macs == 0 else min_macs, teacher.macs),
            _millions(None if min_params == 0 else min_params, teacher.parameters),
        )

    @property
    def units(self) -> dict[str, float | None]:
        """The limits by name, not in millions, as `SearchSpace.sample` takes them."""
        return {
            field.name: None if (limit := getattr(self, field.name)) is None else limit * MILLION
            for field in fields(self)
        }

    def allows(self, spent: Cost) -> bool:
        """Whether a cost is within all limits; at a limit is within."""
        return all(
            (least is None or amount >= least * MILLION) and (most is None or amount <= most * MILLION)
            for amount, least, most in (
                (spent.macs, self.min_macs, self.max_macs),
                (spent.parameters, self.min_params, self.max_params),
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
        return " and ".join(limits) or "no limit"


def _millions(limit: float | str | None, whole: int) -> float | None:
    """A limit in millions; see `Budget.of`."""
    if limit is None:
        return None
    text = str(limit).strip()
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf or (share and number > 100):
        raise UsageError(f"{limit!r} is no limit: give millions, such as 2.5, or a share of the teacher's, such as 40%")
    return number / 100 * whole / MILLION if share else number


@dataclass(frozen=True)
class Candidate:
    """An architecture that a search scored.

    Attributes:
        architecture: what it is.
        score: what it is ranked by, the higher the better: as a rule the accuracy in percent that it is predicted to
            reach after distillation, which the arithmetic of a predictor may put beyond the scale.
        cost: of one image of the target.
        low: lower end of the prediction's 80% interval, percent; None where the method gives none.
        high: upper end.
        rung: up to which evidence about it was collected; empty where the method collects none.
    """

    architecture: Architecture
    score: float
    cost: Cost
    low: float | None = None
    high: float | None = None
    rung: str = ""

    @property
    def predicted(self) -> float:
        """The score as an accuracy, 0..100 percent; NaN stays NaN."""
        return self.score if math.isnan(self.score) else min(max(self.score, 0.0), 100.0)


def sample_candidates(
    space: SearchSpace, count: int, seed: int, *, resolution: int, classes: int, budget: Budget | None = None
) -> list[Architecture]:
    """Draws distinct architectures within a budget; the same seed gives the same ones.

    The first k of `count` are what the same call gives for k, so a search can be widened later.

    Args:
        space: where from.
        count: how many at most; where fewer fit the budget, all that do.
        seed: of the draw.
        resolution: side of the target's images in pixels.
        classes: of the target.
        budget: limits; None for none.

    Raises:
        UsageError: nothing fits the budget; the message names the smallest member's cost.
    """
    budget = budget or Budget()
    return space.sample(
        count,
        np.random.default_rng(seed),
        **budget.units,
        resolution=resolution,
        classes=classes,
        fewer=True,
    )


def scored(
    architectures: Sequence[Architecture], scores: Sequence[float], *, resolution: int, classes: int
) -> list[Candidate]:
    """Puts architectures, their scores and their costs together, in the same order."""
    return [
        Candidate(architecture, float(score), cost(architecture, resolution, classes))
        for architecture, score in zip(architectures, scores, strict=True)
    ]
