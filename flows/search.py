"""Stage `search`: the predictor adapted by the guide, candidates ranked, the best within the budget picked."""

import sys

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.evaluation.plots import pareto, save
from dass.networks.checkpoint import load_teacher
from dass.predictor.checkpoint import load_predictor
from dass.project import Project
from dass.search.candidates import MILLION, Budget, Candidate
from dass.search.run import Guide, SearchResult, save_search, search_students
from dass.tracking.stage_runs import predictor_id
from flows.meta_train import CHECKPOINT
from flows.runtime import Progress, device, logger
from flows.stage import run_stage


@flow(name="search", flow_run_name="search-{target}")
def search(target: str) -> None:
    """Rank a target's candidates and pick the best within its budget."""
    project = Project.open()
    result = rank_candidates(project, target)
    save_search(project.search(target) / "search.json", result)
    draw(project, result)
    show(result, project.params.search.top)


@task(cache_policy=NO_CACHE, name="adapt and rank")
def rank_candidates(project: Project, target: str) -> SearchResult:
    """Adapt by the guide and score every candidate."""
    checkpoint = project.predictor / CHECKPOINT
    predictor, card = load_predictor(checkpoint, device())
    teacher, teacher_card = load_teacher(project.target_teacher(target) / f"{target}.safetensors")
    guide = Guide(target, teacher.to(device()), teacher_card.teacher_id, teacher_card.accuracy, teacher_card.resolution)
    block = project.params.search
    return search_students(
        predictor, card, predictor_id(checkpoint), guide,
        budget=target_budget(project, target), count=block.candidates, seed=project.params.seed,
        progress=Progress(f"candidates of {target}", 0, block.candidates),
    )  # fmt: skip


def target_budget(project: Project, target: str) -> Budget:
    """The target's own limits, else those of the search block."""
    own, common = project.target(target), project.params.search
    return Budget(
        common.max_macs if own.max_macs is None else own.max_macs,
        common.max_params if own.max_params is None else own.max_params,
    )


def draw(project: Project, result: SearchResult) -> None:
    """Draw the candidates' Pareto front beside the result."""
    place = {candidate: index for index, candidate in enumerate(result.ranking)}
    figure = pareto(
        [candidate.cost.macs / MILLION for candidate in result.ranking],
        [candidate.predicted for candidate in result.ranking],
        [place[candidate] for candidate in result.front],
        title=f"{result.target}: candidates of the search",
        picked=place[result.pick],
        max_macs=result.budget.max_macs,
    )
    save(figure, project.search(result.target) / "pareto.png")


def show(result: SearchResult, top: int) -> None:
    """Put the ranking on the run's page and the pick into its log."""
    chosen = result.pick
    logger().info(
        "%s: picked %s, %.2f%% predicted, %.2f M MACs; %d candidates in %.1f s (budget: %s)",
        result.target, chosen.architecture.stage_label, chosen.predicted, chosen.cost.macs / MILLION,
        len(result.ranking), result.seconds, result.budget,
    )  # fmt: skip
    create_table_artifact(
        [row(candidate) for candidate in result.ranking[:top]],
        key=f"ranking-{result.target.replace('_', '-')}",
        description=f"Best candidates of {result.target} by predicted accuracy; teacher {result.teacher_accuracy:.2f}%",
    )


def row(candidate: Candidate) -> dict[str, str | float | int]:
    """A candidate as people read it."""
    return {
        "architecture": candidate.architecture.stage_label,
        "predicted accuracy": round(candidate.predicted, 2),
        "M MACs": round(candidate.cost.macs / MILLION, 3),
        "M parameters": round(candidate.cost.parameters / MILLION, 4),
        "arch_id": candidate.architecture.arch_id,
    }


if __name__ == "__main__":
    run_stage(search, *sys.argv[1:])
