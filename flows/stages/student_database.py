"""Filling the student-accuracy database: the same for source tasks and targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from prefect.artifacts import create_table_artifact

from dass.students.build import build_students
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.record import StudentRecord
from dass.tasks.stored import StoredTask
from dass.tasks.students import student_key
from dass.training.workers import Pool, Workers
from flows.infrastructure.cluster import Cluster
from flows.infrastructure.runtime import Progress
from flows.infrastructure.slots import gpu_slot
from flows.stages.compute import device, workers


def student_workers() -> Cluster | Workers:
    """The cluster that `DASS_DASK` names, else worker processes here."""
    return Cluster.from_environment() or workers(device())


def fill_database(
    stored: StoredTask, jobs: Sequence[StudentJob], pool: Pool, folder: Path | None = None
) -> list[StudentRecord]:
    """Distils the jobs that have no record yet; each record is on disk as soon as it is known.

    Args:
        stored: source task or target of params.yaml.
        jobs: students that the database is to hold.
        pool: worker processes or cluster where students are trained.
        folder: folder of the database; None for the task's own. This call is the one writer of the task's file
            meanwhile.

    Returns:
        The records of these jobs, failed students included.
    """
    database, task = StudentDatabase(folder or stored.students), stored.open()
    key, recipe = student_key(stored, task, device()), stored.recipe(task.data)
    with database.writer(task.name) as writer:
        missing = database.missing(key, jobs)
        progress = Progress(f"students of {task.name}", len(jobs) - len(missing), len(jobs))
        if missing:
            with gpu_slot(device()):
                for records in build_students(
                    task.teacher, stored.load, missing, recipe, workers=pool, device=device(),
                    group=stored.project.params.students.group, progress=progress,
                ):  # fmt: skip
                    writer.append(records)
    return database.read_measured(key, jobs)


def show_records(name: str, records: Mapping[str, Sequence[StudentRecord]], note: str) -> None:
    """Put what the database holds on the run's page, a row for each task.

    Args:
        name: name of the table: `source`, or a target of params.yaml.
        records: records of each task, by the task's name.
        note: Markdown that is shown under the table's title.
    """
    create_table_artifact(
        [_row(task, of_task) for task, of_task in records.items()],
        key=f"students-{name.replace('_', '-')}",
        description=f"Distilled students and their test accuracy in percent. {note}",
    )


def _row(task: str, records: Sequence[StudentRecord]) -> dict[str, str | int | float]:
    accuracies = [record.final_accuracy for record in records if not record.failure]
    return {
        "task": task,
        "students": len(records),
        "failed": sum(bool(record.failure) for record in records),
        "mean": round(fmean(accuracies), 2) if accuracies else "-",
        "best": round(max(accuracies), 2) if accuracies else "-",
        "worst": round(min(accuracies), 2) if accuracies else "-",
        "training minutes": round(sum(record.seconds for record in records) / 60, 1),
    }
