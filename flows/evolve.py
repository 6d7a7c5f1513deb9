"""Beyond the pipeline: whether a multi-fidelity search does better among children of the best than at random.

    python -m flows.run evolve 3 cifar10 plantvillage rsscn7

Both ways look at equally many candidates from equally many rungs, and the pick of each is distilled.
"""

import sys
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from dass.errors import UsageError
from dass.evaluation.tables import Table
from dass.files import write_text
from dass.project import Project
from dass.students.plan import StudentJob
from dass.tasks.stored import stored_target
from flows.database import fill_database, student_workers
from flows.search import rank_candidates, target_budget
from flows.stage import run_stage


@dataclass(frozen=True)
class Found:
    """What one search came to.

    Attributes:
        predicted: of its pick, percent.
        reached: by its pick, percent.
        seconds: of the search.
    """

    predicted: float
    reached: float
    seconds: float


@flow(name="evolve")
def evolve(seeds: int, *names: str) -> None:
    """Search targets both ways, with several seeds, by the effort of params.yaml, and distil each pick.

    Args:
        seeds: of the searches, from that of params.yaml upwards.
        names: targets of the study.

    Raises:
        UsageError: no target is named.
    """
    if not names:
        raise UsageError("name the targets: python -m flows.run evolve SEEDS TARGET ...")
    project, rows = Project.open(), []
    columns, block = ("target", "candidates", "predicted %", "reached %", "seconds"), project.params.search
    effort = f"{block.candidates} candidates, {block.one_batch} on one batch, {block.k_step} trained for some steps"
    title = f"Picks of {seeds} searches of {effort}"
    for name in names:
        for way in (False, True):
            searching = replace(project, params=project.params.model_copy(
                update={"search": project.params.search.model_copy(update={"evolve": way})}
            ))  # fmt: skip
            found = [search(searching, name, project.params.seed + index) for index in range(seeds)]
            rows.append((name, "evolved" if way else "random", *map(_spread, zip(*map(_numbers, found), strict=True))))
            table = Table(title, columns, tuple(rows)).markdown()
            write_text(project.reports / "evolve.md", table)
    create_markdown_artifact(table, key="evolve")


def search(project: Project, name: str, seed: int) -> Found:
    """One search by the multi-fidelity predictor, and its pick distilled."""
    stored = stored_target(project, name)
    given = stored.open()
    budget = target_budget(project, name, given)
    result = rank_candidates(project, given, budget, project.params.search.candidates, seed, "multi_fidelity")
    folder = project.lengths / name
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [StudentJob(result.pick.architecture, project.params.seed)]
    with student_workers() as pool:
        [record] = fill_database(stored, jobs, pool, folder)
    return Found(result.pick.predicted, record.final_accuracy, result.seconds)


def _numbers(found: Found) -> tuple[float, float, float]:
    return found.predicted, found.reached, found.seconds


def _spread(values: tuple[float, ...]) -> str:
    return f"{fmean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


if __name__ == "__main__":
    run_stage(evolve, *sys.argv[1:])
