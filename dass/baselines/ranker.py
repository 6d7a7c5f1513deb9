"""The interface of every method: fit on source tasks, then score a target's students."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dass.config import Statistics
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.tasks import TaskTensors, build_task
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace


@dataclass(frozen=True, eq=False)
class RankingTask:
    """A task with all that a method may look at.

    Attributes:
        name: the task.
        teacher: the trained network; no method may change its weights, buffers or mode.
        teacher_accuracy: percent of the test images.
        data: the task's images.
        test_images: how many an accuracy is over; the images themselves may have been left out of `data`.
        space: of the students.
        noise: the fixed Gaussian input, float32 [1, 3, r, r].
        architectures: students whose accuracy after distillation is known; none for a target yet to be ranked.
        accuracies: percent, one for each. Only `Ranker.fit` and few-shot methods look at them.
        dtype: of functional embeddings, float32 or bfloat16.
    """

    name: str
    teacher: ElasticResNet
    teacher_accuracy: float
    data: TaskData
    test_images: int
    space: SearchSpace
    noise: Tensor
    architectures: tuple[Architecture, ...] = ()
    accuracies: tuple[float, ...] = ()
    dtype: torch.dtype = torch.float32

    @cached_property
    def _tensors(self) -> dict[Statistics, TaskTensors]:
        return {}

    def tensors(self, statistics: Statistics = "running") -> TaskTensors:
        """Embeddings, codes and accuracies of teacher and students, computed once for all methods.

        Args:
            statistics: of the batch norms that give the embeddings.
        """
        if statistics not in self._tensors:
            self._tensors[statistics] = build_task(
                self.name,
                self.teacher,
                self.teacher_accuracy,
                self.space,
                self.noise,
                architectures=self.architectures,
                accuracies=self.accuracies,
                dtype=self.dtype,
                statistics=statistics,
            )
        return self._tensors[statistics]

    def cost(self, architecture: Architecture) -> Cost:
        """What a student costs at this task's resolution and number of classes."""
        return cost(architecture, self.data.resolution, len(self.data.classes))


class Ranker(ABC):
    """A method that orders the students of a task.

    As scikit-learn has it: the constructor only stores its arguments, `fit` learns and returns self, and what was
    learned ends in an underscore. Methods that learn nothing need no `fit`.

    A score depends on the task, the architecture and the method's seed alone: not on which other students are
    scored, nor on their order. Scoring leaves the teacher and the global random state as they were. A score may
    be NaN or infinite where a method breaks down; `dass.evaluation.correlation` says how those rank.
    """

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Learns from source tasks; does nothing unless a method learns.

        Args:
            training: source tasks with known students.
            validation: source tasks that choose what is kept of training.
        """
        return self

    @abstractmethod
    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Scores students, higher for what should be more accurate after distillation.

        Args:
            task: the target.
            architectures: the n students to order, members of the task's space.

        Returns:
            [n], in any unit.

        Raises:
            UsageError: the method learns and was not fitted.
        """


def not_fitted(method: Ranker) -> UsageError:
    """What a method that learns raises when it is asked before `fit`."""
    return UsageError(f"{type(method).__name__} has learned nothing yet: call fit with source tasks first")
