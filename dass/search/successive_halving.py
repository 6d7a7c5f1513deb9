"""Search by the multi-fidelity predictor: cheap proxies of all candidates, costly proxies of the promising ones."""

import math
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from dass.config import DistillationRecipe, Search
from dass.errors import DassError, UsageError
from dass.fidelity import FIDELITIES, NOISE, ONE_BATCH, Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard
from dass.multi_fidelity.predictor import MultiFidelityPredictor, Prediction, gather
from dass.predictor.embeddings import fixed_noise
from dass.proxies.collector import Collector
from dass.proxies.store import ProxyStore
from dass.search.candidates import Candidate, Constraints, sample_candidates
from dass.search.fitting import fitting
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
class SearchBudget:
    """How many proxies a search may collect.

    Attributes:
        candidates: number of architectures that are ranked by size and noise, at least 1.
        one_batch: the best of them by size and noise, which are tried on one batch.
        k_step: the best of those, which train for 10 steps; half of them for 20, a quarter for 50, as far as the
            multi-fidelity predictor goes; for 5 where it goes no further.
        seconds: None, or how long the search may take: the best are tried on one batch until a third of it has gone,
            and every length of training gets an equal share of what is left; `k_step` is not looked at. What is found
            then depends on how fast the machine is. The first rung looks at all candidates in any case, and what was
            begun is finished.
    """

    candidates: int
    one_batch: int
    k_step: int
    seconds: float | None = None

    @classmethod
    def of(
        cls,
        block: Search,
        candidates: int,
        seconds: float | None = None,
        *,
        one_batch: int | None = None,
        k_step: int | None = None,
    ) -> "SearchBudget":
        """What is asked for; what is None is as params.yaml has it, cut to so many candidates, or as time allows.

        Raises:
            UsageError: what is asked for contradicts itself.
        """
        if seconds is not None and k_step is not None:
            raise UsageError("k_step and seconds both say how many students train: give one of them")
        if (one_batch or 0) > candidates:
            raise UsageError(f"one_batch ({one_batch}) cannot exceed candidates ({candidates})")
        most, which = (candidates, "candidates") if one_batch is None else (one_batch, "one_batch")
        if (k_step or 0) > most:
            raise UsageError(f"k_step ({k_step}) cannot exceed {which} ({most})")
        if one_batch is None and k_step is not None:
            one_batch = min(max(block.one_batch, k_step), candidates)
        if one_batch is None:
            one_batch = block.one_batch if seconds is None else candidates
        one_batch = min(one_batch, candidates)
        k_step = min(block.k_step if k_step is None else k_step, one_batch)
        return cls(candidates, one_batch, k_step, seconds)


@dataclass(frozen=True)
class RungReport:
    """What a rung of a search took.

    Attributes:
        fidelity: fidelity that was measured.
        candidates: number of candidates that were measured.
        seconds: seconds of proxies and prediction.
    """

    fidelity: Fidelity
    candidates: int
    seconds: float


OnRung = Callable[[RungReport], None]
Progress = Callable[[int, int], None]


