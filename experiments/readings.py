"""Beyond the pipeline: Table 2 under each reading of what the paper leaves open about its predictor.

    python -m experiments.readings 3

Batch norms may take the teacher's statistics or the noise's own, and accuracies may be targets in raw percent or in
units of 50 points. For each of the four combinations the methods of Table 2 learn on the source tasks without one class
group and rank that group's students, group by group; then they learn as in the pipeline and rank the targets' students.
The choice rests on the left-out source tasks alone. It goes on where it was stopped; DVC does not know of it.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.evaluated import evaluated_targets
from dass.baselines.methods.meta_predictors import VARIANTS
from dass.baselines.ranker import Settings
from dass.baselines.readings import PUBLISHED, READINGS, Reading, agreement, best_reading, folds
from dass.baselines.scores import ScoreDatabase
from dass.baselines.scoring import Scoring, TargetSample
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.evaluation.intervals import Draws, bootstrap
from dass.evaluation.tables import MEAN, CorrelationRow, Table, correlation_table, write_csv
from dass.files import content_id, write_text
from dass.project import Project
from dass.tasks.ranking import RankingTask, SourceTasks, source_tasks
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device

LEFT_OUT = "left-out source tasks"

Found = Mapping[str, Mapping[str, Draws]]  # SRC by method and task
Part = tuple[SourceTasks, Sequence[TargetSample]]  # what methods learn from, and whose students they then rank


@flow(name="readings")
def readings(seeds: int) -> None:
    """Rank by every method of Table 2 under the four readings, and say which gives the paper's order best.

    Args:
        seeds: of each method, from `seed` of params.yaml upwards.

    Raises:
        UsageError: no seeds, or fewer than three class groups.
    """
    if seeds < 1:
        raise UsageError(f"at least one seed is needed, found {seeds}")
    project = Project.open()
    targets = evaluated_targets(project, device())
    counts = {target.name: target.ground_truth.counts for target in targets}
    whole, parts = left_out(project)
    left = [sample.task.name for _, samples in parts for sample in samples]
    found = rank_all(project, seeds, [*parts, (whole, [target.students() for target in targets])])
    rows = {reading: rows_of(project, found[reading], left, counts) for reading in READINGS}
    write_csv(project.reports / "readings.csv", CorrelationRow, [
        CorrelationRow(**{**vars(row), "method": f"{row.method}, {reading.label}"})
        for reading in READINGS for row in rows[reading]
    ])  # fmt: skip
    page = page_of(rows, list(counts))
    write_text(project.reports / "readings.md", page)
    create_markdown_artifact(page, key="readings")
    logger().info(page.strip().splitlines()[0])


def left_out(project: Project) -> tuple[SourceTasks, list[Part]]:
    """The source tasks as the pipeline has them, and with each class group left out."""
    source, whole = project.params.source, source_tasks(project, device())
    training = [index for index in source.splits if index not in source.validation]
    groups: dict[int, list[RankingTask]] = {}
    for index, one in zip([*training, *source.validation], whole.all, strict=True):
        groups.setdefault(index // 2, []).append(one)
    parts: list[Part] = [
        (fold.sources, [TargetSample(one, _id(one), "students", one.architectures) for one in fold.left_out])
        for fold in folds(groups)
    ]
    return whole, parts


@task(cache_policy=NO_CACHE, name="rank under every reading")
def rank_all(project: Project, seeds: int, parts: Sequence[Part]) -> dict[Reading, Found]:
    """SRC of every method on every task, the mean over its seeds; a task where a seed failed is missing."""
    found: dict[Reading, dict[str, dict[str, Draws]]] = {}
    progress, total = Progress("methods", 0, len(READINGS) * len(PUBLISHED)), len(READINGS) * len(PUBLISHED)
    with gpu_slot(device()):
        for reading in READINGS:
            found[reading] = {}
            for name in PUBLISHED:
                by_task: dict[str, Draws] = {}
                for part in parts:
                    by_task |= rank_part(project, reading, name, seeds, part)
                found[reading][name] = by_task
                progress(sum(map(len, found.values())), total)
    return {reading: found[reading] for reading in READINGS}


def rank_part(project: Project, reading: Reading, name: str, seeds: int, part: Part) -> dict[str, Draws]:
    """The SRC of one method that learns from some source tasks, on each of some others."""
    params, (sources, samples) = project.params, part
    # What does not look at the noise, or takes no unit, is the same under several readings.
    if name in VARIANTS and not (VARIANTS[name].use_student or VARIANTS[name].use_teacher):
        reading = replace(reading, statistics="running")
    folder = project.root / ".state" / "readings" / (reading.name if name in VARIANTS else "any")
    scoring = Scoring(
        ScoreDatabase(folder / "scores"),
        Settings(reading.of(params.predictor), params.distillation, params.seed, str(device())),
        lambda: sources,
        content_id([[_id(one) for one in tasks] for tasks in (sources.training, sources.validation)]),
        folder / "learned",
    )
    draws: dict[str, list[Draws]] = {sample.task.name: [] for sample in samples}
    accuracies = {sample.task.name: (sample.architectures, sample.task.accuracies) for sample in samples}
    for seed in range(params.seed, params.seed + seeds):
        for scores in scoring.score(name, seed, samples):
            if scores.failure:
                logger().warning("%s has no scores of %s: %s", name, scores.target, scores.failure)
                continue
            architectures, known = accuracies[scores.target]
            draws[scores.target].append(
                bootstrap(
                    spearman, scores.of(architectures), known, resamples=params.evaluation.bootstrap, seed=params.seed
                )
            )
    return {name: Draws.mean(of_task) for name, of_task in draws.items() if len(of_task) == seeds}


def rows_of(project: Project, found: Found, left: Sequence[str], counts: Mapping[str, bool]) -> list[CorrelationRow]:
    """A row for each target, for the mean over those that count, and for the mean over the left-out source tasks."""
    confidence, rows = project.params.evaluation.confidence, []
    for name, by_task in found.items():
        rows += [
            CorrelationRow.of(name, target, "src", by_task[target].estimate(confidence), counts=counts[target])
            for target in counts
            if target in by_task
        ]
        for heading, names in ((MEAN, [one for one in counts if counts[one]]), (LEFT_OUT, left)):
            if names and all(one in by_task for one in names):
                mean = Draws.mean([by_task[one] for one in names])
                rows.append(CorrelationRow.of(name, heading, "src", mean.estimate(confidence)))
    return rows


def page_of(rows: Mapping[Reading, Sequence[CorrelationRow]], targets: Sequence[str]) -> str:
    """Which reading to take; how near each comes to the paper's order; Table 2 under each of the four."""
    parts = []
    for heading in (LEFT_OUT, MEAN):
        means = {
            reading: {row.method: row.value for row in of_reading if row.target == heading}
            for reading, of_reading in rows.items()
        }
        if not all(means.values()):
            continue
        if heading == LEFT_OUT:
            best = best_reading(means)
            near, high = agreement(means[best]), means[best]["dass"]
            parts.append(
                f"By left-out source tasks: predictor.statistics: {best.statistics}, predictor.unit: {best.unit:g} "
                f"(agreement with the paper's order {near:.2f}, SRC of DaSS {high:.2f}).\n"
            )
        what = heading if heading == LEFT_OUT else "targets that count"
        title = f"Mean SRC over {what}, and its agreement with the paper's order of methods"
        body = [
            (
                reading.label,
                *(f"{means[reading].get(name, np.nan):.2f}" for name in PUBLISHED),
                f"{agreement(means[reading]):.2f}",
            )
            for reading in rows
        ]
        published = ("the paper, on its targets", *(f"{value:.2f}" for value in PUBLISHED.values()), "")
        parts.append(Table(title, ("reading", *PUBLISHED, "agreement"), (*body, published)).markdown())
    for reading, of_reading in rows.items():
        shown = [row for row in of_reading if row.target in (*targets, MEAN)]
        parts.append(correlation_table(shown, "src", f"Table 2, {reading.label}", methods=list(PUBLISHED)).markdown())
    return "\n".join(parts)


def _id(task: RankingTask) -> str:
    return task.tensors().content()


if __name__ == "__main__":
    run_stage(readings, *sys.argv[1:])
