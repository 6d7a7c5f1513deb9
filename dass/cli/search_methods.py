"""The methods of `dass search`, each read from what was learned or, for a race, from the teacher itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dass.cli.predictor_choice import MethodChoice, students_of
from dass.config import Params, Search
from dass.errors import UsageError
from dass.files import file_id
from dass.multi_fidelity.checkpoint import check_fits, load_multi_fidelity, recipe_of
from dass.params_file import find_params, in_project
from dass.predictor.checkpoint import load_predictor
from dass.project import RAW
from dass.proxies.store import ProxyStore
from dass.search.candidates import Constraints
from dass.search.race import RaceSize, search_by_race
from dass.search.result import SearchResult
from dass.search.run import search_students
from dass.search.successive_halving import Progress, SearchBudget, search_by_multi_fidelity
from dass.shrink.recipe import shrink_recipe
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from dass.tasks.user import packed_side
from dass.training.user_teacher import TeacherFile
from dass.training.workers import Workers

CANDIDATES = 3000
# Outside of any project, where no params.yaml says how far a search goes.
OUTSIDE = Search(method="race", candidates=CANDIDATES, one_batch=400, k_step=16, steps=10, top=10)


@dataclass(frozen=True)
class SearchMethod:
    """A method that has been read: what it can be asked about, and its ranking of a task's candidates."""

    space: SearchSpace
    resolution: int
    rank: Callable[[Task, Constraints, Progress], SearchResult]


@dataclass(frozen=True)
class Asked:
    """What the user asks of a search.

    Attributes:
        data: name or folder of the dataset.
        candidates: architectures to look at, at most; None for the usual number.
        one_batch: how many are tried on one batch; None for as params.yaml says, or `OUTSIDE` where there is none.
        k_step: how many take the first steps of distillation; None likewise.
        seconds: how long to search; None for no limit.
        resolution: side of the images in pixels; None for the family's.
        keep_accuracy: most points below the teacher; None for no such limit.
        workers: number of worker processes.
        seed: random seed of the sample.
    """

    data: str
    candidates: int | None
    one_batch: int | None
    k_step: int | None
    seconds: float | None
    resolution: int | None
    keep_accuracy: float | None
    workers: int
    seed: int


def open_method(choice: MethodChoice, teacher: TeacherFile, device: torch.device, asked: Asked) -> SearchMethod:
    """Reads what a search needs.

    Args:
        choice: the method and its predictor.
        teacher: teacher whose students are ranked.
        device: device that networks compute on.
        asked: what the user asks of the search.

    Raises:
        UsageError: an option that the method does not have, or a predictor that was learned for another recipe.
        DassError: the predictor or the teacher is damaged.
    """
    efforts = {"one_batch": asked.one_batch, "k_step": asked.k_step, "seconds": asked.seconds}
    options = [f"--{name.replace('_', '-')}" for name, value in efforts.items() if value is not None]
    if choice.method == "dass" and options:
        raise UsageError(f"{', '.join(options)}: not with --method dass, which looks at all candidates")
    if choice.file is not None and not choice.general and asked.resolution is not None:
        raise UsageError("--resolution: this predictor works at the resolution it was learned at")
    if choice.method == "race" and asked.keep_accuracy is not None:
        raise UsageError(
            "--keep-accuracy: a race predicts nothing; take --method multi_fidelity, or `dass shrink`, which distils "
            "students until one keeps it"
        )
    common, params = {"seed": asked.seed}, find_params()
    block = params.search if params else OUTSIDE
    if choice.file is None:
        size = RaceSize.of(
            block, candidates=asked.candidates, one_batch=asked.one_batch, k_step=asked.k_step, seconds=asked.seconds
        )
        return by_race(_students(teacher, asked), device, size, params, common)
    candidates = asked.candidates or CANDIDATES
    if choice.method == "dass":
        return by_dass(choice.file, device, candidates, common)
    effort = SearchBudget.of(block, candidates, asked.seconds, one_batch=asked.one_batch, k_step=asked.k_step)
    anyone = _students(teacher, asked) if choice.general else None
    return by_multi_fidelity(choice.file, device, asked.workers, effort, params, common, anyone)


def _students(teacher: TeacherFile, asked: Asked) -> tuple[SearchSpace, int]:
    """As `students_of`, at the resolution that images are packed at where the user says none."""
    space, side = students_of(teacher, asked.resolution)
    return space, side if asked.resolution else packed_side(asked.data, in_project(RAW), side)


def by_dass(file: Path, device: torch.device, candidates: int, common: Mapping[str, Any]) -> SearchMethod:
    """The paper's predictor.

    Args:
        file: file of the predictor's weights.
        device: device that the predictor computes on.
        candidates: largest number of architectures to score.
        common: further arguments of each method's search: `seed`.

    Raises:
        DassError: it is damaged.
    """
    predictor, card = load_predictor(file, device)

    def rank(task: Task, budget: Constraints, progress: Progress) -> SearchResult:
        return search_students(
            predictor, card, file_id(file), task, budget=budget, count=candidates, device=device,
            progress=progress, **common,
        )  # fmt: skip

    return SearchMethod(card.space, card.resolution, rank)


def by_multi_fidelity(
    file: Path,
    device: torch.device,
    count: int,
    effort: SearchBudget,
    params: Params | None,
    common: Mapping[str, Any],
    anyone: tuple[SearchSpace, int] | None = None,
) -> SearchMethod:
    """The multi-fidelity predictor.

    Args:
        file: file of the multi-fidelity predictor.
        device: device that networks compute on.
        count: number of worker processes.
        effort: numbers of proxies to collect.
        params: whose recipe it must have been learned for; None outside of any project, where it is the predictor's.
        common: as in `by_dass`.
        anyone: space and resolution of the teacher's students, for a multi-fidelity predictor that takes any teacher;
            None for a multi-fidelity predictor that takes teachers of the space alone that it has learned from.

    Raises:
        UsageError: it was learned for another recipe.
    """
    multi_fidelity, card = load_multi_fidelity(file)
    space, resolution = anyone or (card.space, card.resolution)
    recipe = params.distillation if params else recipe_of(card)
    check_fits(card, None, None, recipe, file)

    def rank(task: Task, budget: Constraints, progress: Progress) -> SearchResult:
        with Workers(count) as workers:
            return search_by_multi_fidelity(
                multi_fidelity, card, file_id(file), task, recipe, space=space, workers=workers,
                store=ProxyStore(None), device=device, budget=budget, effort=effort,
                progress=progress, **common,
            )  # fmt: skip

    return SearchMethod(space, resolution, rank)


def by_race(
    students: tuple[SearchSpace, int],
    device: torch.device,
    size: RaceSize,
    params: Params | None,
    common: Mapping[str, Any],
) -> SearchMethod:
    """The race.

    Args:
        students: their space, and the side of their images in pixels.
        device: device that students train on.
        size: numbers of candidates and of students that train.
        params: whose recipe they train by; None outside of any project, where it is that of `dass shrink`.
        common: as in `by_dass`.
    """
    space, side = students

    def rank(task: Task, budget: Constraints, progress: Progress) -> SearchResult:
        recipe = params.distillation if params else shrink_recipe(task.data)
        return search_by_race(task, space, recipe, budget=budget, size=size, device=device, progress=progress, **common)

    return SearchMethod(space, side, rank)
