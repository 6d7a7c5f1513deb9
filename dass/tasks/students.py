"""Students of a task of params.yaml: which it is to have, and which were distilled."""

import torch

from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob, source_jobs, target_jobs
from dass.students.record import StudentRecord, TaskKey
from dass.students.task_key import task_key
from dass.tasks.stored import StoredTask
from dass.tasks.task import Task


def student_jobs(stored: StoredTask, count: int | None = None) -> list[StudentJob]:
    """The students that a task is to have.

    Args:
        stored: source task or target of params.yaml.
        count: number of architectures, at least 1; None for the number in params.yaml.

    Raises:
        UsageError: the search space holds fewer.
    """
    params = stored.project.params
    if stored.split:
        return source_jobs(stored.space, count or params.students.per_source, params.seed, stored.name)
    count = count or params.students.per_target
    repeated = min(count, params.students.repeated) if stored.project.target(stored.name).repeat else 0
    return target_jobs(stored.space, count, params.seed, repeated)


def student_key(stored: StoredTask, task: Task, device: torch.device) -> TaskKey:
    """What records of the students are filed under, for the task's present images, teacher and recipe."""
    return task_key(task.data, task.teacher, stored.recipe(task.data), device)


def distilled_students(stored: StoredTask, key: TaskKey) -> list[StudentRecord]:
    """Records of the students that the task is to have, those that failed left out.

    Raises:
        DassError: the database is damaged.
    """
    return StudentDatabase(stored.students).read(key, student_jobs(stored))
