"""The interface of every method: fit on source tasks, then score a target's students."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dass.config import DistillationRecipe, Predictor
from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask


@dataclass(frozen=True)
class Settings:
    """What methods need of params.yaml.

    Attributes:
        predictor: settings of the meta-training.
        distillation: the recipe behind the accuracies.
        seed: random seed of everything random in a method.
        device: on which methods that learn do so: `auto`, `cpu` or `cuda`. The others go where the teacher is.
        checkpoint: a file where a method whose learning can go on after a stop keeps its state; None for nowhere.
        proxies: a folder where the multi-fidelity predictor keeps its measurements; None for nowhere.
        workers: processes in which it measures, 0 for this one; None for one per core, or one on a GPU.
    """

    predictor: Predictor
    distillation: DistillationRecipe
    seed: int = 0
    device: str = "auto"
    checkpoint: Path | None = None
    proxies: Path | None = None
    workers: int | None = None


class Ranker(ABC):
    """A method that orders the students of a task.

    As scikit-learn has it: the constructor only stores its arguments, `fit` learns and returns self, and what was
    learned ends in an underscore. Methods that learn nothing need no `fit`.

    A score depends on the task, the architecture and the method's seed alone: not on which other students are
    scored, nor on their order. Scoring leaves the teacher and the global random state as they were. A score may
    be NaN or infinite where a method breaks down; `dass.evaluation.correlation` says how those rank.
    """

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """Makes the method as params.yaml asks for it; a method that needs settings takes them here.

        Args:
            settings: what methods need of params.yaml.
            options: those of the method's entry in `dass.method_names.METHODS`.
        """
        return cls(**options)

    def arguments(self) -> dict[str, Any]:
        """What the method was made with, which is all that it stores before `fit`.

        The scores on disk are found by these names and values: a change of either loses all scores of the method.
        """
        return dict(vars(self))

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Learns from source tasks; does nothing unless a method learns.

        Args:
            training: source tasks with known students, to learn from.
            validation: source tasks that choose what is kept of training.
        """
        return self

    @abstractmethod
    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Scores students, higher for what should be more accurate after distillation.

        Args:
            task: task of the target.
            architectures: the n students to order, members of the task's space.

        Returns:
            [n], in any unit.

        Raises:
            UsageError: the method learns and was not fitted.
        """


def not_fitted(method: Ranker) -> UsageError:
    """What a method that learns raises when it is asked before `fit`."""
    return UsageError(f"{type(method).__name__} has learned nothing yet: call fit with source tasks first")