def successive_halving(
    predictor: MultiFidelityPredictor,
    predictor_id: str,
    collector: Collector,
    space: SearchSpace,
    task: Task,
    *,
    budget: Constraints,
    effort: SearchBudget,
    seed: int,
    device: torch.device | None = None,
    on_rung: OnRung | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Ranks candidates of one target, each by the highest fidelity that it has reached.

    Successive halving (Jamieson and Talwalkar 2016): what little proxies say decides who is worth more of it.

    Args:
        predictor: predictor that was learned from source tasks.
        predictor_id: id of the predictor, for the result.
        collector: collector of proxies of the target's students.
        space: search space that candidates come from.
        task: the target; over how many test images accuracies are is part of what intervals tell.
        budget: limits on the cost of candidates.
        effort: numbers of proxies to collect.
        seed: random seed of the sample.
        device: where the pick will run, for a limit on latency; None for the CPU.
        on_rung: called when a rung is done.
        progress: called with students done and in all, within a rung that takes long.

    Raises:
        UsageError: nothing fits the budget, or the multi-fidelity predictor has not learned a rung.
        DassError: no candidate has a prediction.
    """
    started = time.perf_counter()
    ascent = _Ascent(predictor, collector, task, progress)
    fits = fitting(budget, device=device or torch.device("cpu"), **ascent.size)

    def left(share: float = 1.0) -> float:
        return math.inf if effort.seconds is None else share * effort.seconds - (time.perf_counter() - started)

    def reserved(seconds: float) -> float:
        return left() - seconds

    def done(fidelity: Fidelity, count: int, since: float) -> None:
        if on_rung and count:
            on_rung(RungReport(fidelity, count, time.perf_counter() - since))

    going = sample_candidates(space, effort.candidates, seed, budget=budget, passes=fits, **ascent.size)
    ascent.look(going, NOISE)
    done(NOISE, len(going), started)

    since = time.perf_counter()
    going = _look(ascent, ascent.best(going, effort.one_batch), ONE_BATCH, ONE_BATCH_AT_ONCE, lambda: left(1 / 3))
    done(ONE_BATCH, len(going), since)

    rungs = trained_fidelities(predictor.processes_)
    count = effort.k_step if effort.seconds is None else len(going)
    for index, fidelity in enumerate(rungs):
        since, best = time.perf_counter(), ascent.best(going, count)
        later = left() * (1 - 1 / (len(rungs) - index)) if effort.seconds else 0.0  # for the lengths that follow
        going = _look(ascent, best, fidelity, K_STEP_AT_ONCE, partial(reserved, later))
        done(fidelity, len(going), since)
        count = len(going) // 2

    if not ascent.found:
        raise DassError(f"no candidate of {task.name} has a finite prediction: is its teacher sound?")
    ranking = rank(list(ascent.found.values()))
    return concluded(task, predictor_id, budget, ranking, fits, started)


def search_by_multi_fidelity(
    predictor: MultiFidelityPredictor,
    card: MultiFidelityCard,
    predictor_id: str,
    task: Task,
    recipe: DistillationRecipe,
    *,
    space: SearchSpace | None = None,
    workers: Workers,
    store: ProxyStore,
    device: torch.device,
    budget: Constraints,
    effort: SearchBudget,
    seed: int,
    on_rung: OnRung | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Searches for a dataset and its teacher, with proxies taken as those that the predictor has learned from.

    Args:
        predictor: predictor that was learned from source tasks.
        card: of the predictor: its space, and the seed of noise and batches.
        predictor_id: id of the predictor, for the result.
        task: the target; its teacher is moved to the CPU, from where workers get it.
        recipe: recipe of the distillation to be predicted, see `check_fits`.
        space: search space of the candidates; None for the space that the multi-fidelity predictor has learned from.
        workers: worker processes that collect proxies.
        store: store of proxies that were measured before.
        device: device of the workers.
        budget: limits on the cost of candidates.
        effort: numbers of proxies to collect.
        seed: random seed of the sample.
        on_rung: called when a rung is done.
        progress: called with students done and in all, within a rung that takes long.

    Raises:
        UsageError: as `climb` does.
        DassError: as `climb` does, or workers died.
    """
    collector = Collector(
        task.teacher.cpu(), task.data, fixed_noise(task.data.resolution, card.seed), recipe, workers=workers,
        store=store, device=device, seed=card.seed,
    )  # fmt: skip
    return successive_halving(
        predictor, predictor_id, collector, space or card.space, task, budget=budget, effort=effort, seed=seed,
        device=device, on_rung=on_rung, progress=progress,
    )  # fmt: skip


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
        self._task = task
        self._progress = progress

    def predict(self, architectures: Sequence[Architecture], fidelity: Fidelity) -> Prediction:
        proxies = gather(self._collector, architectures, fidelity, self._progress)
        return self._predictor.predict(
            proxies,
            fidelity,
            teacher_accuracy=self._task.teacher_accuracy,
            classes=self._task.teacher.classes,
            test_images=self._task.test_images,
        )

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
