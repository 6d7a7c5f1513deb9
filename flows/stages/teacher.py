"""Stage `teacher`: the teacher of one target, trained here or the user's own."""

import sys

import torch
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.cards import card_path
from dass.families.normalization import parse_normalization
from dass.networks.checkpoint import load_card, save_teacher
from dass.project import Project
from dass.tasks.stored import StoredTask, stored_target
from dass.tracking.store import open_store
from dass.training.current_teacher import is_current
from dass.training.recipes import train_and_save_teacher
from dass.training.user_teacher import TeacherFile, bring_in_teacher
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, one_thread
from flows.stages.teachers import record_teacher, remove_strangers


@flow(name="teacher", flow_run_name="teacher-{target}")
def teacher(target: str) -> None:
    """Train a target's teacher, or check and file the user's own."""
    project = Project.open()
    stored = stored_target(project, target)
    remove_strangers(stored.teacher_file.parent, {target})
    if project.target(target).teacher is None:
        train(stored)
    else:
        bring_in(stored)
    card = load_card(stored.teacher_file)
    logger().info("teacher of %s: %.2f%% of the test images", target, card.accuracy)
    record_teacher(open_store(project.root), project, stored.teacher_file, [stored.packed])


@task(cache_policy=NO_CACHE, name="train the teacher")
def train(stored: StoredTask) -> None:
    """Train the teacher unless the one that training would give is there."""
    data, largest, path = stored.load(), stored.space.largest, stored.teacher_file
    recipe, seed = stored.teacher_recipe(data), stored.project.params.seed
    if is_current(path, data, largest, recipe, seed=seed, device=device(), tell=logger().warning):
        return
    progress = Progress(f"steps of teacher {stored.name}", 0, 100)
    with gpu_slot(device()), one_thread():
        train_and_save_teacher(
            stored.load, largest, recipe, path, seed=seed, device=str(device()),
            progress=lambda done, total: progress(100 * done // total, 100),
        )  # fmt: skip


@task(cache_policy=NO_CACHE, name="bring in a teacher")
def bring_in(stored: StoredTask) -> None:
    """Check the user's checkpoint against space and data, measure it, and file it as the target's teacher."""
    block, path = stored.project.target(stored.name), stored.teacher_file
    file = TeacherFile(
        stored.project.checkpoints / (block.teacher or ""),
        parse_normalization(block.normalization) if block.normalization else None,
        block.classes,
        block.expect_accuracy,
    )
    network, card = bring_in_teacher(file, stored.load(), torch.device("cpu"), largest=stored.space.largest)
    save_teacher(path, network, card)
    for other in path.parent.iterdir():  # curve and unfinished training of one that was trained here before
        if other not in (path, card_path(path)):
            other.unlink()


if __name__ == "__main__":
    run_stage(teacher, *sys.argv[1:])
