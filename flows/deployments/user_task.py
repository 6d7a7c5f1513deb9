"""A user's own dataset and teacher in a deployment: opened, and what came of them recorded."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect import task

from dass.errors import UsageError
from dass.networks.importing import import_network
from dass.project import Project
from dass.search.result import SearchResult
from dass.space.search_space import SearchSpace
from dass.students.record import StudentRecord
from dass.tasks.task import Task
from dass.tasks.user import open_task, packed_side
from dass.tracking.lineage import lineage
from dass.tracking.runs import RecordedRun
from dass.tracking.stage_runs import log_students
from dass.tracking.store import open_store
from dass.tracking.target_runs import add_student, log_target
from dass.training.user_teacher import TeacherFile
from flows.infrastructure.runtime import RECORDING, logger
from flows.stages.compute import device


@contextmanager
def open_user_task(project: Project, dataset: str, teacher: TeacherFile, *, any_family: bool = False) -> Iterator[Task]:
    """Open the dataset and the teacher that a run was given, at the project's resolution.

    Args:
        project: project, whose resolution and search space teacher and images must have.
        dataset: name of a packed dataset; or path of a folder, zip or tar of images, relative to the project.
        teacher: its weights, and what they cannot tell.
        any_family: take a teacher of any family, at its family's resolution; else it must be of the search space.

    Raises:
        UsageError: one of them is not there or is packed at another resolution.
        DassError: one of them is damaged, or they do not belong together.
    """
    for path in (project.root / dataset, teacher.path):
        _can_exist(path)
    resolution = project.params.data.resolution
    largest = None if any_family else SearchSpace.from_config(project.params.space).largest
    if any_family:
        family = import_network(teacher.path, layout=teacher.layout).network.architecture.family
        resolution = packed_side(dataset, project.raw, family.usual_resolution or resolution)
    with open_task(
        dataset, teacher, raw=project.raw, largest=largest, device=device(), resolution=resolution,
        tell=logger().info,
    ) as target:  # fmt: skip
        yield target


def user_files(project: Project, target: Task, teacher: str) -> list[Path]:
    """What a run was given and DVC may know: the teacher's file, and the packed images where it read such."""
    return [project.root / teacher, *([target.packed] if target.packed else [])]


@task(name="record the search", **RECORDING)
def record_search(
    project: Project, target: Task, found: SearchResult, *, top: int, folder: Path, inputs: Sequence[Path]
) -> RecordedRun:
    """Record a search as a run, with the files that lie in `folder`.

    Args:
        project: the project, whose store is written to.
        target: task that was opened for the run.
        found: result of the search.
        top: number of candidates of the ranking that the run's table keeps, at least 1.
        folder: folder of search.json and pareto.png.
        inputs: files and folders that the search came from.
    """
    store, came_from = open_store(project.root), lineage(project.root, inputs)
    files = [folder / "pareto.png", folder / "search.json"]
    return RecordedRun(
        store, log_target(store, came_from, teacher=target.card, found=found, top=top, files=files), came_from
    )


@task(name="record the student", **RECORDING)
def record_student(run: RecordedRun, record: StudentRecord, path: Path) -> None:
    """Add the student at `path` to the run that picked it."""
    add_student(run.store, run.run_id, accuracy=record.final_accuracy, files=[path, path.with_suffix(".json")])


@task(name="record the student", **RECORDING)
def record_distilled(project: Project, record: StudentRecord, path: Path, inputs: Sequence[Path]) -> RecordedRun:
    """Record a student that a person chose as a run of its own, with its weights.

    Args:
        project: the project, whose store is written to.
        record: accuracies of the student.
        path: path of its weights.
        inputs: files and folders that the student came from.
    """
    store, came_from = open_store(project.root), lineage(project.root, inputs)
    run = RecordedRun(store, log_students(store, came_from, task=record.task, records=[record]), came_from)
    add_student(store, run.run_id, accuracy=record.final_accuracy, files=[path, path.with_suffix(".json")])
    return run


def _can_exist(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):  # the name of a packed dataset; else it is told of later
        try:
            path.stat()
        except ValueError as error:
            raise UsageError(f"{str(path)!r:.100} cannot be a path: {error}") from error
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                raise UsageError(f"{str(path)!r:.100} cannot be a path: {error.strerror}") from error
            raise
