"""Predicting with what was meta-learned: adapt to a teacher once, then score thousands of candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dass.config import Statistics
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.adaptation import adapt
from dass.predictor.embeddings import embed
from dass.predictor.model import Batch, DassPredictor
from dass.predictor.tasks import TargetScale
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

ROWS = 256  # students whose patches exist at a time: 38 MiB of 8x8 float32 embeddings


@dataclass(frozen=True)
class AdaptedPredictor:
    """The predictor of one task.

    Attributes:
        predictor: predictor that gives the shape of the computation.
        weights: adapted matrices by layer, [inputs, outputs].
        scale: unit of the predicted accuracies, in points.
        teacher_embedding: functional embedding of the teacher, [C, s, s].
        statistics: statistics of the batch norms that give embeddings.
    """

    predictor: DassPredictor
    weights: Mapping[str, Tensor]
    scale: TargetScale
    teacher_embedding: Tensor
    statistics: Statistics = "running"

    @torch.inference_mode()
    def predict(self, embeddings: Tensor, codes: Tensor) -> Tensor:
        """Predicts accuracies after distillation.

        Args:
            embeddings: [n, C, s, s] of the remapped students; the encoders compute in their dtype.
            codes: architecture codes of the students, [n, L].

        Returns:
            float64 [n] percent, on the CPU; not clipped, so that the order survives.
        """
        device = next(iter(self.weights.values())).device
        teachers = self.predictor.patches(self.teacher_embedding.to(device, embeddings.dtype))[None]
        weights = {
            name: matrix.to(embeddings.dtype) if name.startswith(("student", "teacher")) else matrix
            for name, matrix in self.weights.items()
        }
        predictions = [torch.empty(0, device=device)]
        for rows, row_codes in zip(embeddings.split(ROWS), codes.split(ROWS), strict=True):
            students = self.predictor.patches(rows.to(device))[None]
            batch = Batch(teachers, students, row_codes.to(device)[None], row_codes.new_empty(0))
            predictions.append(self.predictor(batch, lambda name, inputs: inputs @ weights[name])[0])
        return self.scale.to_percent(torch.cat(predictions)).cpu()


@dataclass(frozen=True)
class MetaPredictor:
    """What meta-learning leaves: a start that is good to adapt from, and how fast to move each weight.

    Attributes:
        predictor: predictor with the start as its weights.
        rates: inner learning rates by layer, of the weights' shapes.
        inner_steps: steps of the guide; 0 for a predictor that is used as it is.
        scale: unit of the predicted accuracies, in points.
        statistics: statistics of the batch norms that give embeddings, the same for all tasks.
    """

    predictor: DassPredictor
    rates: Mapping[str, Tensor]
    inner_steps: int
    scale: TargetScale
    statistics: Statistics = "running"

    def adapt(
        self, teacher_embedding: Tensor, teacher_code: Tensor, teacher_accuracy: float, *, steps: int | None = None
    ) -> AdaptedPredictor:
        """Takes the guide (Eq. 6): the teacher as its own student, and its accuracy.

        Args:
            teacher_embedding: functional embedding of the teacher, [C, s, s].
            teacher_code: architecture code of the teacher, [L].
            teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
            steps: number of inner steps; None for as many as in meta-training.
        """
        accuracy = torch.tensor([teacher_accuracy], dtype=torch.float64)
        return self.adapt_to_students(
            teacher_embedding, teacher_embedding[None], teacher_code[None], accuracy, steps=steps
        )

    def adapt_to_students(
        self,
        teacher_embedding: Tensor,
        embeddings: Tensor,
        codes: Tensor,
        accuracies: Tensor,
        *,
        steps: int | None = None,
    ) -> AdaptedPredictor:
        """Adapts to students that were really distilled, as few-shot predictors do (Fig. 3).

        Args:
            teacher_embedding: functional embedding of the teacher, [C, s, s].
            embeddings: functional embeddings of the students, [k, C, s, s].
            codes: architecture codes of the students, [k, L].
            accuracies: accuracies of the k students, [k], in percent.
            steps: number of inner steps; None for as many as in meta-training.
        """
        weights = {name: matrix.detach() for name, matrix in self.predictor.layers.items()}
        device = next(iter(weights.values())).device
        support = Batch(
            self.predictor.patches(teacher_embedding.to(device, torch.float32))[None],
            self.predictor.patches(embeddings.to(device, torch.float32))[None],
            codes.to(device)[None],
            self.scale.to_target(accuracies).to(device)[None],
        )
        steps = self.inner_steps if steps is None else steps
        layers = adapt(self.predictor, weights, self.rates, support, steps)
        adapted = {name: matrix[0] if steps else matrix for name, matrix in layers.weights().items()}
        return AdaptedPredictor(self.predictor, adapted, self.scale, teacher_embedding, self.statistics)


def score_candidates(
    predictor: AdaptedPredictor,
    teacher: ElasticResNet,
    architectures: Sequence[Architecture],
    space: SearchSpace,
    noise: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Predicts every candidate's accuracy; embeddings are used as they come and never all exist.

    Args:
        predictor: predictor that was adapted to this teacher.
        teacher: teacher whose weights the candidates take.
        architectures: architectures of the N candidates.
        space: search space that gives the architecture codes.
        noise: the fixed input, float32 [1, 3, r, r].
        dtype: number format of embeddings and encoders, float32 or bfloat16.
        progress: called with (scored, all).

    Returns:
        [N] percent.

    Raises:
        UsageError: a candidate is not in the space or larger than the teacher, or what `embed` refuses.
    """
    codes = torch.from_numpy(space.encode(architectures))
    scores = np.empty(len(architectures))
    scored = 0
    for part in embed(teacher, architectures, noise, dtype=dtype, statistics=predictor.statistics):
        scores[part.indices.numpy()] = predictor.predict(part.embeddings, codes[part.indices]).numpy()
        scored += len(part.indices)
        if progress:
            progress(scored, len(architectures))
    return scores
