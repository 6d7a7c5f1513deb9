"""A task as the predictor sees it: embeddings, codes and accuracies."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dass.config import Statistics
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import embed
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace


@dataclass(frozen=True)
class TaskTensors:
    """One task: its teacher, and the students whose accuracy after distillation is known.

    n: students; C, s: channels and side of an embedding; L: length of the architecture code.

    Attributes:
        name: name of the task.
        teacher_embedding: [C, s, s] functional embedding of the teacher (Eq. 4).
        teacher_code: [L] architecture code of the teacher.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        student_embeddings: [n, C, s, s] of the remapped students; float32 or bfloat16.
        codes: architecture codes of the students, [n, L].
        accuracies: accuracies of the n students after distillation, [n], in percent.
        statistics: statistics of the batch norms that gave the embeddings.
    """

    name: str
    teacher_embedding: Tensor
    teacher_code: Tensor
    teacher_accuracy: float
    student_embeddings: Tensor
    codes: Tensor
    accuracies: Tensor
    statistics: Statistics = "running"

    def __post_init__(self) -> None:
        students = len(self.accuracies)
        expected = {
            "student_embeddings": (students, *self.teacher_embedding.shape),
            "codes": (students, *self.teacher_code.shape),
            "accuracies": (students,),
        }
        for field, shape in expected.items():
            shape_of_field = tuple(getattr(self, field).shape)
            if shape_of_field != shape:
                raise DassError(f"task {self.name}: {field} has shape {list(shape_of_field)}, expected {list(shape)}")
        for field in ("teacher_embedding", "student_embeddings", "accuracies"):
            if not bool(torch.isfinite(getattr(self, field)).all()):
                raise DassError(f"task {self.name}: {field} holds NaN or infinite values: leave out what failed")
        if not np.isfinite(self.teacher_accuracy):
            raise DassError(f"task {self.name}: teacher_accuracy is {self.teacher_accuracy}")

    def content(self) -> str:
        """SHA-256, in hex, of everything in it."""
        digest = hashlib.sha256(f"{self.name} {self.teacher_accuracy!r}".encode())
        for tensor in (
            self.teacher_embedding,
            self.teacher_code,
            self.student_embeddings,
            self.codes,
            self.accuracies,
        ):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class TargetScale:
    """How accuracies in percent become a network's targets: (accuracy - center) / spread.

    Attributes:
        center: percent.
        spread: percent, above 0.
    """

    center: float
    spread: float

    @classmethod
    def of(cls, accuracies: Tensor) -> "TargetScale":
        """The scale that standardises accuracies [n]; where all are equal the spread is one percent."""
        accuracies = accuracies.double()
        spread = float(accuracies.std(correction=0))
        return cls(float(accuracies.mean()), spread if spread > 0 else 1.0)

    def to_target(self, accuracies: Tensor) -> Tensor:
        """Percent to the network's scale, float32."""
        return ((accuracies.double() - self.center) / self.spread).float()

    def to_percent(self, outputs: Tensor) -> Tensor:
        """The network's scale to percent, float64."""
        return outputs.double() * self.spread + self.center


def build_task(
    name: str,
    teacher: ElasticResNet,
    teacher_accuracy: float,
    space: SearchSpace,
    noise: Tensor,
    *,
    architectures: Sequence[Architecture] = (),
    accuracies: Sequence[float] = (),
    dtype: torch.dtype = torch.float32,
    statistics: Statistics = "running",
) -> TaskTensors:
    """Embeds a teacher and its recorded students.

    Args:
        name: name of the task.
        teacher: the trained network, on the device that computes.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        space: search space that gives the architecture codes.
        noise: the fixed input, float32 [1, 3, r, r].
        architectures: the students; none for a target whose true ranking is not known.
        accuracies: accuracy of each student, in percent.
        dtype: number format of the embeddings and their computation, float32 or bfloat16.
        statistics: statistics of the batch norms, as in `embed`.

    Raises:
        UsageError: an architecture is not in the space or larger than the teacher.
        DassError: an accuracy or an embedding is not finite.
    """
    members = [teacher.architecture, *architectures]
    codes = torch.from_numpy(space.encode(members))
    embeddings: Tensor | None = None
    for part in embed(teacher, members, noise, dtype=dtype, statistics=statistics):
        if embeddings is None:
            shape = (len(members), *part.embeddings.shape[1:])
            embeddings = torch.empty(
                shape, dtype=dtype, device=part.embeddings.device, memory_format=torch.channels_last
            )
        embeddings[part.indices.to(embeddings.device)] = part.embeddings
    assert embeddings is not None
    return TaskTensors(
        name,
        embeddings[0],
        codes[0],
        teacher_accuracy,
        embeddings[1:],
        codes[1:],
        torch.tensor(accuracies, dtype=torch.float64),
        statistics,
    )
