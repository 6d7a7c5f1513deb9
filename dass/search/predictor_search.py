"""Search by the paper's predictor: adapt it by the teacher, score the candidates, pick the best within constraints."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dass.errors import DassError
from dass.files import file_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard, load_predictor
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import AdaptedPredictor, MetaPredictor, score_candidates
from dass.predictor.tasks import build_task
from dass.search.candidates import sample_candidates, scored
from dass.search.constraints import Constraints
from dass.search.fitting import fitting
from dass.search.method import Progress
from dass.search.result import SearchResult, concluded
from dass.search.select import rank
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task


def adapt_to(predictor: MetaPredictor, card: PredictorCard, task: Task) -> AdaptedPredictor:
    """Takes the inner step on the one pair that costs nothing: the teacher and its accuracy (Eq. 6).

    Raises:
        DassError: the teacher is not of the predictor's search space.
    """
    _check_space(card, task.teacher)
    noise = fixed_noise(card.resolution, card.noise_seed)
    accuracy = task.teacher_accuracy
    tensors = build_task(task.name, task.teacher, accuracy, card.space, noise, statistics=predictor.statistics)
    return predictor.adapt(tensors.teacher_embedding, tensors.teacher_code, accuracy)


@dataclass(frozen=True, eq=False)
class PredictorSearch:
    """Ranks sampled candidates by the paper's predictor; a `SearchMethod`.

    Attributes:
        predictor: the meta-learned predictor, on `device`.
        card: card of the predictor: its search space, and the noise image that it looks at.
        predictor_id: id of the predictor, for the result.
        candidates: number of candidates, at least 1.
        seed: random seed of the sample.
        device: where candidates are scored, and where the pick will run, for a limit on latency.
    """

    predictor: MetaPredictor
    card: PredictorCard
    predictor_id: str
    candidates: int
    seed: int
    device: torch.device

    @classmethod
    def load(cls, file: Path, candidates: int, seed: int, device: torch.device) -> "PredictorSearch":
        """Reads a predictor from its file; the other arguments are attributes of the class.

        Raises:
            DassError: the file is missing or damaged.
        """
        return cls(*load_predictor(file, device), file_id(file), candidates, seed, device)

    @property
    def space(self) -> SearchSpace:
        """The search space that the predictor was meta-learned in."""
        return self.card.space

    def rank(self, task: Task, constraints: Constraints, progress: Progress | None = None) -> SearchResult:
        """See `SearchMethod.rank`; progress counts candidates."""
        started = time.perf_counter()
        task.teacher.to(self.device)
        adapted = adapt_to(self.predictor, self.card, task)
        size = {"resolution": task.data.resolution, "classes": task.teacher.classes}
        fits = fitting(constraints, device=self.device, **size)
        drawn = sample_candidates(self.space, self.candidates, self.seed, constraints=constraints, passes=fits, **size)
        noise = fixed_noise(self.card.resolution, self.card.noise_seed)
        scores = score_candidates(adapted, task.teacher, drawn, self.space, noise, progress=progress)
        if not np.isfinite(scores).any():
            raise DassError(f"no candidate of {task.name} has a finite prediction: is its teacher sound?")
        ranking = rank(scored(drawn, scores.tolist(), **size))
        return concluded(task, self.predictor_id, constraints, ranking, fits, started)


def _check_space(card: PredictorCard, teacher: ElasticResNet) -> None:
    if teacher.architecture != card.space.largest:
        raise DassError(
            f"the teacher is {teacher.architecture.stage_label} but the predictor was meta-learned for teachers "
            f"{card.space.largest.stage_label}: use a teacher of that size, or meta-train in its space"
        )
