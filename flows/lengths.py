"""Beyond the pipeline: what evidence says of students that are distilled for longer.

    python -m flows.lengths 4 24 cifar10 rsscn7

Target students of the finished study are distilled anew for so many times as long, and what is known of them beforehand
is held against what they reach then. It goes on where it was stopped.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.ladder import collector_of
from dass.baselines.names import LADDER, REFERENCE
from dass.baselines.scores import ScoreDatabase
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.evaluation.intervals import bootstrap
from dass.evaluation.tables import CorrelationRow, correlation_table, write_csv
from dass.evidence.evidence import Evidence
from dass.evidence.store import EvidenceStore
from dass.files import write_text
from dass.ladder.ladder import gather
from dass.project import Project
from dass.space.architecture import Architecture
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from flows.database import fill_database, student_workers
from flows.ladder import highest
from flows.ranking import EvaluatedTarget, read_target
from flows.runtime import device, workers
from flows.slots import gpu_slot
from flows.stage import run_stage
from flows.teacher import target_data

TITLE = "Spearman's correlation with accuracy after so many steps of distillation"
LOWER_IS_BETTER = ("loss", "error")

Floats = NDArray[np.float64]


@flow(name="lengths")
def lengths(times: int, count: int, *names: str) -> None:
    """Hold each kind of evidence against accuracies after the recipe's length of distillation and after a longer one.

    Args:
        times: how many times as long.
        count: students of each target, the first of those that the study has distilled.
        names: targets of the study.
    """
    project, rows = Project.open(), []
    for name in names:
        target = read_target(project, name)
        architectures = target.task.architectures[:count]
        known = what_is_known(project, target, architectures)
        recipe = project.params.distillation.for_images(len(target.task.data.train_labels))
        each = len(target.task.data.train_labels) // recipe.batch_size
        rows += compare(project, f"{name}, {each * recipe.epochs} steps", known, target.task.accuracies[:count])
        longer = replace(project, params=project.params.model_copy(
            update={"distillation": recipe.model_copy(update={"epochs": times * recipe.epochs})}
        ))  # fmt: skip
        reached = distil_longer.with_options(task_run_name=f"students of {name}")(longer, target, architectures)
        rows += compare(project, f"{name}, {times * each * recipe.epochs} steps", known, reached)
    table = correlation_table(rows, "src", TITLE).markdown()
    write_csv(project.reports / "lengths.csv", CorrelationRow, rows)
    write_text(project.reports / "lengths.md", table)
    create_markdown_artifact(table, key="lengths")


def what_is_known(
    project: Project, target: EvaluatedTarget, architectures: tuple[Architecture, ...]
) -> dict[str, Floats]:
    """By kind of evidence, a number for each student, higher for what should be better; then methods' scores."""
    with gpu_slot(device()), workers(device()) as pool:
        collector = collector_of(
            target.task, project.params.distillation, workers=pool, store=EvidenceStore(project.evidence),
            device=device(), seed=project.params.seed,
        )  # fmt: skip
        evidence = gather(collector, architectures, highest(project))
    known = {name: values for name, values in _oriented(evidence) if not name.startswith(("depth_", "width_"))}
    for scores in ScoreDatabase(project.scores).read(target.name):
        shown = scores.method in (REFERENCE, *LADDER)
        if shown and (scores.sample, scores.seed) == ("students", project.params.seed) and not scores.failure:
            known[scores.method] = scores.of(architectures)
    return known


def _oriented(evidence: Evidence) -> Iterator[tuple[str, Floats]]:
    for name, values in zip(evidence.names, evidence.values.T, strict=True):
        yield name, -values if name.endswith(LOWER_IS_BETTER) else values


@task(cache_policy=NO_CACHE, name="distil for longer")
def distil_longer(
    longer: Project, target: EvaluatedTarget, architectures: tuple[Architecture, ...]
) -> tuple[float, ...]:
    """Accuracies of these students by the project's recipe; their records are filed beside the study's own."""
    jobs = [StudentJob(architecture, longer.params.seed) for architecture in architectures]
    database = StudentDatabase(longer.target_students(target.name))
    load = partial(target_data, longer, target.name)
    with student_workers() as pool:
        records = fill_database(longer, database, jobs, load, target.task.teacher.cpu(), pool)
    reached = {record.arch_id: record for record in records}
    failed = [record.failure for record in records if record.failure]
    if failed:
        raise UsageError(f"{len(failed)} students of {target.name} failed, so they cannot be compared: {failed[0]}")
    return tuple(reached[architecture.arch_id].final_accuracy for architecture in architectures)


def compare(project: Project, where: str, known: dict[str, Floats], reached: tuple[float, ...]) -> list[CorrelationRow]:
    """A row for each kind of evidence."""
    block = project.params.evaluation
    return [
        CorrelationRow.of(
            name, where, "src",
            bootstrap(spearman, values, reached, resamples=block.bootstrap, seed=project.params.seed).estimate(
                block.confidence
            ),
        )
        for name, values in known.items()
    ]  # fmt: skip


if __name__ == "__main__":
    run_stage(lengths, *sys.argv[1:])
