"""Ranking candidates and picking one within constraints."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from dass.errors import UsageError
from dass.search.candidates import Candidate
from dass.search.constraints import MILLION, Constraints

if TYPE_CHECKING:
    from dass.search.fitting import Fitting

MEASURED = 50  # candidates whose latency is measured at most, until one keeps the limit
INTERVAL = NormalDist().inv_cdf(0.9)  # half the width of an 80% interval, in standard deviations


@dataclass(frozen=True)
class TimedPick:
    """A pick.

    Attributes:
        candidate: candidate that was chosen.
        latency: milliseconds measured on the device; None where there is no limit on it.
        missed: how many came before it and were slower than the limit when measured.
    """

    candidate: Candidate
    latency: float | None = None
    missed: int = 0


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first: by predicted accuracy, then fewer MACs, fewer parameters, and the order of architectures.

    A prediction that is not finite ranks last, as everywhere in `dass.evaluation`.
    """
    return sorted(candidates, key=_place)


def pick(candidates: Sequence[Candidate], constraints: Constraints) -> Candidate:
    """The best-ranked candidate within the constraints.

    Raises:
        UsageError: there are no candidates, or none fits; the message names the nearest.
    """
    return min(_within(candidates, constraints), key=_place)


def choose(
    ranking: Sequence[Candidate], constraints: Constraints, *, teacher_accuracy: float, fitting: "Fitting | None" = None
) -> TimedPick:
    """The first of a ranking that keeps the constraints, its latency measured.

    Where they say how far below its teacher a student may stay, the cheapest of those come first that stay
    within with the probability asked for; where there is none, the likeliest. Of a method without intervals the
    prediction alone is compared, which a student keeps about every other time.

    Args:
        ranking: ranked candidates, the best first.
        constraints: limits on the cost of the pick.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        fitting: measures latency; None where there is no limit on it.

    Raises:
        UsageError: nothing keeps the constraints, or all that were measured are too slow.
    """
    order = _within(ranking, constraints)
    if constraints.keep_accuracy is not None:
        order.sort(key=lambda one: _by_size(one, constraints, teacher_accuracy))
    if fitting is None:
        return TimedPick(order[0])
    times: list[float] = []
    for candidate in order[:MEASURED]:
        latency = fitting.latency(candidate.architecture)
        if latency is None or fitting.holds(latency):
            return TimedPick(candidate, latency, len(times))
        times.append(latency)
    raise UsageError(
        f"none of the {len(times)} best candidates keeps {constraints.max_latency:g} ms when measured; the "
        f"fastest took {min(times):.3g} ms: widen the limit"
    )


def kept_probability(candidate: Candidate, constraints: Constraints, teacher_accuracy: float) -> float | None:
    """How likely a candidate is to stay as close to its teacher as the constraints ask, 0..1.

    Returns:
        None where nothing is asked, or the method gives no intervals.
    """
    if constraints.keep_accuracy is None or candidate.low is None or candidate.high is None:
        return None
    above = candidate.score - (teacher_accuracy - constraints.keep_accuracy)
    deviation = (candidate.high - candidate.low) / (2 * INTERVAL)
    return NormalDist().cdf(above / deviation) if deviation > 0 else float(above >= 0)


def _by_size(candidate: Candidate, constraints: Constraints, teacher_accuracy: float) -> tuple[int, float]:
    """The cheapest that keeps the accuracy first, then what comes nearest to it, in the order of the ranking."""
    probability = kept_probability(candidate, constraints, teacher_accuracy)
    if probability is None:
        floor = teacher_accuracy - (constraints.keep_accuracy or 0.0)
        return (0, candidate.cost.macs) if candidate.predicted >= floor else (1, 0)
    return (0, candidate.cost.macs) if probability >= constraints.keep_probability else (1, -probability)


def _within(candidates: Sequence[Candidate], constraints: Constraints) -> list[Candidate]:
    """The candidates whose cost the constraints allow, in the same order."""
    if not candidates:
        raise UsageError("there is no candidate to pick from: ask for at least one (search.candidates)")
    fitting = [candidate for candidate in candidates if constraints.allows(candidate.cost)]
    if not fitting:
        nearest = min(candidates, key=lambda c: (_excess(c, constraints), c.architecture))
        raise UsageError(
            f"none of {len(candidates)} candidates fits {constraints}; the nearest, "
            f"{nearest.architecture.stage_label}, has {nearest.cost.macs / MILLION:.2f} M MACs and "
            f"{nearest.cost.parameters / MILLION:.3f} M parameters: widen the limits"
        )
    return fitting


def _place(candidate: Candidate) -> tuple[bool, float, int, int, object]:
    finite = bool(np.isfinite(candidate.score))
    score = candidate.score if finite else 0.0
    return not finite, -score, candidate.cost.macs, candidate.cost.parameters, candidate.architecture


def _excess(candidate: Candidate, constraints: Constraints) -> float:
    """By which factor the constraints must be widened at least to take a candidate; at most 1 where it fits."""
    macs, parameters = candidate.cost.macs / MILLION, candidate.cost.parameters / MILLION
    above = ((macs, constraints.max_macs), (parameters, constraints.max_params))
    below = ((macs, constraints.min_macs), (parameters, constraints.min_params))
    return max(
        *(amount / limit for amount, limit in above if limit is not None),
        *(limit / amount for amount, limit in below if limit is not None),
        0.0,
    )
