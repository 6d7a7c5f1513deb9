"""Search by the paper's predictor: adapt it by the teacher, score the candidates, pick the best within the budget."""

import time
from collections.abc import Callable

import numpy as np
import torch

from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import AdaptedPredictor, MetaPredictor, score_candidates
from dass.predictor.tasks import build_task
from dass.search.candidates import Constraints, sample_candidates, scored
from dass.search.fitting import fitting
from dass.search.result import SearchResult, concluded
from dass.search.select import rank
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


def search_students(
    predictor: MetaPredictor,
    card: PredictorCard,
    predictor_id: str,
    task: Task,
    *,
    budget: Constraints,
    count: int,
    seed: int,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Ranks sampled candidates for one target.

    Args:
        predictor: meta-learned predictor.
        card: card of the predictor.
        predictor_id: id of the predictor, for the result.
        task: task of the target.
        budget: what candidates may cost; sampled within it.
        count: number of candidates.
        seed: random seed of the sample.
        device: where the pick will run, for a limit on latency; None for the CPU.
        progress: called with (scored, all).

    Raises:
        UsageError: nothing, or too little, fits the budget.
        DassError: the teacher is not of the predictor's search space.
    """
    started = time.perf_counter()
    adapted = adapt_to(predictor, card, task)
    size = {"resolution": task.data.resolution, "classes": task.teacher.classes}
    fits = fitting(budget, device=device or torch.device("cpu"), **size)
    architectures = sample_candidates(card.space, count, seed, budget=budget, passes=fits, **size)
    noise = fixed_noise(card.resolution, card.noise_seed)
    scores = score_candidates(adapted, task.teacher, architectures, card.space, noise, progress=progress)
    if not np.isfinite(scores).any():
        raise DassError(f"no candidate of {task.name} has a finite prediction: is its teacher sound?")
    ranking = rank(scored(architectures, scores.tolist(), **size))
    return concluded(task, predictor_id, budget, ranking, fits, started)


def _check_space(card: PredictorCard, teacher: ElasticResNet) -> None:
    if teacher.architecture != card.space.largest:
        raise DassError(
            f"the teacher is {teacher.architecture.stage_label} but the predictor was meta-learned for teachers "
            f"{card.space.largest.stage_label}: use a teacher of that size, or meta-train in its space"
        )
