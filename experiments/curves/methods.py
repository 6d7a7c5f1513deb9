"""Search methods that train students, replayed on a table of learning curves.

Each method is given candidates, pays for what it trains, and delivers one student distilled in full. All choose by
held-out training images alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.curves.table import Clock, Floats, Table

ALL = "best of all"  # the size of `random` that distils every student
Indices = NDArray[np.int64]
Score = Callable[[Table, Indices, int], Floats]
"""(table, students, reading) -> [n] of them, the larger the better: what a student is expected to come to."""


@dataclass(frozen=True)
class Delivery:
    """What a method comes to.

    Attributes:
        student: index of the delivered student in the table.
        seconds: of all that was trained for it, its own distillation included.
    """

    student: int
    seconds: float


Method = Callable[[Table, Clock, Indices, np.random.Generator], Delivery]
"""(table, clock, candidates, randomness) -> what is delivered."""


def by_loss(table: Table, students: Indices, reading: int) -> Floats:
    """The loss on held-out images so far: nothing is learned."""
    return -table.losses[students, reading]


def random_k(table: Table, clock: Clock, candidates: Indices, rng: np.random.Generator, *, count: int) -> Delivery:
    """Distils a few candidates in full and keeps the best."""
    tried = rng.choice(candidates, min(count, len(candidates)), replace=False)
    seconds = clock.teacher_step * table.total
    seconds += clock.training(table.macs[tried], table.total) + clock.looking(table.macs[tried])
    return Delivery(_best(table, tried), seconds)


def short_runs(
    table: Table,
    clock: Clock,
    candidates: Indices,
    rng: np.random.Generator,
    *,
    count: int,
    steps: int,
    finished: int = 1,
    score: Score = by_loss,
) -> Delivery:
    """Trains candidates for some steps and distils the most promising to the end; they go on from where they are."""
    tried = rng.choice(candidates, min(count, len(candidates)), replace=False)
    seconds = clock.teacher_step * table.total
    seconds += clock.training(table.macs[tried], steps) + clock.looking(table.macs[tried])
    return _finish(table, clock, tried, table.reading(steps), finished, score, seconds)


def race(
    table: Table,
    clock: Clock,
    candidates: Indices,
    rng: np.random.Generator,
    *,
    count: int,
    first: int = 10,
    finished: int = 1,
    score: Score = by_loss,
) -> Delivery:
    """Successive halving: after `first` steps half of the candidates go on, twice as far, and so on."""
    going = rng.choice(candidates, min(count, len(candidates)), replace=False)
    seconds = clock.teacher_step * table.total
    steps, before = first, 0
    while True:
        seconds += clock.training(table.macs[going], steps - before) + clock.looking(table.macs[going])
        reading = table.reading(steps)
        if len(going) // 2 < max(finished, 1) or 2 * steps not in table.steps[:-1]:
            return _finish(table, clock, going, reading, finished, score, seconds)
        order = np.argsort(-score(table, going, reading), kind="stable")
        going = going[order[: len(going) // 2]]
        before, steps = steps, 2 * steps


def ranked(
    table: Table,
    clock: Clock,
    candidates: Indices,
    rng: np.random.Generator,
    *,
    scores: Floats,
    count: int,
    seconds_each: float = 0.0,
    steps: int = 0,
    finished: int = 1,
) -> Delivery:
    """Ranks candidates by a score and distils the first few.

    Args:
        table: of the task.
        clock: what steps cost.
        candidates: the students to draw from.
        rng: draws them.
        scores: [n], of each student of the table; the larger the better.
        count: how many are drawn and ranked.
        seconds_each: what the score of one candidate costs.
        steps: of training that a score needs besides.
        finished: how many are distilled.
    """
    drawn = rng.choice(candidates, min(count, len(candidates)), replace=False)
    order = drawn[np.argsort(-scores[drawn], kind="stable")][:finished]
    seconds = seconds_each * len(drawn) + clock.teacher_step * table.total
    seconds += clock.training(table.macs[drawn], steps)
    seconds += clock.training(table.macs[order], table.total) + clock.looking(table.macs[order])
    return Delivery(_best(table, order), seconds)


def screened(
    table: Table,
    clock: Clock,
    candidates: Indices,
    rng: np.random.Generator,
    *,
    scores: Floats,
    seconds_each: float,
    count: int,
    then: Method,
) -> Delivery:
    """Draws twice as many students as a method takes, and hands on the half with the better scores."""
    drawn = rng.choice(candidates, min(2 * count, len(candidates)), replace=False)
    kept = drawn[np.argsort(-scores[drawn], kind="stable")][: max(1, (len(drawn) + 1) // 2)]
    delivered = then(table, clock, kept, rng)
    return replace(delivered, seconds=delivered.seconds + seconds_each * len(drawn))


def usual_methods(most: int, score: Score | None = None) -> dict[str, list[tuple[str, Method]]]:
    """The methods at several sizes each, by name.

    Args:
        most: students that can be drawn; larger sizes are left out.
        score: adds the methods that a learned predictor guides; None for none.
    """
    tried = [(f"best of {count}", count) for count in (1, 2, 3, 5, 8, 16) if count < most] + [(ALL, most)]
    found: dict[str, list[tuple[str, Method]]] = {
        "random": [(size, partial(random_k, count=count)) for size, count in tried]
    }
    scores: Sequence[tuple[str, Score]] = [("", by_loss), *([("learned ", score)] if score else [])]
    counts = [count for count in (4, 8, 16, 32) if count <= most]
    for prefix, one in scores:
        for steps in (5, 10, 20, 50):
            found[f"{prefix}short run {steps}"] = [
                (f"{count} for {steps} steps", partial(short_runs, count=count, steps=steps, score=one))
                for count in counts
            ]
        for finished in (1, 2, 3):
            found[f"{prefix}race, last {finished}"] = [
                (f"race of {count}", partial(race, count=count, finished=finished, score=one))
                for count in counts
                if count > finished
            ]
    return found


def _finish(
    table: Table, clock: Clock, going: Indices, reading: int, finished: int, score: Score, seconds: float
) -> Delivery:
    order = np.argsort(-score(table, going, reading), kind="stable")
    last = going[order[: max(finished, 1)]]
    seconds += clock.training(table.macs[last], table.total - int(table.steps[reading])) + clock.looking(
        table.macs[last]
    )
    return Delivery(_best(table, last), seconds)


def _best(table: Table, students: Indices) -> int:
    """The best of finished students by held-out accuracy, by held-out loss among equals."""
    order = np.lexsort((table.losses[students, -1], -table.validation[students]))
    return int(students[order[0]])
