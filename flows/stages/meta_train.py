"""Stage `meta_train`: the predictor, meta-learned over the source tasks' records."""

import time
from pathlib import Path

import torch
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.device import device_name, resolve_precision
from dass.networks.checkpoint import load_card
from dass.predictor.checkpoint import PredictorCard, save_predictor
from dass.predictor.meta import MetaLearner
from dass.predictor.tasks import TaskTensors
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.tasks.ranking import source_task
from dass.tasks.stored import StoredTask, stored_sources
from dass.tracking.lineage import lineage
from dass.tracking.predictor_registration import register_predictor
from dass.tracking.promotion import make_champion
from dass.tracking.registry import RegisteredVersion
from dass.tracking.stage_runs import log_predictor
from dass.tracking.store import Store, open_store
from flows.infrastructure.runtime import RECORDING, Progress, logger, run_link
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device


@flow(name="meta-train")
def meta_train() -> None:
    """Embed every recorded student and teacher once, then meta-learn the predictor."""
    project = Project.open()
    store, version = learn(project, project.predictor)
    make_champion(store, version, "the predictor of the present params.yaml")


def learn(project: Project, folder: Path) -> tuple[Store, RegisteredVersion]:
    """Meta-learn a predictor into `folder`, record the run and file the predictor, without an alias."""
    started = time.perf_counter()
    open_store(project.root)  # what cannot be recorded is told before it is worked out
    tasks = {stored.split.index: embed_task(stored) for stored in stored_sources(project) if stored.split}
    source = project.params.source
    training = [tasks[index] for index in source.splits if index not in source.validation]
    validation = [tasks[index] for index in source.validation]
    learner = fit(project, training, validation, folder / PARTIAL)
    card = PredictorCard(
        space=SearchSpace.from_config(project.params.space),
        resolution=project.params.data.resolution,
        noise_seed=project.params.seed,
        training=tuple(task.name for task in training),
        validation=tuple(task.name for task in validation),
        students=sum(len(task.accuracies) for task in training) / len(training),
        teacher_ids=tuple(
            load_card(project.source_teacher_file(task.name)).teacher_id for task in training + validation
        ),
        episodes=project.params.predictor.episodes,
        best_episode=learner.best_.episode,
        validation_src=learner.best_.src,
        seed=project.params.seed,
        precision=resolve_precision("auto", device()),
        device=device_name(device()),
        torch_version=str(torch.__version__),
        seconds=time.perf_counter() - started,
    )
    checkpoint = folder / project.predictor_file.name
    save_predictor(checkpoint, learner.result_, card)
    logger().info("validation SRC %.3f at episode %d", card.validation_src, card.best_episode)
    store, run_id, version = record(project, card, learner, checkpoint)
    (folder / PARTIAL).unlink(missing_ok=True)
    create_table_artifact(
        [{"episode": look.episode, "mean SRC": round(look.src, 4)} for look in learner.history_[-200:]],
        key="meta-learning",
        description=f"Looks at the validation tasks; {version.name} {version.version}. {run_link(store, run_id)}",
    )
    return store, version


PARTIAL = "training.partial"


@task(name="record the predictor", **RECORDING)
def record(
    project: Project, card: PredictorCard, learner: MetaLearner, checkpoint: Path
) -> tuple[Store, str, RegisteredVersion]:
    """Record the meta-training as a run and file the predictor."""
    store = open_store(project.root)
    came_from = lineage(project.root, [project.source_teachers, project.source_students])
    run_id = log_predictor(
        store, came_from, card=card, settings=project.params.predictor, history=learner.history_, checkpoint=checkpoint
    )
    return store, run_id, register_predictor(store, run_id, checkpoint=checkpoint, lineage=came_from)


@task(cache_policy=NO_CACHE, name="embed a source task")
def embed_task(stored: StoredTask) -> TaskTensors:
    """Read a source task's records and embed its teacher and students."""
    with gpu_slot(device()):
        return source_task(stored, device()).tensors(stored.project.params.predictor.statistics)


@task(cache_policy=NO_CACHE, name="meta-learn")
def fit(project: Project, training: list[TaskTensors], validation: list[TaskTensors], checkpoint: Path) -> MetaLearner:
    """Run the episodes; a killed run goes on from its last look at the validation tasks."""
    settings = project.params.predictor
    learner = MetaLearner(settings, seed=project.params.seed, device=str(device()))
    progress = Progress("episodes", 0, settings.episodes)
    with gpu_slot(device()):
        return learner.fit(training, validation, checkpoint=checkpoint, progress=progress)


if __name__ == "__main__":
    run_stage(meta_train)
