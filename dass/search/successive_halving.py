"""Search by the multi-fidelity predictor: cheap proxies of all candidates, costly proxies of the promising ones."""

import math
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from dass.config import DistillationRecipe
from dass.errors import DassError
from dass.fidelity import FIDELITIES, NOISE, ONE_BATCH, Fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, Prediction, gather
from dass.predictor.embeddings import fixed_noise
from dass.proxies.collector import Collector
from dass.proxies.store import ProxyStore
from dass.search.budget import SearchBudget
from dass.search.candidates import Candidate, sample_candidates
from dass.search.constraints import Constraints
from dass.search.fitting import fitting
from dass.search.method import Progress
from dass.search.result import SearchResult, concluded
from dass.search.select import rank
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from dass.training.workers import Workers

HALVING = tuple(Fidelity("steps", steps) for steps in (10, 20, 50))
# How many are looked at before a search that has so many seconds looks at the clock: enough to keep all cores busy.
ONE_BATCH_AT_ONCE = 16 * max(8, os.cpu_count() or 1)
K_STEP_AT_ONCE = max(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class RungReport:
    """What a rung of a search took.

    Attributes:
        fidelity: fidelity of the measurement.
        candidates: number of candidates that were measured.
        seconds: seconds of proxies and prediction.
    """

    fidelity: Fidelity
    candidates: int
    seconds: float


OnRung = Callable[[RungReport], None]


@dataclass(frozen=True, eq=False)
class MultiFidelitySearch:
    """Ranks candidates, each by the highest fidelity that it has reached; a `SearchMethod`.

    Successive halving (Jamieson and Talwalkar 2016): what little proxies say decides who is worth more of it. Proxies
    are taken as those that the predictor has learned from.

    Attributes:
        predictor: predictor that was learned from source tasks.
        predictor_id: id of the predictor, for the result.
        space: search space of the candidates.
        recipe: recipe of the distillation to be predicted, see `check_fits`.
        proxy_seed: random seed of the noise image and of batches, as the predictor has learned from.
        budget: numbers of proxies to collect.
        seed: random seed of the sample.
        device: where workers compute, and where the pick will run, for a limit on latency.
        workers: number of worker processes that collect proxies; 0 for this one.
        store: keeps the proxies.
        on_rung: called when a rung is done.
    """

    predictor: MultiFidelityPredictor
    predictor_id: str
    space: SearchSpace
    recipe: DistillationRecipe
    proxy_seed: int
    budget: SearchBudget
    seed: int
    device: torch.device
    workers: int
    store: ProxyStore = field(default_factory=lambda: ProxyStore(None))
    on_rung: OnRung | None = None

    def rank(self, task: Task, constraints: Constraints, progress: Progress | None = None) -> SearchResult:
        """See `SearchMethod.rank`; progress counts students, within a rung that takes long.

        The teacher is moved to the CPU, from where workers get it. The number of test images, over which accuracies
        are, is part of what intervals tell.
        """
        noise = fixed_noise(task.data.resolution, self.proxy_seed)
        with Workers(self.workers) as workers:
            collector = Collector(
                task.teacher.cpu(), task.data, noise, self.recipe, workers=workers, store=self.store,
                device=self.device, seed=self.proxy_seed,
            )  # fmt: skip
            return self._halve(_Ascent(self.predictor, collector, task, progress), constraints)

    def _halve(self, ascent: "_Ascent", constraints: Constraints) -> SearchResult:
        started, task, budget = time.perf_counter(), ascent.task, self.budget
        fits = fitting(constraints, device=self.device, **ascent.size)

        def left(share: float = 1.0) -> float:
            return math.inf if budget.seconds is None else share * budget.seconds - (time.perf_counter() - started)

        def reserved(seconds: float) -> float:
            return left() - seconds

        def done(fidelity: Fidelity, count: int, since: float) -> None:
            if self.on_rung and count:
                self.on_rung(RungReport(fidelity, count, time.perf_counter() - since))

        going = sample_candidates(
            self.space, budget.candidates, self.seed, constraints=constraints, passes=fits, **ascent.size
        )
        ascent.look(going, NOISE)
        done(NOISE, len(going), started)

        since = time.perf_counter()
        going = _look(ascent, ascent.best(going, budget.one_batch), ONE_BATCH, ONE_BATCH_AT_ONCE, lambda: left(1 / 3))
        done(ONE_BATCH, len(going), since)

        rungs = trained_fidelities(self.predictor.processes_)
        count = budget.k_step if budget.seconds is None else len(going)
        for index, fidelity in enumerate(rungs):
            since, best = time.perf_counter(), ascent.best(going, count)
            later = left() * (1 - 1 / (len(rungs) - index)) if budget.seconds else 0.0  # for the lengths that follow
            going = _look(ascent, best, fidelity, K_STEP_AT_ONCE, partial(reserved, later))
            done(fidelity, len(going), since)
            count = len(going) // 2

        if not ascent.found:
            raise DassError(f"no candidate of {task.name} has a finite prediction: is its teacher sound?")
        return concluded(task, self.predictor_id, constraints, rank(list(ascent.found.values())), fits, started)


class _Ascent:
    """What a search knows of its candidates so far, each by the last rung that it was looked at from."""

    def __init__(
        self,
        predictor: MultiFidelityPredictor,
        collector: Collector,
        task: Task,
        progress: Progress | None,
    ) -> None:
        self.found: dict[Architecture, Candidate] = {}
        self.size = {"resolution": task.data.resolution, "classes": task.teacher.classes}
        self._predictor = predictor
        self._collector = collector
        self.task = task
        self._progress = progress

    def predict(self, architectures: Sequence[Architecture], fidelity: Fidelity) -> Prediction:
        proxies = gather(self._collector, architectures, fidelity, self._progress)
        return self._predictor.predict(
            proxies, fidelity, teacher_accuracy=self.task.teacher_accuracy,
            classes=self.task.teacher.classes, test_images=self.task.test_images,
        )  # fmt: skip

    def look(self, architectures: Sequence[Architecture], fidelity: Fidelity) -> None:
        made = self.predict(architectures, fidelity)
        for one, mean, low, high in zip(architectures, made.mean, made.low, made.high, strict=True):
            if np.isfinite(mean):
                price = cost(one, **self.size)
                self.found[one] = Candidate(
                    one, float(mean), price, low=float(low), high=float(high), fidelity=fidelity
                )

    def best(self, architectures: Sequence[Architecture], count: int) -> list[Architecture]:
        candidates = [self.found[one] for one in architectures if one in self.found]
        return [candidate.architecture for candidate in rank(candidates)[:count]]


def _look(
    ascent: _Ascent, architectures: list[Architecture], fidelity: Fidelity, at_once: int, left: Callable[[], float]
) -> list[Architecture]:
    """Looks at candidates from a rung for as long as time is left; those that were looked at, the first of them."""
    size = at_once if math.isfinite(left()) else max(1, len(architectures))
    looked: list[Architecture] = []
    while len(looked) < len(architectures) and left() > 0:
        part = architectures[len(looked) : len(looked) + size]
        ascent.look(part, fidelity)
        looked += part
    return looked


def trained_fidelities(learned: Collection[Fidelity]) -> list[Fidelity]:
    """The short trainings that a search takes, shortest first, of all that a multi-fidelity predictor has learned."""
    trained = [fidelity for fidelity in FIDELITIES if fidelity.kind == "steps" and fidelity in learned]
    return [fidelity for fidelity in trained if fidelity in HALVING] or trained
