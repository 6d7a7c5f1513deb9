"""What an episode is made of: the pairs that all training tasks adapt to, and random students of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dass.predictor.model import Batch, DassPredictor
from dass.predictor.tasks import TargetScale, TaskTensors


@dataclass(frozen=True)
class Episode:
    """One step's data of all training tasks.

    Attributes:
        support: students that each task adapts to, float32.
        query: students that the loss is computed on; valid until the next draw.
    """

    support: Batch
    query: Batch


class Episodes:
    """The training tasks in memory, once, on the device that computes.

    Args:
        tasks: T tasks of the same shapes.
        predictor: predictor whose inputs are drawn.
        scale: unit of the predicted accuracies, in points.
        query: students of each task in an episode.
        shots: students of each that are the support, others than the query's; None for the guide's pair: the teacher
            as its own student.
        dtype: number format of the kept embeddings.
        device: torch device of the computation.
    """

    def __init__(
        self,
        tasks: Sequence[TaskTensors],
        predictor: DassPredictor,
        scale: TargetScale,
        query: int,
        shots: int | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        teachers = predictor.patches(torch.stack([task.teacher_embedding for task in tasks]).to(device, torch.float32))
        accuracies = torch.tensor([[task.teacher_accuracy] for task in tasks], dtype=torch.float64)
        codes = torch.stack([task.teacher_code[None] for task in tasks]).to(device)
        self._guide = Batch(teachers, teachers[:, None], codes, scale.to_target(accuracies).to(device))
        self._teachers = teachers.to(dtype)
        self._counts = [len(task.codes) for task in tasks]
        # All tasks' students lie one after the other, so that an episode's are gathered at once. Patches are kept, not
        # embeddings: they take 9/4 of the memory at most and save every episode the cutting.
        self._students = teachers.new_empty(sum(self._counts), *teachers.shape[1:], dtype=dtype)
        for rows, task in zip(self._students.split(self._counts), tasks, strict=True):
            rows.copy_(predictor.patches(task.student_embeddings.to(device, dtype)))
        self._codes = torch.cat([task.codes for task in tasks]).to(device)
        self._targets = torch.cat([scale.to_target(task.accuracies) for task in tasks]).to(device)
        self._buffer = self._students.new_empty(len(tasks), query, *teachers.shape[1:])
        self._query = query
        self._shots = shots

    def draw(self, rng: np.random.Generator) -> Episode:
        """Random students of every task; where students are the support they are the first of those drawn."""
        shots = self._shots or 0
        firsts = np.cumsum([0, *self._counts[:-1]])
        orders = np.stack([
            first + rng.permutation(count)[: shots + self._query]
            for first, count in zip(firsts, self._counts, strict=True)
        ])  # fmt: skip
        drawn = torch.from_numpy(orders).to(self._buffer.device)
        support, picked = drawn[:, :shots], drawn[:, shots:]
        torch.index_select(self._students, 0, picked.flatten(), out=self._buffer.flatten(0, 1))
        query = Batch(self._teachers, self._buffer, self._codes[picked], self._targets[picked])
        if self._shots is None:
            return Episode(self._guide, query)
        students = self._students[support].float()
        return Episode(Batch(self._guide.teachers, students, self._codes[support], self._targets[support]), query)
