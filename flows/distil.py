"""Stage `distil`: the picked student, distilled from its remapped start."""

import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import load_teacher
from dass.project import Project
from dass.search.run import load_search
from dass.space.architecture import Architecture
from dass.students.build import student_record, task_key
from dass.students.record import StudentRecord
from dass.students.trained import TrainedStudent, save_student
from dass.training.recipes import distill
from flows.runtime import Progress, device, logger, one_thread
from flows.stage import run_stage
from flows.teacher import target_data


@flow(name="distil", flow_run_name="distil-{target}")
def distil(target: str) -> None:
    """Distil the student that the search picked."""
    project = Project.open()
    chosen = load_search(project.search(target) / "search.json").pick
    record = distil_student(project, target, chosen.architecture, target_data(project, target))
    logger().info("%s: %.2f%% predicted, %.2f%% reached", target, chosen.predicted, record.final_accuracy)


@task(cache_policy=NO_CACHE, name="distil the pick")
def distil_student(project: Project, target: str, architecture: Architecture, data: TaskData) -> StudentRecord:
    """Distil one architecture and file weights and record in the target's folder."""
    teacher, _ = load_teacher(project.target_teacher(target) / f"{target}.safetensors")
    recipe = project.params.distillation.for_images(len(data.train_labels))
    progress = Progress(f"steps of student {target}", 0, 100)
    with one_thread():
        [result] = distill(
            teacher, [architecture], data, recipe, seed=project.params.seed, device=device(),
            progress=lambda done, total: progress(100 * done // total, 100),
        )  # fmt: skip
    record = student_record(result, task_key(data, teacher.cpu(), recipe, device()), data, device())
    student = TrainedStudent.of(record, len(data.classes))
    save_student(project.distilled(target) / f"{target}.safetensors", result.network, student)
    return record


if __name__ == "__main__":
    run_stage(distil, *sys.argv[1:])
