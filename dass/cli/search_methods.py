"""The methods of `dass search`, each read from what was learned or, for a race, from the teacher itself."""

from dataclasses import dataclass, replace

import torch

from dass.cli.predictor_choice import MethodChoice, students_of
from dass.config import Search
from dass.errors import UsageError
from dass.files import file_id
from dass.multi_fidelity.checkpoint import check_fits, load_multi_fidelity, recipe_of
from dass.params_file import find_params, in_project
from dass.project import RAW
from dass.search.budget import AskedBudget, RaceSize, SearchBudget
from dass.search.method import SearchMethod
from dass.search.predictor_search import PredictorSearch
from dass.search.race import RaceSearch
from dass.search.successive_halving import MultiFidelitySearch
from dass.space.search_space import SearchSpace
from dass.tasks.user import packed_side
from dass.training.user_teacher import TeacherFile

CANDIDATES = 3000
# Outside of any project, where no params.yaml says how far a search goes.
OUTSIDE = Search(method="race", candidates=CANDIDATES, one_batch=400, k_step=16, steps=10, top=10)


@dataclass(frozen=True)
class Asked:
    """What the user asks of a search.

    Attributes:
        data: name or folder of the dataset.
        resolution: side of the images in pixels; None for the family's.
        budget: how much to look at; None within for as params.yaml says, or `OUTSIDE` where there is none.
        seed: random seed of the sample.
    """

    data: str
    resolution: int | None
    budget: AskedBudget
    seed: int


def open_method(
    choice: MethodChoice, teacher: TeacherFile, asked: Asked, *, device: torch.device, workers: int
) -> tuple[SearchMethod, int]:
    """Reads what a search needs.

    Args:
        choice: the method and its predictor.
        teacher: teacher whose students are ranked.
        asked: what the user asks of the search.
        device: device that networks compute on.
        workers: number of worker processes.

    Returns:
        The method, and the side in pixels of the images that it works at.

    Raises:
        UsageError: an option that the method does not have, or a predictor that was learned for another recipe.
        DassError: the predictor or the teacher is damaged.
    """
    if choice.method == "dass" and asked.budget.given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in asked.budget.given)
        raise UsageError(f"{options}: not with --method dass, which looks at all candidates")
    if choice.file is not None and not choice.general and asked.resolution is not None:
        raise UsageError("--resolution: this predictor works at the resolution it was learned at")
    params = find_params()
    block = params.search if params else OUTSIDE
    if choice.file is None:
        size = RaceSize.of(block, asked.budget)
        space, side = _students(teacher, asked)
        return RaceSearch(space, size, asked.seed, device, params.distillation if params else None), side
    candidates = asked.budget.candidates or CANDIDATES
    if choice.method == "dass":
        search = PredictorSearch.load(choice.file, candidates, asked.seed, device)
        return search, search.card.resolution
    budget = SearchBudget.of(block, replace(asked.budget, candidates=candidates))
    predictor, card = load_multi_fidelity(choice.file)
    space, side = _students(teacher, asked) if choice.general else (card.space, card.resolution)
    recipe = params.distillation if params else recipe_of(card)
    check_fits(card, None, None, recipe, choice.file)
    return MultiFidelitySearch(
        predictor, file_id(choice.file), space, recipe, card.seed, budget, asked.seed, device, workers
    ), side


def _students(teacher: TeacherFile, asked: Asked) -> tuple[SearchSpace, int]:
    """As `students_of`, at the resolution that images are packed at where the user says none."""
    space, side = students_of(teacher, asked.resolution)
    return space, side if asked.resolution else packed_side(asked.data, in_project(RAW), side)
