"""The methods of `dass search`, each read from what was learned or, for a race, from the teacher itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dass.config import Search
from dass.errors import UsageError
from dass.evidence.store import EvidenceStore
from dass.files import file_id
from dass.ladder.checkpoint import check_fits, load_ladder
from dass.networks.importing import import_network
from dass.params_file import in_project, load_params
from dass.predictor.checkpoint import load_predictor
from dass.search.candidates import Budget
from dass.search.climb import Effort, Progress, search_by_ladder
from dass.search.race import RaceSize, search_by_race
from dass.search.run import SearchResult, search_students
from dass.search.target_task import TargetTask
from dass.space.search_space import RATIOS, SearchSpace
from dass.training.user_teacher import TeacherFile
from dass.training.workers import Workers


@dataclass(frozen=True)
class Way:
    """A method that has been read: what it can be asked about, and its ranking of a task's candidates."""

    space: SearchSpace
    resolution: int
    rank: Callable[[TargetTask, Budget, Progress], SearchResult]


def by_dass(file: Path, place: torch.device, candidates: int, common: Mapping[str, Any]) -> Way:
    """The paper's predictor.

    Args:
        file: its weights.
        place: where it computes.
        candidates: architectures to score at most.
        common: further arguments of each method's search: `seed`.

    Raises:
        UsageError: there is no such file.
    """
    predictor, card = load_predictor(_made(file, "predictor"), place)

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        return search_students(
            predictor, card, file_id(file), task.guide, budget=budget, count=candidates, device=place,
            progress=progress, **common,
        )  # fmt: skip

    return Way(card.space, card.resolution, rank)


def by_ladder(
    file: Path,
    place: torch.device,
    count: int,
    effort_of: Callable[[Search], Effort],
    common: Mapping[str, Any],
) -> Way:
    """The ladder.

    Args:
        file: what it has learned.
        place: where networks compute.
        count: worker processes.
        effort_of: how far it goes, from the block `search` of params.yaml.
        common: as in `by_dass`.

    Raises:
        UsageError: there is no such file, or it was learned for another recipe.
    """
    ladder, card = load_ladder(_made(file, "ladder"))
    params = load_params(in_project(Path("params.yaml")))
    check_fits(card, card.space, card.resolution, params.distillation, file)

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        with Workers(count) as workers:
            return search_by_ladder(
                ladder, card, file_id(file), task, params.distillation, workers=workers, store=EvidenceStore(None),
                device=place, budget=budget, effort=effort_of(params.search), progress=progress, **common,
            )  # fmt: skip

    return Way(card.space, card.resolution, rank)


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
    architecture = import_network(teacher.path, layout=teacher.layout).network.architecture
    space = SearchSpace.below(architecture, RATIOS, "block")

    def rank(task: TargetTask, budget: Budget, progress: Progress) -> SearchResult:
        recipe = params.distillation
        return search_by_race(
            task, space, recipe, budget=budget, size=size_of(params.search), device=place, progress=progress, **common
        )

    side = resolution or architecture.family.usual_resolution or params.data.resolution
    return Way(space, side, rank)


def race_size(block: Search, starts: int | None, sprints: int | None, seconds: float | None) -> RaceSize:
    """How large a race is: as the options say, else as the block `search` of params.yaml does."""
    students = sprints or max(1, block.sprints)
    return RaceSize(max(students, starts or min(block.starts, 8 * students)), students, seconds)


def _made(file: Path, name: str) -> Path:
    if not file.exists():
        raise UsageError(f"there is no {name} at {file}: run `make repro`, or give --{name}")
    return file
