"""Stage `teacher`: the teacher of one target, trained here or the user's own."""

import sys
from functools import partial
from pathlib import Path

import torch
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.config import Target
from dass.datasets.target_data import target_data
from dass.families.normalization import parse_normalization
from dass.networks.checkpoint import card_path, load_card, load_teacher, save_teacher
from dass.project import Project
from dass.search.target_task import TargetTask
from dass.space.search_space import SearchSpace
from dass.tracking.store import open_store
from dass.training.recipes import train_and_save_teacher
from dass.training.user_teacher import TeacherFile, bring_in_teacher
from flows.runtime import Progress, device, logger, one_thread
from flows.slots import gpu_slot
from flows.stage import run_stage
from flows.teachers import is_current, record_teacher, remove_strangers


@flow(name="teacher", flow_run_name="teacher-{target}")
def teacher(target: str) -> None:
    """Train a target's teacher, or check and file the user's own."""
    project = Project.open()
    block = project.target(target)
    path = project.target_teacher_file(target)
    remove_strangers(path.parent, {target})
    if block.teacher is None:
        train(project, target, path)
    else:
        bring_in(project, target, block, path)
    card = load_card(path)
    logger().info("teacher of %s: %.2f%% of the test images", target, card.accuracy)
    record_teacher(open_store(project.root), project, path, [project.target_packed(target)])


@task(cache_policy=NO_CACHE, name="train the teacher")
def train(project: Project, target: str, path: Path) -> None:
    """Train the teacher unless the one that training would give is there."""
    data = target_data(project, target)
    recipe = project.params.teacher.for_images(len(data.train_labels))
    largest, seed = SearchSpace.from_config(project.params.space).largest, project.params.seed
    if is_current(path, data, largest, recipe, seed, device()):
        return
    progress = Progress(f"steps of teacher {target}", 0, 100)
    load = partial(target_data, project, target)
    with gpu_slot(device()), one_thread():
        train_and_save_teacher(
            load, largest, recipe, path, seed=seed, device=str(device()),
            progress=lambda done, total: progress(100 * done // total, 100),
        )  # fmt: skip


@task(cache_policy=NO_CACHE, name="bring in a teacher")
def bring_in(project: Project, target: str, block: Target, path: Path) -> None:
    """Check the user's checkpoint against space and data, measure it, and file it as the target's teacher."""
    data = target_data(project, target)
    largest = SearchSpace.from_config(project.params.space).largest
    given = TeacherFile(
        project.checkpoints / (block.teacher or ""),
        parse_normalization(block.normalization) if block.normalization else None,
        block.classes,
        block.expect_accuracy,
    )
    network, card = bring_in_teacher(given, data, torch.device("cpu"), largest=largest)
    save_teacher(path, network, card)
    for other in path.parent.iterdir():  # curve and unfinished training of one that was trained here before
        if other not in (path, card_path(path)):
            other.unlink()


def target_task(project: Project, target: str) -> TargetTask:
    """A target's images and its teacher, on the CPU."""
    return TargetTask(target_data(project, target), *load_teacher(project.target_teacher_file(target)))


if __name__ == "__main__":
    run_stage(teacher, *sys.argv[1:])
