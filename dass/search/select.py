"""Ranking candidates and picking one within a budget."""

from collections.abc import Sequence

import numpy as np

from dass.errors import UsageError
from dass.search.candidates import MILLION, Budget, Candidate


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first: by predicted accuracy, then fewer MACs, fewer parameters, and the order of architectures.

    A prediction that is not finite ranks last, as everywhere in `dass.evaluation`.
    """
    return sorted(candidates, key=_place)


def pick(candidates: Sequence[Candidate], budget: Budget) -> Candidate:
    """The best-ranked candidate within the budget.

    Raises:
        UsageError: there are no candidates, or none fits; the message names the nearest.
    """
    if not candidates:
        raise UsageError("there is no candidate to pick from: ask for at least one (search.candidates)")
    fitting = [candidate for candidate in candidates if budget.allows(candidate.cost)]
    if not fitting:
        nearest = min(candidates, key=lambda c: (_excess(c, budget), c.architecture))
        raise UsageError(
            f"none of {len(candidates)} candidates fits {budget}; the nearest, {nearest.architecture.stage_label}, "
            f"has {nearest.cost.macs / MILLION:.2f} M MACs and {nearest.cost.parameters / MILLION:.3f} M parameters: "
            "widen the budget"
        )
    return min(fitting, key=_place)


def _place(candidate: Candidate) -> tuple[bool, float, int, int, object]:
    finite = bool(np.isfinite(candidate.score))
    score = candidate.score if finite else 0.0
    return not finite, -score, candidate.cost.macs, candidate.cost.parameters, candidate.architecture


def _excess(candidate: Candidate, budget: Budget) -> float:
    """By which factor the budget must be widened at least to take a candidate; at most 1 where it fits."""
    macs, parameters = candidate.cost.macs / MILLION, candidate.cost.parameters / MILLION
    above = ((macs, budget.max_macs), (parameters, budget.max_params))
    below = ((macs, budget.min_macs), (parameters, budget.min_params))
    return max(
        *(spent / limit for spent, limit in above if limit is not None),
        *(limit / spent for spent, limit in below if limit is not None),
        0.0,
    )
