"""Tasks as methods that rank students see them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from dass.config import Statistics
from dass.predictor.embeddings import fixed_noise
from dass.predictor.tasks import TaskTensors, build_task
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.students.record import StudentRecord
from dass.tasks.stored import StoredTask, stored_sources
from dass.tasks.students import distilled_students, student_key
from dass.tasks.task import Task


@dataclass(frozen=True, eq=False, kw_only=True)
class RankingTask(Task):
    """A task with all that a ranking method may look at. No method may change the teacher's weights, buffers or mode.

    Only `Ranker.fit` and few-shot methods look at `accuracies`.

    Attributes:
        space: search space of the students.
        noise: the fixed Gaussian input, float32 [1, 3, r, r].
        dtype: number format of functional embeddings, float32 or bfloat16.
    """

    space: SearchSpace
    noise: Tensor
    dtype: torch.dtype = torch.float32

    @cached_property
    def _tensors(self) -> dict[Statistics, TaskTensors]:
        return {}

    def tensors(self, statistics: Statistics = "running") -> TaskTensors:
        """Embeddings, codes and accuracies of teacher and students, computed once for all methods.

        Args:
            statistics: statistics of the batch norms that give the embeddings.
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


@dataclass(frozen=True)
class SourceTasks:
    """What methods learn from.

    Attributes:
        training: source tasks with known students, to learn from.
        validation: source tasks that choose what is kept of training.
    """

    training: Sequence[RankingTask]
    validation: Sequence[RankingTask]

    @property
    def all(self) -> list[RankingTask]:
        """All of them, those for training first."""
        return [*self.training, *self.validation]


def ranking_task(stored: StoredTask, task: Task, records: Sequence[StudentRecord], device: torch.device) -> RankingTask:
    """A task of params.yaml with its known students.

    Args:
        stored: source task or target of params.yaml.
        task: images and teacher of the task, as `stored.open` gives them.
        records: records of the students.
        device: device that the teacher is put on.
    """
    params = stored.project.params
    return RankingTask(
        task.data,
        task.teacher.to(device),
        task.card,
        tuple(record.architecture for record in records),
        tuple(record.final_accuracy for record in records),
        task.left_out,
        space=stored.space,
        noise=fixed_noise(params.data.resolution, params.seed),
    )


def source_task(stored: StoredTask, device: torch.device) -> RankingTask:
    """A source task with its distilled students.

    Raises:
        DassError: a file is missing or damaged.
    """
    task = stored.open()
    records = distilled_students(stored, student_key(stored, task, device))
    # Nothing looks at a source task's test images, which are another's training images: one copy of each is enough.
    data = task.data
    data = replace(data, test_images=data.test_images[:0].clone(), test_labels=data.test_labels[:0].clone())
    return ranking_task(stored, replace(task, data=data, left_out=task.test_images), records, device)


def source_tasks(project: Project, device: torch.device) -> SourceTasks:
    """Every source task with its images and distilled students.

    Raises:
        DassError: a file is missing or damaged.
    """
    source = project.params.source
    tasks = {stored.split.index: source_task(stored, device) for stored in stored_sources(project) if stored.split}
    return SourceTasks([tasks[index] for index in source.training], [tasks[index] for index in source.validation])
