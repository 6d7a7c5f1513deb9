"""What the deployments that bring their own dataset and teacher share: opening them, and recording what came out."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
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
from dass.tracking.lineage import Lineage, lineage
from dass.tracking.stage_runs import log_students
from dass.tracking.store import Store, open_store
from dass.tracking.target_runs import add_student, log_target
from dass.training.user_teacher import TeacherFile
from flows.infrastructure.runtime import RECORDING, logger
from flows.stages.compute import device


@contextmanager
def open_user_task(project: Project, dataset: str, teacher: TeacherFile, *, any_family: bool = False) -> Iterator[Task]:
    """Open the dataset and the teacher that a run was given, at the project's resolution.

    Args:
        project: gives resolution and search space.
        dataset: name or path.
        teacher: its weights, the path as seen from the project, and what they cannot tell.
        any_family: take a teacher of any family, at its family's resolution; else it must be of the search space.

    Raises:
        UsageError: one of them is not there or is packed at another resolution.
        DassError: one of them is damaged, or they do not belong together.
    """
    for path in (dataset, teacher.path):
        _can_exist(project.root / path)
    resolution = project.params.data.resolution
    teacher = replace(teacher, path=project.root / teacher.path)
    largest = None if any_family else SearchSpace.from_config(project.params.space).largest
    if any_family:
        family = import_network(teacher.path, layout=teacher.layout).network.architecture.family
        resolution = packed_side(dataset, project.raw, family.usual_resolution or resolution)
    with open_task(
        dataset, teacher, raw=project.raw, largest=largest, device=device(), resolution=resolution,
        tell=logger().info,
    ) as opened:  # fmt: skip
        yield opened


def user_files(project: Project, user_task: Task, teacher: str) -> list[Path]:
    """What a run was given and DVC may know: the teacher's file, and the packed images where it read such."""
    return [project.root / teacher, *([user_task.packed] if user_task.packed else [])]


@task(name="record the search", **RECORDING)
def record_search(
    project: Project, user_task: Task, result: SearchResult, *, top: int, folder: Path, inputs: Sequence[Path]
) -> tuple[Store, str, Lineage]:
    """Record a search as a run, with the files that lie in `folder`.

    Args:
        project: gives the store.
        user_task: the task.
        result: the search.
        top: how many of the ranking to keep.
        folder: of search.json and pareto.png.
        inputs: what it came from.

    Returns:
        The store, the run's id, and where all came from.
    """
    store, came_from = open_store(project.root), lineage(project.root, inputs)
    run_id = log_target(
        store, came_from, teacher=user_task.card, predictor_id=result.predictor_id, candidates=len(result.ranking),
        budget=result.budget, ranking=result.ranking[:top], pick=result.pick, seconds=result.seconds,
        latency=result.latency,
        files=[folder / "pareto.png", folder / "search.json"],
    )  # fmt: skip
    return store, run_id, came_from


@task(name="record the student", **RECORDING)
def record_student(store: Store, run_id: str, record: StudentRecord, path: Path) -> None:
    """Add the student at `path` to the run that picked it."""
    add_student(store, run_id, accuracy=record.final_accuracy, files=[path, path.with_suffix(".json")])


@task(name="record the student", **RECORDING)
def record_distilled(
    project: Project, record: StudentRecord, path: Path, inputs: Sequence[Path]
) -> tuple[Store, str, Lineage]:
    """Record a student that a person chose as a run of its own, with its weights.

    Args:
        project: gives the store.
        record: what it reached.
        path: its weights.
        inputs: what it came from.

    Returns:
        The store, the run's id, and where all came from.
    """
    store, came_from = open_store(project.root), lineage(project.root, inputs)
    run_id = log_students(store, came_from, task=record.task, records=[record])
    add_student(store, run_id, accuracy=record.final_accuracy, files=[path, path.with_suffix(".json")])
    return store, run_id, came_from


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
