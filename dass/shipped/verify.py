"""Whether a shipped predictor still says on this machine and these versions what it said when it was made."""

from dataclasses import dataclass

import numpy as np

from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.shipped.card import Release
from dass.shipped.fixture import read_fixture
from dass.shipped.predict import predict
from dass.training.workers import Workers

TOLERANCE = 0.02  # of a Spearman correlation: other processors give other last bits, which swap neighbours


@dataclass(frozen=True)
class Check:
    """One correlation, computed again.

    Attributes:
        proxies: key of the proxies that the prediction was made from.
        expected: the Spearman correlation on the card.
        found: the one of today.
    """

    proxies: str
    expected: float
    found: float

    @property
    def holds(self) -> bool:
        """Whether both agree within `TOLERANCE`."""
        return bool(abs(self.found - self.expected) <= TOLERANCE)


def verify(release: Release, workers: Workers) -> list[Check]:
    """Computes each correlation of a release's card again from its fixture.

    Args:
        release: released predictor.
        workers: worker processes that run short trainings.

    Raises:
        UsageError: the release has no fixture.
        DassError: a file is damaged, or workers died.
    """
    card = release.card
    if not card.fixture:
        raise UsageError(f"{card.name} has no fixture to verify it by")
    fixture = read_fixture(release.folder.parent / "fixtures" / card.fixture)
    reached = np.array(fixture.accuracies)
    checks = []
    for proxies, expected in card.expected.items():
        made = predict(card.kind, release.weights, fixture, proxies, workers)
        checks.append(Check(proxies, expected, float(spearman(made.mean, reached))))
    return checks
