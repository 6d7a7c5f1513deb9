"""Beyond the pipeline: what proxies say of students that are distilled for longer.

    python -m experiments.lengths 4 24 cifar10 rsscn7

Target students of the finished study are distilled anew for so many times as long, and what is known of them beforehand
is held against what they reach then. It goes on where it was stopped; DVC does not know of it.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.evaluated import EvaluatedTarget
from dass.baselines.scores import ScoreDatabase
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.evaluation.intervals import bootstrap
from dass.evaluation.tables import CorrelationRow, correlation_table, write_csv
from dass.files import write_text
from dass.method_names import MULTI_FIDELITY, REFERENCE
from dass.multi_fidelity.predictor import gather
from dass.project import Project
from dass.proxies.collector import Collector
from dass.proxies.store import ProxyStore
from dass.proxies.table import ProxyTable
from dass.space.architecture import Architecture
from dass.students.plan import StudentJob
from flows.infrastructure.runtime import logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, workers
from flows.stages.multi_fidelity import highest
from flows.stages.student_database import fill_database, student_workers

TITLE = "Spearman's correlation with accuracy after so many steps of distillation"
LOWER_IS_BETTER = ("loss", "error")

Floats = NDArray[np.float64]


@flow(name="lengths")
def lengths(times: int, count: int, *names: str) -> None:
    """Hold each kind of proxy against accuracies after the recipe's length of distillation and after a longer one.

    Args:
        times: how many times as long.
        count: students of each target, the first of those that the study has distilled.
        names: targets of the study; the table is of all of them.

    Raises:
        UsageError: no target is named.
    """
    if not names:
        raise UsageError("name the targets: python -m experiments.lengths TIMES COUNT TARGET ...")
    project = Project.open()
    rows: list[CorrelationRow] = []
    for name in names:
        target = EvaluatedTarget.read(project, name, device())
        recipe = project.params.distillation.for_images(len(target.task.data.train_labels))
        longer = replace(
            project,
            params=project.params.model_copy(
                update={"distillation": recipe.model_copy(update={"epochs": times * recipe.epochs})}
            ),
        )
        known = dict(zip(target.task.architectures[:count], target.task.accuracies, strict=False))
        reached = distil_longer.with_options(task_run_name=f"students of {name}")(longer, target, tuple(known))
        both = tuple(architecture for architecture in known if architecture in reached)
        proxies = what_is_known(project, target, both)
        steps = recipe.epochs * (len(target.task.data.train_labels) // recipe.batch_size)
        for length, accuracies in ((steps, known), (times * steps, reached)):
            rows += compare(project, f"{name}, {length} steps", proxies, [accuracies[one] for one in both])
        table = correlation_table(rows, "src", TITLE).markdown()
        write_csv(project.reports / "lengths.csv", CorrelationRow, rows)
        write_text(project.reports / "lengths.md", table)
    create_markdown_artifact(table, key="lengths")


def what_is_known(
    project: Project, target: EvaluatedTarget, architectures: tuple[Architecture, ...]
) -> dict[str, Floats]:
    """By kind of proxy, a number for each student, higher for what should be better; then methods' scores."""
    with gpu_slot(device()), workers(device()) as pool:
        collector = Collector.of(
            target.task, project.params.distillation, workers=pool, store=ProxyStore(project.proxies),
            device=device(), seed=project.params.seed,
        )  # fmt: skip
        proxies = gather(collector, architectures, highest(project))
    known = {name: values for name, values in _oriented(proxies) if not name.startswith(("depth_", "width_"))}
    for scores in ScoreDatabase(project.scores).read(target.name):
        shown = scores.method in (REFERENCE, *MULTI_FIDELITY)
        if shown and (scores.sample, scores.seed) == ("students", project.params.seed) and not scores.failure:
            known[scores.method] = scores.of(architectures)
    return known


def _oriented(proxies: ProxyTable) -> Iterator[tuple[str, Floats]]:
    for name, values in zip(proxies.names, proxies.values.T, strict=True):
        yield name, -values if name.endswith(LOWER_IS_BETTER) else values


@task(cache_policy=NO_CACHE, name="distil for longer")
def distil_longer(
    longer: Project, target: EvaluatedTarget, architectures: tuple[Architecture, ...]
) -> dict[Architecture, float]:
    """Accuracies of these students by the project's recipe, of those that did not fail."""
    jobs = [StudentJob(architecture, longer.params.seed) for architecture in architectures]
    folder = longer.lengths / target.name
    folder.mkdir(parents=True, exist_ok=True)
    with student_workers() as pool:
        records = fill_database(replace(target.stored, project=longer), jobs, pool, folder)
    for record in records:
        if record.failure:
            logger().warning("%s of %s is left out: %s", record.arch_id, target.name, record.failure)
    return {record.architecture: record.final_accuracy for record in records if not record.failure}


def compare(
    project: Project, where: str, known: dict[str, Floats], reached: Sequence[float]
) -> Iterator[CorrelationRow]:
    """A row for each kind of proxy."""
    block, seed = project.params.evaluation, project.params.seed
    for name, values in known.items():
        draws = bootstrap(spearman, values, reached, resamples=block.bootstrap, seed=seed)
        yield CorrelationRow.of(name, where, "src", draws.estimate(block.confidence))


if __name__ == "__main__":
    run_stage(lengths, *sys.argv[1:])
