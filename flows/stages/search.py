"""Stage `search`: the predictor adapted by the guide, candidates ranked, the best within the budget picked."""

import base64
import json
import sys
from pathlib import Path
from typing import Literal

from prefect import flow, task
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.errors import UsageError
from dass.evaluation.plots import pareto, save
from dass.files import file_id
from dass.multi_fidelity.checkpoint import check_fits, load_multi_fidelity
from dass.predictor.checkpoint import load_predictor
from dass.project import Project
from dass.proxies.store import ProxyStore
from dass.search.candidates import MILLION, Candidate, Constraints
from dass.search.constraint_lines import constraint_lines
from dass.search.race import RaceSize, search_by_race
from dass.search.result import SearchResult, save_search
from dass.search.run import search_students
from dass.search.slack import slack_lines
from dass.search.successive_halving import RungReport, SearchBudget, search_by_multi_fidelity
from dass.space.search_space import RATIOS, SearchSpace
from dass.tasks.stored import stored_target
from dass.tasks.task import Task
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, workers

Method = Literal["dass", "multi_fidelity", "race"]


@flow(name="search", flow_run_name="search-{target}")
def search(target: str) -> None:
    """Rank a target's candidates and pick the best within its budget."""
    project = Project.open()
    block = project.params.search
    target_task = stored_target(project, target).open()
    result = rank_candidates(
        project, target_task, target_budget(project, target, target_task), block.candidates, project.params.seed
    )
    folder = project.search(target)
    save_search(project.search_file(target), result)
    draw(result, target_task, folder / "pareto.png")
    show(result, block.top)
    show_picture(result, embedded(folder / "pareto.png"))


def rank_candidates(
    project: Project,
    target_task: Task,
    budget: Constraints,
    count: int,
    seed: int,
    method: Method | None = None,
    seconds: float | None = None,
) -> SearchResult:
    """Rank candidates by the method that is asked for, else that of params.yaml.

    Args:
        project: the predictor and the settings.
        target_task: the target.
        budget: what candidates may cost.
        count: of candidates.
        seed: of the sample.
        method: None for that of params.yaml.
        seconds: how long a search by the multi-fidelity predictor or a race may take, in place of the number that
            train.

    Raises:
        UsageError: seconds for a search by `dass`.
    """
    for line in slack_lines(budget, target_task, device()):
        logger().info("%s: %s", target_task.card.task, line)
    method = method or project.params.search.method
    if method == "multi_fidelity":
        return halve_candidates(project, target_task, budget, count, seed, seconds)
    if method == "race":
        return race_candidates(project, target_task, budget, count, seed, seconds)
    if seconds is not None:
        raise UsageError(
            "seconds limit a search by the multi-fidelity predictor or a race: `dass` looks at all candidates"
        )
    return adapt_and_rank(project, target_task, budget, count, seed)


@task(cache_policy=NO_CACHE, name="adapt and rank")
def adapt_and_rank(project: Project, target_task: Task, budget: Constraints, count: int, seed: int) -> SearchResult:
    """Adapt the project's predictor by the guide and score every candidate."""
    checkpoint, torch_device = project.predictor_file, device()
    with gpu_slot(torch_device):
        predictor, card = load_predictor(checkpoint, torch_device)
        target_task.teacher.to(torch_device)
        progress = Progress(f"candidates of {target_task.name}", 0, count)
        return search_students(
            predictor, card, file_id(checkpoint), target_task, budget=budget, count=count, seed=seed,
            device=torch_device, progress=progress,
        )  # fmt: skip


@task(cache_policy=NO_CACHE, name="climb")
def halve_candidates(
    project: Project, target_task: Task, budget: Constraints, count: int, seed: int, seconds: float | None
) -> SearchResult:
    """Collect proxies of candidates: cheap about all, costly about the promising ones."""
    params, torch_device, file = project.params, device(), project.multi_fidelity_file
    multi_fidelity, card = load_multi_fidelity(file)
    check_fits(card, SearchSpace.from_config(params.space), params.data.resolution, params.distillation, file)
    effort = SearchBudget.of(params.search, count, seconds)
    with gpu_slot(torch_device), workers(torch_device) as pool:
        return search_by_multi_fidelity(
            multi_fidelity, card, file_id(file), target_task, params.distillation, workers=pool,
            store=ProxyStore(project.proxies), device=torch_device, budget=budget, effort=effort, seed=seed,
            on_rung=_log_rung,
        )  # fmt: skip


