"""What a comparison by params.yaml consists of: which scores, and which picks of which methods, on which seeds."""

from functools import partial

import torch

from dass.baselines.evaluated import EvaluatedTarget
from dass.baselines.picks import Pick, picks_of, searcher
from dass.baselines.ranker import Settings
from dass.baselines.scores import ScoreDatabase, Scores
from dass.baselines.scoring import CURVE, Scoring
from dass.config import Params
from dass.errors import DassError
from dass.files import content_id, file_id
from dass.method_names import FEW_SHOT, METHODS, REFERENCE, method_label
from dass.predictor.checkpoint import load_predictor
from dass.project import Project
from dass.students.plan import StudentJob
from dass.students.trained import load_student
from dass.tasks.ranking import source_tasks


def method_seeds(params: Params, name: str) -> list[int]:
    """The seeds of a method: several of one whose learning depends on the seed."""
    count = params.evaluation.seeds if METHODS[name].varies else 1
    return [params.seed + index for index in range(count)]


def scored_methods(params: Params) -> list[tuple[str, int]]:
    """Name and seed of all that score students, few-shot methods excepted."""
    names = (name for name in params.evaluation.methods if name not in FEW_SHOT)
    return [(name, seed) for name in names for seed in method_seeds(params, name)]


def few_shot_methods(params: Params) -> list[str]:
    """The few-shot methods of params.yaml, which share a curve for each seed of the reference."""
    return [name for name in params.evaluation.methods if name in FEW_SHOT]


def scored_for_picks(params: Params) -> list[str]:
    """Methods that score the search's candidates: what DaSS makes of them, a search by DaSS has found."""
    by_dass = params.search.method == "dass"
    return [name for name in params.evaluation.picks if not (by_dass and name == REFERENCE)]


def open_scoring(project: Project, device: torch.device, workers: int) -> Scoring:
    """All that methods need.

    Args:
        project: project with settings, predictor and source tasks.
        device: device that methods compute on.
        workers: processes that collect proxies.

    Raises:
        DassError: the predictor is missing or damaged.
    """
    params, checkpoint = project.params, project.predictor_file
    shipped, card = load_predictor(checkpoint, device)
    shipped_id = file_id(checkpoint)
    return Scoring(
        ScoreDatabase(project.scores),
        Settings(
            params.predictor, params.distillation, params.seed, str(device), proxies=project.proxies, workers=workers
        ),
        partial(source_tasks, project, device),
        # The predictor was learned from the source tasks and is another one whenever they are.
        content_id([shipped_id, card.training, card.validation, card.students]),
        project.learned,
        shipped,
        shipped_id,
    )


def wanted_scores(project: Project, target: EvaluatedTarget) -> list[Scores]:
    """A target's scores that params.yaml asks for.

    Raises:
        DassError: some are missing.
    """
    params = project.params
    scores_by_identity = {scores.identity: scores for scores in ScoreDatabase(project.scores).read(target.name)}
    wanted = [(name, "students", seed) for name, seed in scored_methods(params)]
    if few_shot_methods(params):
        wanted += [(CURVE, "few-shot", seed) for seed in method_seeds(params, REFERENCE)]
    wanted += [(name, "candidates", params.seed) for name in scored_for_picks(params)]
    missing = [key for key in wanted if key not in scores_by_identity]
    if missing:
        raise DassError(
            f"{target.name} has no scores by {method_label(missing[0][0])}, seed {missing[0][2]}: run the rank stage"
        )
    return [scores_by_identity[key] for key in wanted]


def target_picks(project: Project, target: EvaluatedTarget) -> list[Pick]:
    """What each method of `evaluation.picks` picks; the search's own, which is distilled anyway, in front."""
    scores = ScoreDatabase(project.scores).read(target.name)
    names = list(dict.fromkeys([searcher(target.search), *project.params.evaluation.picks]))
    return picks_of(names, scores, target.search, project.params.seed)


def missing_picks(project: Project, target: EvaluatedTarget) -> list[StudentJob]:
    """The picks of `evaluation.picks` that are yet to be distilled, each architecture and seed once."""
    block, distilled = project.params.evaluation, target.distilled()
    seeds = [project.params.seed + index for index in range(block.pick_seeds)]
    picks = [pick.candidate.architecture for pick in target_picks(project, target) if pick.method in block.picks]
    _, own = load_student(project.student_file(target.name))
    return [
        StudentJob(architecture, seed)
        for architecture in dict.fromkeys(picks)
        for seed in seeds
        if (architecture, seed) != (own.architecture, own.seed) and (architecture.arch_id, seed) not in distilled
    ]
