"""Stage `distil`: the picked student, distilled from its remapped start."""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.project import Project
from dass.search.result import load_search
from dass.space.architecture import Architecture
from dass.students.distil import distil_student
from dass.students.record import StudentRecord
from dass.tasks.stored import stored_target
from dass.tasks.task import Task
from dass.training.teacher_doubt import outdone
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, one_thread


@flow(name="distil", flow_run_name="distil-{target}")
def distil(target: str) -> None:
    """Distil the student that the search picked."""
    project = Project.open()
    chosen = load_search(project.search_file(target)).pick
    path = project.student_file(target)
    opened = stored_target(project, target).open()
    record = distil_one(project, opened, chosen.architecture, project.params.seed, path)
    logger().info("%s: %.2f%% predicted, %.2f%% reached", target, chosen.predicted, record.final_accuracy)


@task(cache_policy=NO_CACHE, name="distil a student")
def distil_one(project: Project, target: Task, architecture: Architecture, seed: int, path: Path) -> StudentRecord:
    """Distil one architecture by the project's recipe and file weights and record at `path`."""
    recipe = project.params.distillation.for_images(len(target.data.train_labels))
    progress = Progress(f"steps of student {target.name}", 0, 100)
    with gpu_slot(device()), one_thread():
        record = distil_student(
            target.teacher, architecture, target.data, recipe, path, seed=seed, device=device(),
            progress=lambda done, total: progress(100 * done // total, 100),
        )  # fmt: skip
    if doubt := outdone(target.card, record.final_accuracy, len(target.data.test_labels)):
        logger().warning(doubt)
    return record


if __name__ == "__main__":
    run_stage(distil, *sys.argv[1:])
