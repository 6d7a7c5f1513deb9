"""Methods that look at the architecture alone. One that does not beat them has shown nothing."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dass.baselines.ranker import Ranker, Settings
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask


class Parameters(Ranker):
    """More parameters, higher accuracy."""

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Trained weights."""
        return np.array([task.cost(architecture).parameters for architecture in architectures], dtype=np.float64)


class Macs(Ranker):
    """More multiply-accumulates (conv + linear), higher accuracy."""

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Multiply-accumulates on one image."""
        return np.array([task.cost(architecture).macs for architecture in architectures], dtype=np.float64)


class Depth(Ranker):
    """More blocks, higher accuracy."""

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Blocks of all stages; many students tie."""
        return np.array([sum(architecture.depths) for architecture in architectures], dtype=np.float64)


class Random(Ranker):
    """A number drawn for each architecture: what a method without knowledge reaches by chance.

    Attributes:
        seed: random seed of the draw.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(settings.seed, **options)

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Uniform in 0..1, a function of seed and architecture."""
        draws = (np.random.default_rng([self.seed, int(a.arch_id, 16)]).random() for a in architectures)
        return np.fromiter(draws, np.float64, len(architectures))
