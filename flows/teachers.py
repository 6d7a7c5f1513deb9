"""Stage `teachers`: one teacher per source task."""

from functools import partial
from pathlib import Path

import torch
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.config import TeacherRecipe, recipe_ids
from dass.datasets.splits import Split, load_split
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.errors import DassError
from dass.networks.checkpoint import card_path, load_card, load_teacher
from dass.project import Project
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_teacher
from dass.tracking.store import Store, open_store
from dass.training.curve import load_curve
from dass.training.recipes import train_and_save_teacher
from flows.runtime import Progress, device, logger, workers
from flows.slots import gpu_slot
from flows.splits import source_splits
from flows.stage import run_stage


@flow(name="teachers")
def teachers() -> None:
    """Train the teacher of every source task that has none yet."""
    project = Project.open()
    splits = source_splits(project)
    remove_strangers(project.source_teachers, {split.name for split in splits})
    train_missing(project, splits)
    store = open_store(project.root)
    for split in splits:
        record_teacher(store, project, project.source_teacher_file(split.name), [project.splits])


@task(cache_policy=NO_CACHE, name="train teachers")
def train_missing(project: Project, splits: list[Split]) -> None:
    """Train in worker processes the teachers that are missing, stale or damaged."""
    place, space = device(), SearchSpace.from_config(project.params.space)
    jobs = []
    for split in splits:
        load = partial(load_split, project.packed(split.dataset), split)
        path = project.source_teacher_file(split.name)
        recipe = project.params.teacher.for_images(len(split.train))
        if not is_current(path, load(), space.largest, recipe, project.params.seed, place):
            jobs.append((load, space.largest, recipe, path))
    progress = Progress("source teachers", len(splits) - len(jobs), len(splits))
    with gpu_slot(place), workers(place) as pool:
        work = partial(train_and_save_teacher, seed=project.params.seed, device=str(place))
        for done, outcome in enumerate(pool.run(work, jobs), start=1):
            if outcome.died:
                raise DassError(f"the worker training {jobs[outcome.index][3].stem} {outcome.died}: run it again")
            progress(done, len(jobs))


def is_current(
    path: Path, data: TaskData, architecture: Architecture, recipe: TeacherRecipe, seed: int, place: torch.device
) -> bool:
    """Whether the teacher at `path` is whole and is the one that training now would give."""
    if not card_path(path).exists():
        return False
    try:
        _, card = load_teacher(path)
    except DassError as error:
        logger().warning("%s; it is trained again", error)
        return False
    found = (card.task, card.data_id, card.architecture, card.seed)
    return found == (data.name, data.data_id, architecture, seed) and card.recipe_id in recipe_ids(
        recipe, resolve_precision(recipe.precision, place)
    )


def record_teacher(store: Store, project: Project, path: Path, inputs: list[Path]) -> None:
    """Record a teacher as a run, with its learning curve where it was trained here."""
    card, curve = load_card(path), load_curve(path)
    recipe = project.params.teacher.for_images(card.train_images) if card.recipe_id else None
    log_teacher(
        store,
        lineage(project.root, inputs),
        card=card,
        recipe=recipe,
        evaluations=curve.evaluations,
        losses=curve.losses,
        files=[card_path(path)],
    )


def remove_strangers(folder: Path, tasks: set[str]) -> None:
    """Removes from a persistent folder what belongs to no present task, so that its hash names its content."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.name.split(".")[0] not in tasks:
            path.unlink()


if __name__ == "__main__":
    run_stage(teachers)
