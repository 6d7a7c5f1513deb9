"""How good a method's choice is: what the pick costs in accuracy, and how many of the best it finds.

Both take arrays [..., n] of the students within the budget and follow the rules of `dass.evaluation.correlation`.
Students with equal scores are picked among by lot: the functions give the expected value, which depends on no order.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dass.errors import UsageError
from dass.evaluation.correlation import finite_accuracies, rankable

Floats = NDArray[np.float64]


def top1_regret(scores: ArrayLike, accuracies: ArrayLike) -> Floats:
    """Accuracy of the best student minus that of the student with the highest score, in percentage points, >= 0."""
    values = finite_accuracies(accuracies)
    picked = _picked(rankable(scores), 1)
    return np.asarray(values.max(-1) - (picked * values).sum(-1))


def precision_at_k(scores: ArrayLike, accuracies: ArrayLike, k: int) -> Floats:
    """Share of the k students with the highest scores that are among the k most accurate, 0..1.

    Where there are fewer than k students, k is their number (and the share is 1).
    """
    values = finite_accuracies(accuracies)
    k = min(k, values.shape[-1])
    return np.asarray((_picked(rankable(scores), k) * _picked(values, k)).sum(-1) / k)


def _picked(values: Floats, k: int) -> Floats:
    """Chance of each [..., n] to be among the k highest, ties broken by lot."""
    if not 1 <= k <= values.shape[-1]:
        raise UsageError(f"cannot pick {k} of {values.shape[-1]} students: is the budget below the smallest of them?")
    threshold = np.partition(values, -k, axis=-1)[..., -k, None]
    above, tied = values > threshold, values == threshold
    return above + tied * (k - above.sum(-1, keepdims=True)) / tied.sum(-1, keepdims=True)
