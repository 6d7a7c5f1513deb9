"""What a predictor says of a task's students, whatever kind of predictor it is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dass.errors import UsageError
from dass.fidelity import Fidelity
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.multi_fidelity.predictor import gather
from dass.predictor.checkpoint import load_predictor
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import score_candidates
from dass.proxies.collector import Collector
from dass.proxies.store import ProxyStore
from dass.search.predictor_search import adapt_to
from dass.shipped.card import Kind
from dass.shipped.fixture import Fixture
from dass.training.workers import Workers

EMBEDDING = "embedding"  # the one kind of proxy that the paper's predictor looks at
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Predicted:
    """Accuracies of students, in percent.

    Attributes:
        mean: expected accuracies, [n].
        low: [n], lower ends of the 80% intervals; None for a predictor without intervals.
        high: upper ends of the intervals, [n].
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def predict(kind: Kind, weights: Path, task: Fixture, proxies: str, workers: Workers) -> Predicted:
    """Predicts a task's students as a search would.

    Args:
        kind: kind of the predictor.
        weights: of the predictor.
        task: the teacher, the images and the students; their accuracies are not looked at.
        proxies: `embedding` for the paper's predictor; the key of a fidelity for the multi-fidelity one.
        workers: worker processes that run short trainings.

    Raises:
        UsageError: the predictor has not learned these proxies.
        DassError: a file is damaged, or workers died.
    """
    if kind == "dass":
        if proxies != EMBEDDING:
            raise UsageError(f"{weights}: the paper's predictor looks at the {EMBEDDING}, not at {proxies}")
        predictor, card = load_predictor(weights)
        adapted = adapt_to(predictor, card, task)
        noise = fixed_noise(card.resolution, card.noise_seed)
        return Predicted(score_candidates(adapted, task.teacher, task.architectures, card.space, noise))
    multi_fidelity, learned = load_multi_fidelity(weights)
    fidelity = Fidelity.parse(proxies)
    if fidelity not in multi_fidelity.processes_:
        known = ", ".join(one.key for one in multi_fidelity.processes_)
        raise UsageError(f"{weights} has not learned {proxies}: it knows {known}")
    collector = Collector(
        task.teacher, task.data, fixed_noise(task.data.resolution, learned.seed), task.recipe, workers=workers,
        store=ProxyStore(None), device=CPU, seed=learned.seed,
    )  # fmt: skip
    made = multi_fidelity.predict(
        gather(collector, task.architectures, fidelity),
        fidelity,
        teacher_accuracy=task.card.accuracy,
        classes=len(task.data.classes),
        test_images=task.test_images,
    )
    return Predicted(made.mean, made.low, made.high)
