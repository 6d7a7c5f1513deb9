"""What an episode is made of: the pairs that all training tasks adapt to, and random students of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
        predictor: predictor that they are for.
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
        # Patches are kept, not embeddings: they take 9/4 of the memory at most and save every episode the cutting.
        self._students = [predictor.patches(task.student_embeddings.to(device, dtype)) for task in tasks]
        self._codes = [task.codes.to(device) for task in tasks]
        self._targets = [scale.to_target(task.accuracies).to(device) for task in tasks]
        self._buffer = torch.empty(len(tasks), query, *self._students[0].shape[1:], dtype=dtype, device=device)
        self._query = query
        self._shots = shots

    def draw(self, rng: np.random.Generator) -> Episode:
        """Random students of every task; where students are the support they are the first of those drawn."""
        shots = self._shots or 0
        orders = [rng.permutation(len(codes))[: shots + self._query] for codes in self._codes]
        picks = [torch.from_numpy(order[shots:]).to(self._buffer.device) for order in orders]
        for row, students, pick in zip(self._buffer, self._students, picks, strict=True):
            torch.index_select(students, 0, pick, out=row)
        query = Batch(self._teachers, self._buffer, *self._labels(picks))
        if self._shots is None:
            return Episode(self._guide, query)
        shown = [torch.from_numpy(order[:shots]).to(self._buffer.device) for order in orders]
        students = torch.stack([rows[pick] for rows, pick in zip(self._students, shown, strict=True)]).float()
        return Episode(Batch(self._guide.teachers, students, *self._labels(shown)), query)

    def _labels(self, picks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Codes [T, n, L] and targets [T, n] of n students of each task."""
        codes = torch.stack([codes[pick] for codes, pick in zip(self._codes, picks, strict=True)])
        targets = torch.stack([targets[pick] for targets, pick in zip(self._targets, picks, strict=True)])
        return codes, targets
