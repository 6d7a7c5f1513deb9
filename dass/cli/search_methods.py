"""The methods of `dass search`, each read from what was learned or, for a race, from the teacher itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dass.cli.predictor_choice import Choice, students_of
from dass.config import Search
from dass.errors import UsageError
from dass.files import file_id
from dass.multi_fidelity.checkpoint import check_fits, load_multi_fidelity
from dass.params_file import in_project, load_params
from dass.predictor.checkpoint import load_predictor
from dass.proxies.store import ProxyStore
from dass.search.candidates import Budget
from dass.search.race import RaceSize, search_by_race
from dass.search.run import SearchResult, search_students
from dass.search.successive_halving import Progress, SearchBudget, search_by_multi_fidelity
from dass.search.target_task import TargetTask
from dass.space.search_space import SearchSpace
from dass.training.user_teacher import TeacherFile
from dass.training.workers import Workers


@dataclass(frozen=True)
class Way:
    """A method that has been read: what it can be asked about, and its ranking of a task's candidates."""

    space: SearchSpace
    resolution: int
    rank: Callable[[TargetTask, Budget, Progress], SearchResult]


@dataclass(frozen=True)
class Asked:
    """What the user asks of a search.

    Attributes:
        candidates: architectures to score at most.
        starts: how many are tried on one batch; None for as params.yaml says.
        sprints: how many take the first steps of distillation; None likewise.
        seconds: how long to search; None for no limit.
        evolve: whether candidates are children of the best; None for as params.yaml says.
        resolution: side of the images in pixels; None for the family's.
        keep_accuracy: most points below the teacher; None for no such limit.
        workers: worker processes.
        seed: of the sample.
    """

    candidates: int
    starts: int | None
    sprints: int | None
    seconds: float | None
    evolve: bool | None
    resolution: int | None
    keep_accuracy: float | None
    workers: int
    seed: int


def open_way(choice: Choice, teacher: TeacherFile, place: torch.device, asked: Asked) -> Way:
    """Reads what a search needs.

    Args:
        choice: the method and its predictor.
        teacher: whose students are ranked.
        place: where networks compute.
        asked: what the user asks of the search.

    Raises:
        UsageError: an option that the method does not have, or a predictor that was learned for another recipe.
        DassError: the predictor or the teacher is damaged.
    """
    efforts = {"starts": asked.starts, "sprints": asked.sprints, "seconds": asked.seconds, "evolve": asked.evolve}
    given = [f"--{name}" for name, value in efforts.items() if value is not None]
    if choice.method == "dass" and given:
        raise UsageError(f"{', '.join(given)}: not with --method dass, which looks at all candidates")
    if choice.method == "race" and asked.evolve is not None:
        raise UsageError("--evolve: only with --method multi_fidelity")
    if choice.file is not None and not choice.general and asked.resolution is not None:
        raise UsageError("--resolution: this predictor works at the resolution it was learned at")
    if choice.method == "race" and asked.keep_accuracy is not None:
        raise UsageError(
            "--keep-accuracy: a race predicts nothing; take --method multi_fidelity, or `dass shrink`, which distils "
            "students until one keeps it"
        )
    common = {"seed": asked.seed}
    if choice.file is None:
        takes_part = partial(race_size, starts=asked.starts, sprints=asked.sprints, seconds=asked.seconds)
        return by_race(teacher, place, asked.resolution, takes_part, common)
    if choice.method == "dass":
        return by_dass(choice.file, place, asked.candidates, common)
    effort = partial(
        SearchBudget.of, candidates=asked.candidates, seconds=asked.seconds, starts=asked.starts, sprints=asked.sprints,
        evolve=asked.evolve,
    )  # fmt: skip
    anyone = students_of(teacher, asked.resolution) if choice.general else None
    return by_multi_fidelity(choice.file, place, asked.workers, effort, common, anyone)


def by_dass(file: Path, place: torch.device, candidates: int, common: Mapping[str, Any]) -> Way:
    """The paper's predictor.

    Args:
        file: its weights.
        place: where it computes.
        candidates: architectures to score at most.
        common: further arguments of each method's search: `seed`.

    Raises:
        DassError: it is damaged.
    """
    predictor, card = load_predictor(file, place)

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        return search_students(
            predictor, card, file_id(file), task.guide, budget=budget, count=candidates, device=place,
            progress=progress, **common,
        )  # fmt: skip

    return Way(card.space, card.resolution, rank)


def by_multi_fidelity(
    file: Path,
    place: torch.device,
    count: int,
    budget_of: Callable[[Search], SearchBudget],
    common: Mapping[str, Any],
    anyone: tuple[SearchSpace, int] | None = None,
) -> Way:
    """The multi-fidelity predictor.

    Args:
        file: what it has learned.
        place: where networks compute.
        count: worker processes.
        budget_of: how far it goes, from the block `search` of params.yaml.
        common: as in `by_dass`.
        anyone: space and resolution of the teacher's students, for a multi-fidelity predictor that takes any teacher;
            None for a multi-fidelity predictor that takes teachers of the space alone that it has learned from.

    Raises:
        UsageError: it was learned for another recipe.
    """
    multi_fidelity, card = load_multi_fidelity(file)
    params = load_params(in_project(Path("params.yaml")))
    space, resolution = anyone or (card.space, card.resolution)
    check_fits(card, None, None, params.distillation, file)

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        with Workers(count) as workers:
            return search_by_multi_fidelity(
                multi_fidelity, card, file_id(file), task, params.distillation, space=space, workers=workers,
                store=ProxyStore(None), device=place, budget=budget, effort=budget_of(params.search),
                progress=progress, **common,
            )  # fmt: skip

    return Way(space, resolution, rank)


def by_race(
    teacher: TeacherFile,
    place: torch.device,
    resolution: int | None,
    size_of: Callable[[Search], RaceSize],
    common: Mapping[str, Any],
) -> Way:
    """The race.

    Args:
        teacher: whose students take part.
        place: where they train.
        resolution: side of the images in pixels; None for that of the teacher's family.
        size_of: how many take part, from the block `search` of params.yaml.
        common: as in `by_dass`.
    """
    params = load_params(in_project(Path("params.yaml")))
    space, side = students_of(teacher, resolution)

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        recipe = params.distillation
        return search_by_race(
            task, space, recipe, budget=budget, size=size_of(params.search), device=place, progress=progress, **common
        )

    return Way(space, side, rank)


def race_size(block: Search, starts: int | None, sprints: int | None, seconds: float | None) -> RaceSize:
    """How large a race is: as the options say, else as the block `search` of params.yaml does."""
    students = sprints or max(1, block.sprints)
    return RaceSize(max(students, starts or min(block.starts, 8 * students)), students, seconds)
