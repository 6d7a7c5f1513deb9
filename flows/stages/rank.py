"""Stage `rank`: what every compared method makes of each target's students, and its picks, distilled."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.comparison import (
    few_shot_methods,
    method_seeds,
    missing_picks,
    open_scoring,
    scored_for_picks,
    scored_methods,
)
from dass.baselines.evaluated import EvaluatedTarget, evaluated_targets
from dass.baselines.scores import Scores
from dass.method_names import REFERENCE
from dass.project import Project
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, worker_count, workers
from flows.stages.student_database import fill_database


@flow(name="rank")
def rank() -> None:
    """Score every target's students by every method of params.yaml, then distil the methods' picks."""
    project = Project.open()
    for folder in (project.scores, project.picks):
        folder.mkdir(parents=True, exist_ok=True)
    targets = evaluated_targets(project, device())
    scores = score_methods(project, targets)
    show(scores)
    for target in targets:
        distil_picks.with_options(task_run_name=f"picks of {target.name}")(project, target)


@task(cache_policy=NO_CACHE, name="score by every method")
def score_methods(project: Project, targets: Sequence[EvaluatedTarget]) -> list[Scores]:
    """Score what has no scores yet; each set of scores is on disk as soon as it is known."""
    params = project.params
    scoring = open_scoring(project, device(), worker_count(device()))
    students, searched = [target.students() for target in targets], [target.searched() for target in targets]
    scored, curves = scored_methods(params), few_shot_methods(params)
    seeds = method_seeds(params, REFERENCE) if curves else []
    total = len(scored) + len(seeds)
    progress, found = Progress("methods", 0, total), list[Scores]()
    with gpu_slot(device()):
        for done, (name, seed) in enumerate(scored, start=1):
            picks = name in scored_for_picks(params) and seed == params.seed
            found += scoring.score(name, seed, [*students, *(searched if picks else ())])
            progress(done, total)
        for done, seed in enumerate(seeds, start=len(scored) + 1):
            found += [scoring.curve(curves, seed, sample) for sample in students]
            progress(done, total)
    for scores in found:
        if scores.failure:
            logger().warning("%s has no scores of %s: %s", scores.method, scores.target, scores.failure)
    return found


@task(cache_policy=NO_CACHE, name="distil picks")
def distil_picks(project: Project, target: EvaluatedTarget) -> None:
    """Distil what the methods picked, each architecture and seed once, whoever picked it."""
    if jobs := missing_picks(project, target):
        with workers(device()) as pool:
            fill_database(target.stored, jobs, pool, project.picks)


def show(scores: Sequence[Scores]) -> None:
    """Put on the run's page what was scored, and what could not be."""
    rows = [
        {
            "method": item.method, "target": item.target, "sample": item.sample, "seed": item.seed,
            "ms per architecture": round(1000 * item.seconds, 2) if not item.failure and item.values else "",
            "failure": item.failure,
        }
        for item in scores
    ]  # fmt: skip
    create_table_artifact(rows, key="scores", description="Compared methods and what they scored")


if __name__ == "__main__":
    run_stage(rank)
