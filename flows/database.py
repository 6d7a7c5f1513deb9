"""Filling the student-accuracy database: the same for source tasks and targets."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from prefect.artifacts import create_table_artifact

from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.project import Project
from dass.students.build import build_students, task_key
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.record import StudentRecord
from dass.training.workers import Pool, Workers
from flows.cluster import Cluster
from flows.runtime import Progress, device, workers
from flows.slots import gpu_slot


def student_workers() -> Cluster | Workers:
    """The cluster that `DASS_DASK` names, else worker processes here."""
    return Cluster.from_environment() or workers(device())


def fill_database(
    project: Project,
    database: StudentDatabase,
    jobs: Sequence[StudentJob],
    load: Callable[[], TaskData],
    teacher: ElasticResNet,
    pool: Pool,
) -> list[StudentRecord]:
    """Distils the jobs that have no record yet; each record is on disk as soon as it is known.

    Args:
        project: gives the recipe.
        database: where records go; this call is the one writer of the task's file meanwhile.
        jobs: the students wanted.
        load: gives the task's data, here and in the workers.
        teacher: the task's.
        pool: where students are trained.

    Returns:
        The records of these jobs, failed students included.
    """
    place, data = device(), load()
    recipe = project.params.distillation.for_images(len(data.train_labels))
    key = task_key(data, teacher, recipe, place)
    with database.writer(data.name) as writer:
        missing = database.missing(key, jobs)
        progress = Progress(f"students of {data.name}", len(jobs) - len(missing), len(jobs))
        if missing:
            group = project.params.students.group
            with gpu_slot(place):
                for records in build_students(
                    teacher, load, missing, recipe, workers=pool, device=place, group=group, progress=progress
                ):
                    writer.append(records)
    return database.read_measured(key, jobs)


def show_records(name: str, records: Mapping[str, Sequence[StudentRecord]], note: str) -> None:
    """Put what the database holds on the run's page, a row for each task.

    Args:
        name: of the table: `source` or a target.
        records: of each task.
        note: Markdown under the table's title.
    """
    create_table_artifact(
        [_row(task, of_task) for task, of_task in records.items()],
        key=f"students-{name.replace('_', '-')}",
        description=f"Distilled students and their test accuracy in percent. {note}",
    )


def _row(task: str, records: Sequence[StudentRecord]) -> dict[str, str | int | float]:
    accuracies = [record.final_accuracy for record in records if not record.failure] or [0.0]
    return {
        "task": task,
        "students": len(records),
        "failed": sum(bool(record.failure) for record in records),
        "mean": round(fmean(accuracies), 2),
        "best": round(max(accuracies), 2),
        "worst": round(min(accuracies), 2),
        "training minutes": round(sum(record.seconds for record in records) / 60, 1),
    }
