"""Stage `search`: candidates of a target ranked, the best within the constraints picked."""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.evaluation.plots import embedded, save
from dass.project import Project
from dass.search.budget import AskedBudget
from dass.search.constraints import AskedLimits, Constraints
from dass.search.of_project import AskedSearch, search_of_project
from dass.search.picture import search_figure
from dass.search.result import SearchResult, save_search
from dass.search.successive_halving import RungReport
from dass.search.summary import constraint_lines, pick_line, ranking_rows, slack_lines
from dass.tasks.stored import stored_target
from dass.tasks.task import Task
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, worker_count

# What a search says of its progress, and how many there are to begin with; a search by fidelities tells of its rungs.
PROGRESS = {"dass": "candidates", "race": "student steps"}


@flow(name="search", flow_run_name="search-{target}")
def search(target: str) -> None:
    """Rank a target's candidates and pick the best within its constraints."""
    project = Project.open()
    block, opened = project.params.search, stored_target(project, target).open()
    constraints = AskedLimits.of_target(project.target(target), block).constraints(opened.teacher_cost)
    found = rank_candidates(
        project, opened, constraints, AskedSearch(block.method, AskedBudget(block.candidates), project.params.seed)
    )
    save_search(project.search_file(target), found)
    show(found, block.top)
    show_picture(found, draw(opened, found, project.search(target) / "pareto.png"))


@task(cache_policy=NO_CACHE, name="rank candidates")
def rank_candidates(project: Project, target: Task, constraints: Constraints, asked: AskedSearch) -> SearchResult:
    """Rank candidates by the search that is asked for, with what the pipeline has learned."""
    for line in slack_lines(constraints, target, device()):
        logger().info("%s: %s", target.card.task, line)
    with gpu_slot(device()):
        method = search_of_project(
            project, target.teacher.architecture, asked, device=device(), workers=worker_count(device()),
            on_rung=_log_rung,
        )  # fmt: skip
        what = PROGRESS.get(asked.kind)
        progress = Progress(f"{what} of {target.card.task}", 0, asked.budget.candidates or 1) if what else None
        return method.rank(target, constraints, progress)


def _log_rung(report: RungReport) -> None:
    logger().info("%s: %d candidates in %.1f s", report.fidelity.label, report.candidates, report.seconds)


def draw(target: Task, found: SearchResult, path: Path) -> str:
    """Draw the candidates' Pareto front, and the teacher, into a file; gives an address that needs no file, too."""
    figure = search_figure(target, found, f"{found.target}: candidates of the search")
    save(figure, path)
    return embedded(figure)


def show(found: SearchResult, top: int) -> None:
    """Put the first `top` of the ranking on the run's page, and the pick into its log."""
    for line in (pick_line(found), *constraint_lines(found)):
        logger().info("%s: %s", found.target, line)
    create_table_artifact(
        ranking_rows(found, top),
        key=f"ranking-{found.target.replace('_', '-')}",
        description=f"Best candidates of {found.target} by predicted accuracy; teacher {found.teacher_accuracy:.2f}%",
    )


def show_picture(found: SearchResult, address: str) -> None:
    """Put the picture at an address on the run's page."""
    create_image_artifact(
        address,
        key=f"pareto-{found.target.replace('_', '-')}",
        description=f"Predicted accuracy against multiply-accumulates of {found.target}'s candidates",
    )


if __name__ == "__main__":
    run_stage(search, *sys.argv[1:])
