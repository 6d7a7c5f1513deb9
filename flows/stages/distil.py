"""Stage `distil`: the picked student, distilled from its remapped start."""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.project import Project
from dass.search.result import load_search
from dass.space.architecture import Architecture
from dass.students.build import student_record
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.students.trained import TrainedStudent, save_student
from dass.tasks.stored import stored_target
from dass.tasks.task import Task
from dass.training.recipes import distill
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
    record = distil_student(
        project, stored_target(project, target).open(), chosen.architecture, project.params.seed, path
    )
    logger().info("%s: %.2f%% predicted, %.2f%% reached", target, chosen.predicted, record.final_accuracy)


@task(cache_policy=NO_CACHE, name="distil a student")
def distil_student(
    project: Project, target_task: Task, architecture: Architecture, seed: int, path: Path
) -> StudentRecord:
    """Distil one architecture by the project's recipe and file weights and record at `path`."""
    data, torch_device = target_task.data, device()
    recipe = project.params.distillation.for_images(len(data.train_labels))
    progress = Progress(f"steps of student {data.name}", 0, 100)
    with gpu_slot(torch_device), one_thread():
        [result] = distill(
            target_task.teacher, [architecture], data, recipe, seed=seed, device=torch_device,
            progress=lambda done, total: progress(100 * done // total, 100),
        )  # fmt: skip
    record = student_record(result, task_key(data, target_task.teacher.cpu(), recipe, torch_device), data, torch_device)
    save_student(path, result.network, TrainedStudent.of(record, len(data.classes)))
    if doubt := outdone(target_task.card, record.final_accuracy, len(data.test_labels)):
        logger().warning(doubt)
    return record


if __name__ == "__main__":
    run_stage(distil, *sys.argv[1:])
