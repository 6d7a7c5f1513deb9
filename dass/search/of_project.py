"""The searches of a project: each with what the pipeline has learned and what params.yaml says."""

from dataclasses import dataclass

import torch

from dass.config import SearchKind
from dass.errors import UsageError
from dass.files import file_id
from dass.multi_fidelity.checkpoint import check_fits, load_multi_fidelity
from dass.project import Project
from dass.proxies.store import ProxyStore
from dass.search.budget import AskedBudget, RaceSize, SearchBudget
from dass.search.method import SearchMethod
from dass.search.predictor_search import PredictorSearch
from dass.search.race import RaceSearch
from dass.search.successive_halving import MultiFidelitySearch, OnRung
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace


@dataclass(frozen=True)
class AskedSearch:
    """What is asked of a search in a project, beside the constraints.

    Attributes:
        kind: kind of the search.
        budget: how much to look at; what is None within is as params.yaml says.
        seed: random seed of the sample.
    """

    kind: SearchKind
    budget: AskedBudget
    seed: int


def search_of_project(
    project: Project,
    teacher: Architecture,
    asked: AskedSearch,
    *,
    device: torch.device,
    workers: int,
    on_rung: OnRung | None = None,
) -> SearchMethod:
    """A search for students of a teacher.

    Args:
        project: gives what the pipeline has learned, the search space, the recipe and the usual numbers.
        teacher: the architecture of the teacher. A race takes one of any family.
        asked: kind, numbers and seed of the search.
        device: device that networks compute on.
        workers: number of worker processes that collect proxies.
        on_rung: called when a rung of a search by the multi-fidelity predictor is done.

    Raises:
        UsageError: numbers that the kind of search does not have, or a multi-fidelity predictor that was learned under
            other params.
        DassError: what was learned is missing or damaged.
    """
    params = project.params
    if asked.kind == "race":
        space = SearchSpace.below(
            teacher,
            getattr(params.space, "ratios", RATIOS),
            getattr(params.space, "granularity", "block"),
            getattr(params.space, "divisor", None),
        )
        return RaceSearch(space, RaceSize.of(params.search, asked.budget), asked.seed, device, params.distillation)
    budget = SearchBudget.of(params.search, asked.budget)
    if asked.kind == "dass":
        if asked.budget.given:
            raise UsageError(
                f"{', '.join(asked.budget.given)}: only for a search by the multi-fidelity predictor or a race, since "
                "`dass` looks at all candidates"
            )
        return PredictorSearch.load(project.predictor_file, budget.candidates, asked.seed, device)
    file, space = project.multi_fidelity_file, SearchSpace.from_config(params.space)
    predictor, card = load_multi_fidelity(file)
    check_fits(card, space, params.data.resolution, params.distillation, file)
    return MultiFidelitySearch(
        predictor, file_id(file), space, params.distillation, card.seed, budget, asked.seed, device, workers,
        ProxyStore(project.proxies), on_rung,
    )  # fmt: skip
