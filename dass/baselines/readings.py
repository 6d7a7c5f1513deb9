"""Two things that the paper leaves open about its predictor, and how well each choice gives the order of its Table 2.

Which statistics the batch norms take of the noise image, and in which unit accuracies are targets
(`predictor.statistics` and `predictor.unit` of params.yaml).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from dass.config import Predictor, Statistics
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.tasks.ranking import RankingTask, SourceTasks

# Mean SRC over CUB, Cars, DTD and Draw.
PUBLISHED = {"dass": 0.72, "dass_unguided": 0.64, "maml": 0.51, "metad2a": 0.45, "meta_sgd": 0.37, "tans": 0.18}


@dataclass(frozen=True)
class Reading:
    """One combination of the two.

    Attributes:
        statistics: statistics of the batch norms while networks respond to the noise.
        unit: percent of accuracy that count as 1.
    """

    statistics: Statistics
    unit: float

    @property
    def label(self) -> str:
        """In words, for tables."""
        return f"{self.statistics} statistics, unit {self.unit:g}"

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.statistics}-{self.unit:g}"

    def of(self, block: Predictor) -> Predictor:
        """Settings of meta-training with this reading."""
        return block.model_copy(update={"statistics": self.statistics, "unit": self.unit})


STATISTICS: tuple[Statistics, ...] = ("running", "batch")
READINGS = tuple(Reading(statistics, unit) for statistics, unit in product(STATISTICS, (50.0, 1.0)))


@dataclass(frozen=True)
class Fold:
    """Source tasks of one class group left out.

    Attributes:
        left_out: tasks of the group, to be ranked.
        sources: the others; the next group's choose the weights.
    """

    left_out: tuple[RankingTask, ...]
    sources: SourceTasks


def folds(groups: Mapping[int, Sequence[RankingTask]]) -> list[Fold]:
    """Leaves out each class group in turn.

    Args:
        groups: the source tasks of each class group; those of a group share their images.

    Raises:
        UsageError: fewer than three groups.
    """
    names = sorted(groups)
    if len(names) < 3:
        raise UsageError(
            f"source.splits in params.yaml are of {len(names)} class groups: three are needed, one to leave "
            "out, one to validate and one to train"
        )
    made = []
    for place, name in enumerate(names):
        following = names[(place + 1) % len(names)]
        training = [task for other in names if other not in (name, following) for task in groups[other]]
        made.append(Fold(tuple(groups[name]), SourceTasks(training, list(groups[following]))))
    return made


def agreement(means: Mapping[str, float]) -> float:
    """Spearman's correlation between methods' mean SRC and the paper's Table 2; methods that lack a mean are left out.

    Args:
        means: mean SRC (-1..1) by key of the method.
    """
    shared = [name for name in PUBLISHED if np.isfinite(means.get(name, np.nan))]
    return float(spearman([means[name] for name in shared], [PUBLISHED[name] for name in shared]))


def best_reading(means: Mapping[Reading, Mapping[str, float]]) -> Reading:
    """The reading whose order of methods is nearest to the paper's; of equal ones that with the higher SRC of DaSS.

    Args:
        means: SRC by reading and method, over left-out source tasks.
    """
    return max(means, key=lambda reading: (agreement(means[reading]), means[reading].get("dass", -np.inf)))
