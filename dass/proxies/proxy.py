"""What a proxy is: a class in a module of this package, and an entry of `dass.proxies.registry`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.fidelity import Fidelity
from dass.networks.elastic_resnet import ElasticResNet
from dass.proxies.table import Column, Floats
from dass.space.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Subject:
    """What proxies of one task's students are measured on.

    Attributes:
        teacher: trained network of the teacher, in eval mode.
        load: function that reads the data of the task; in a worker process without its test images.
        noise: the fixed noise image, float32 [1, 3, r, r].
        recipe: recipe of the distillation to be predicted.
        seed: random seed of batches.
        device: device of the measurement.
        shared: what `StoredProxy.prepare` gave for all students; None where there is nothing.
    """

    teacher: ElasticResNet
    load: Callable[[], TaskData]
    noise: Tensor
    recipe: DistillationRecipe
    seed: int
    device: torch.device
    shared: Tensor | None = None

    @property
    def stages(self) -> int:
        """Number of stages of the teacher and its students."""
        return self.teacher.architecture.family.stages


class Proxy(ABC):
    """Numbers of one kind that are measured of students, in the calling process and anew each time.

    A student's row depends on no other student. Teacher and global random state are left as they were.

    Attributes:
        fidelity: the cheapest fidelity at which the numbers are known.
    """

    fidelity: Fidelity

    @classmethod
    def at(cls, fidelity: Fidelity) -> Self | None:
        """The proxy as a fidelity needs it; None for a fidelity that is cheaper than the proxy."""
        return cls() if fidelity.level >= cls.fidelity.level else None

    @abstractmethod
    def columns(self, stages: int) -> tuple[Column, ...]:
        """The f columns for networks of so many stages, at least 1."""

    @abstractmethod
    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """Measures n students.

        Returns:
            float64 [n, f]; NaN where a measurement broke down.
        """


InWorker = Callable[[Callable[[Subject], Tensor]], Tensor]


class StoredProxy(Proxy):
    """Numbers that take so long that worker processes measure them, and a file keeps them.

    Attributes:
        name: part of the names of files that keep the numbers.
        images: number of training images of the measurement, on which the numbers depend.
        students_per_job: least and most students that a worker measures at a time.
    """

    name: ClassVar[str]
    images: ClassVar[int]
    students_per_job: ClassVar[tuple[int, int]]

    def prepare(self, in_worker: InWorker) -> Tensor | None:
        """Computes what the measurements of all students of a task share, on the CPU; None for nothing.

        Args:
            in_worker: calls a function of the subject in a worker process.
        """
        return None

    def part(self, count: int) -> float:
        """The share (0..1) that this proxy has in the time of a row of `count` columns, which may be more than its."""
        return 1.0