@task(cache_policy=NO_CACHE, name="race")
def race_candidates(
    project: Project, target_task: Task, budget: Constraints, count: int, seed: int, seconds: float | None
) -> SearchResult:
    """Let candidates train, the better half go on, until one is left."""
    params, torch_device = project.params, device()
    space = SearchSpace.below(
        target_task.teacher.architecture,
        getattr(params.space, "ratios", RATIOS),
        getattr(params.space, "granularity", "block"),
        getattr(params.space, "divisor", None),
    )
    size = RaceSize.of(params.search, candidates=count, seconds=seconds)
    with gpu_slot(torch_device):
        return search_by_race(
            target_task, space, params.distillation, budget=budget, size=size, seed=seed, device=torch_device,
            progress=Progress(f"student steps of {target_task.card.task}", 0, 1),
        )  # fmt: skip


def _log_rung(report: RungReport) -> None:
    logger().info("%s: %d candidates in %.1f s", report.fidelity.label, report.candidates, report.seconds)


def target_budget(project: Project, target: str, target_task: Task) -> Constraints:
    """The target's own limits, else those of the search block."""
    own, common = project.target(target), project.params.search
    return Constraints.of(
        own.limit("max_macs", common),
        own.limit("max_params", common),
        target_task.teacher_cost,
        min_macs=own.limit("min_macs", common),
        min_params=own.limit("min_params", common),
        max_size=own.limit("max_size", common),
        max_latency=own.limit("max_latency", common),
        latency_batch=own.limit("latency_batch", common),
        keep_accuracy=own.limit("keep_accuracy", common),
        keep_probability=own.limit("keep_probability", common),
    )


def draw(result: SearchResult, target_task: Task, path: Path) -> None:
    """Draw the candidates' Pareto front, and the teacher."""
    index_of = {candidate: index for index, candidate in enumerate(result.ranking)}
    figure = pareto(
        [candidate.cost.macs / MILLION for candidate in result.ranking],
        [candidate.predicted for candidate in result.ranking],
        [index_of[candidate] for candidate in result.front],
        title=f"{result.target}: candidates of the search",
        picked=index_of[result.pick],
        max_macs=result.budget.max_macs,
        teacher_macs=target_task.teacher_cost.macs / MILLION,
        teacher_accuracy=result.teacher_accuracy,
        ylabel=result.accuracy_label,
    )
    save(figure, path)


def show(result: SearchResult, top: int) -> None:
    """Put the ranking on the run's page and the pick into its log."""
    chosen = result.pick
    logger().info(
        "%s: picked %s, %.2f%% predicted, %.2f M MACs; %d candidates in %.1f s (budget: %s)",
        result.target, chosen.architecture.stage_label, chosen.predicted, chosen.cost.macs / MILLION,
        len(result.ranking), result.seconds, result.budget,
    )  # fmt: skip
    for line in constraint_lines(result):
        logger().info("%s: %s", result.target, line)
    create_table_artifact(
        [row(candidate) for candidate in result.ranking[:top]],
        key=f"ranking-{result.target.replace('_', '-')}",
        description=f"Best candidates of {result.target} by predicted accuracy; teacher {result.teacher_accuracy:.2f}%",
    )


def embedded(picture: Path) -> str:
    """A picture as its own address, for where no page can be asked for it."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def show_picture(result: SearchResult, address: str) -> None:
    """Put the Pareto front on the run's page."""
    create_image_artifact(
        address,
        key=f"pareto-{result.target.replace('_', '-')}",
        description=f"Predicted accuracy against multiply-accumulates of {result.target}'s candidates",
    )


def row(candidate: Candidate) -> dict[str, str | float | int]:
    """A candidate as people read it."""
    return {
        "depths / widths": candidate.architecture.stage_label,
        "predicted accuracy": round(candidate.predicted, 2),
        **({} if candidate.low is None else {"80% interval": f"{candidate.low:.1f} to {candidate.high:.1f}"}),
        **({"fidelity": candidate.fidelity.label} if candidate.fidelity else {}),
        "M MACs": round(candidate.cost.macs / MILLION, 3),
        "M parameters": round(candidate.cost.parameters / MILLION, 4),
        "arch_id": candidate.architecture.arch_id,
        "architecture": json.dumps(candidate.architecture.to_json()),
    }


if __name__ == "__main__":
    run_stage(search, *sys.argv[1:])
