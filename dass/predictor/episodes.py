"""What an episode is made of: the guide's pairs of all training tasks, and random students of each."""

from collections.abc import Sequence

import numpy as np
import torch

from dass.predictor.model import Batch, patches
from dass.predictor.tasks import TargetScale, TaskTensors


class Episodes:
    """The training tasks in memory, once, on the device that computes.

    Args:
        tasks: T tasks of the same shapes.
        scale: of the targets.
        query: students of each task in an episode.
        dtype: in which embeddings are kept.
        device: where.

    Attributes:
        support: the guide's pair of each task: the teacher as its own student, float32.
    """

    def __init__(
        self, tasks: Sequence[TaskTensors], scale: TargetScale, query: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        teachers = patches(torch.stack([task.teacher_embedding for task in tasks]).to(device, torch.float32))
        accuracies = torch.tensor([[task.teacher_accuracy] for task in tasks], dtype=torch.float64)
        codes = torch.stack([task.teacher_code[None] for task in tasks]).to(device)
        self.support = Batch(teachers, teachers[:, None], codes, scale.to_target(accuracies).to(device))
        self._teachers = teachers.to(dtype)
        # Patches are kept, not embeddings: they take 9/4 of the memory at most and save every episode the cutting.
        self._students = [patches(task.student_embeddings.to(device, dtype)) for task in tasks]
        self._codes = [task.codes.to(device) for task in tasks]
        self._targets = [scale.to_target(task.accuracies).to(device) for task in tasks]
        self._buffer = torch.empty(len(tasks), query, *self._students[0].shape[1:], dtype=dtype, device=device)
        self._query = query

    def query(self, rng: np.random.Generator) -> Batch:
        """Random students of every task; the batch is valid until the next call."""
        picks = [torch.from_numpy(rng.permutation(len(codes))[: self._query]) for codes in self._codes]
        picks = [pick.to(self._buffer.device) for pick in picks]
        for row, students, pick in zip(self._buffer, self._students, picks, strict=True):
            torch.index_select(students, 0, pick, out=row)
        codes = torch.stack([codes[pick] for codes, pick in zip(self._codes, picks, strict=True)])
        targets = torch.stack([targets[pick] for targets, pick in zip(self._targets, picks, strict=True)])
        return Batch(self._teachers, self._buffer, codes, targets)
