"""The candidates that no other one beats in both accuracy and cost."""

from collections.abc import Callable, Sequence

import numpy as np

from dass.search.candidates import Candidate


def pareto_front(
    candidates: Sequence[Candidate], price: Callable[[Candidate], float] = lambda candidate: candidate.cost.macs
) -> list[Candidate]:
    """Those for which no other costs at most as much and is predicted to be at least as accurate, one of both strictly.

    Args:
        candidates: in any order; one whose prediction is not finite is never on the front.
        price: what counts as cost, by default MACs.

    Returns:
        By ascending cost. Of candidates that are equal in both, the first in the order of architectures.
    """
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (price(c), -c.score, c.architecture)):
        if np.isfinite(candidate.score) and (not front or candidate.score > front[-1].score):
            front.append(candidate)
    return front
