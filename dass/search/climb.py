"""Search by the ladder: cheap evidence about all candidates, costly evidence about the promising ones."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dass.errors import DassError
from dass.evidence.collector import Collector
from dass.ladder.ladder import Ladder, Prediction, Rung, gather
from dass.search.candidates import Budget, Candidate, sample_candidates
from dass.search.evolution import evolve_candidates
from dass.search.run import Guide, SearchResult
from dass.search.select import pick, rank
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace

HALVING: tuple[Rung, ...] = ("sprint 10", "sprint 20", "sprint 50")


@dataclass(frozen=True)
class Effort:
    """How much evidence a search may collect.

    Attributes:
        candidates: architectures that are looked at all.
        starts: the best of them by the free rungs, whose remapped start is looked at.
        sprints: the best of those, which sprint for 10 steps; half of them for 20, a quarter for 50, as far as the
            ladder goes.
        evolve: candidates after the first quarter are children of the best so far; else all are drawn at random.
    """

    candidates: int
    starts: int
    sprints: int
    evolve: bool = False


@dataclass(frozen=True)
class Climbed:
    """What a rung of a search took.

    Attributes:
        rung: which.
        candidates: how many were on it.
        seconds: evidence and prediction.
    """

    rung: Rung
    candidates: int
    seconds: float


Said = Callable[[Climbed], None]
Progress = Callable[[int, int], None]


def climb(
    ladder: Ladder,
    ladder_id: str,
    collector: Collector,
    space: SearchSpace,
    guide: Guide,
    *,
    test_images: int,
    budget: Budget,
    effort: Effort,
    seed: int,
    said: Said | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Ranks candidates of one target, each by the highest rung that it has reached.

    Successive halving (Jamieson and Talwalkar 2016): what little evidence says decides who is worth more of it.

    Args:
        ladder: learned from source tasks.
        ladder_id: names it in the result.
        collector: of evidence about the target's students.
        space: where candidates come from.
        guide: the target's teacher and its accuracy.
        test_images: how many the students' accuracies will be over; part of what intervals tell.
        budget: what candidates may cost.
        effort: how much evidence to collect.
        seed: of the sample.
        said: called when a rung is done.
        progress: called with students done and in all, within a rung that takes long.

    Raises:
        UsageError: nothing fits the budget, or the ladder has not learned a rung.
        DassError: no candidate has a prediction.
    """
    started = time.perf_counter()
    size = {"resolution": guide.resolution, "classes": guide.teacher.classes}

    def predict(architectures: Sequence[Architecture], rung: Rung) -> Prediction:
        evidence = gather(collector, architectures, rung, progress)
        return ladder.predict(
            evidence, rung, guide=guide.accuracy, classes=guide.teacher.classes, test_images=test_images
        )

    def fitness(architectures: Sequence[Architecture]) -> np.ndarray:
        return np.nan_to_num(predict(architectures, "noise").mean, nan=-np.inf)

    if effort.evolve:
        sample = evolve_candidates(space, effort.candidates, seed, fitness, budget=budget, **size)
    else:
        sample = sample_candidates(space, effort.candidates, seed, budget=budget, **size)

    found: dict[Architecture, Candidate] = {}

    def look(architectures: Sequence[Architecture], rung: Rung, since: float) -> None:
        made = predict(architectures, rung)
        for one, mean, low, high in zip(architectures, made.mean, made.low, made.high, strict=True):
            if np.isfinite(mean):
                price = cost(one, **size)
                found[one] = Candidate(one, float(mean), price, low=float(low), high=float(high), rung=rung)
        if said:
            said(Climbed(rung, len(architectures), time.perf_counter() - since))

    look(sample, "noise", started)
    sizes: list[tuple[Rung, int]] = [("start", effort.starts)]
    known_rungs = [rung for rung in HALVING if rung in ladder.processes_]
    sizes += [(rung, effort.sprints // 2**halvings) for halvings, rung in enumerate(known_rungs)]
    going = sample
    for rung, count in sizes:
        if not count:
            break
        since = time.perf_counter()
        known = [found[one] for one in going if one in found]
        going = [candidate.architecture for candidate in rank(known)[:count]]
        look(going, rung, since)
    if not found:
        raise DassError(f"no candidate of {guide.target} has a finite prediction: is its teacher sound?")
    candidates = list(found.values())
    return SearchResult(
        target=guide.target,
        teacher_id=guide.teacher_id,
        teacher_accuracy=guide.accuracy,
        predictor_id=ladder_id,
        budget=budget,
        pick=pick(candidates, budget),
        ranking=tuple(rank(candidates)),
        seconds=time.perf_counter() - started,
    )
