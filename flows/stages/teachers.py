"""Stage `teachers`: one teacher per source task."""

from functools import partial
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.cards import card_path
from dass.errors import DassError
from dass.networks.checkpoint import load_card
from dass.project import Project
from dass.tasks.stored import StoredTask, stored_sources
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_teacher
from dass.tracking.store import Store, open_store
from dass.training.current_teacher import is_current
from dass.training.curve import load_curve
from dass.training.recipes import train_and_save_teacher
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, workers


@flow(name="teachers")
def teachers() -> None:
    """Train the teacher of every source task that has none yet."""
    project = Project.open()
    sources = stored_sources(project)
    remove_strangers(project.source_teachers, {stored.name for stored in sources})
    train_missing(project, sources)
    store = open_store(project.root)
    for stored in sources:
        record_teacher(store, project, stored.teacher_file, [project.splits])


@task(cache_policy=NO_CACHE, name="train teachers")
def train_missing(project: Project, sources: list[StoredTask]) -> None:
    """Train in worker processes the teachers that are missing, stale or damaged."""
    seed, jobs = project.params.seed, []
    for stored in sources:
        data, largest, path = stored.load(), stored.space.largest, stored.teacher_file
        recipe = stored.teacher_recipe(data)
        if not is_current(path, data, largest, recipe, seed=seed, device=device(), tell=logger().warning):
            jobs.append((stored.load, largest, recipe, path))
    progress = Progress("source teachers", len(sources) - len(jobs), len(sources))
    with gpu_slot(device()), workers(device()) as pool:
        work = partial(train_and_save_teacher, seed=seed, device=str(device()))
        for done, outcome in enumerate(pool.run(work, jobs), start=1):
            if outcome.died:
                raise DassError(f"the worker training {jobs[outcome.index][3].stem} {outcome.died}: run it again")
            progress(done, len(jobs))


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
