"""Stage `multi_fidelity`: what proxies of a student are worth, learned from the source tasks' records."""

import time
from collections.abc import Sequence

import torch
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.config import DistillationRecipe
from dass.device import device_name
from dass.fidelity import FIDELITIES, Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask, gather
from dass.multi_fidelity.validation import class_groups, validate
from dass.project import MULTI_FIDELITY_FILE, Project
from dass.proxies.collector import Collector
from dass.proxies.recipe_facts import recipe_facts
from dass.proxies.store import ProxyStore
from dass.space.search_space import SearchSpace
from dass.tasks.ranking import RankingTask, source_tasks
from dass.training.workers import Workers
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device, one_thread, workers


@flow(name="multi_fidelity")
def multi_fidelity() -> None:
    """Collect proxies of the source tasks' students, and learn what they say of their accuracies."""
    started, project = time.perf_counter(), Project.open()
    tasks = source_tasks(project, device()).all
    with workers(device()) as pool:
        known = [collect.with_options(task_run_name=f"proxies of {one.name}")(project, one, pool) for one in tasks]
    recipe = project.params.distillation
    fidelities = FIDELITIES[: highest(project).level + 1]
    with one_thread():  # matrices are small
        learned = learn(known, fidelities, recipe)
        left_out = left_out_scores(known, class_groups(project.params.source), fidelities, recipe)
    card = MultiFidelityCard(
        space=SearchSpace.from_config(project.params.space),
        resolution=project.params.data.resolution,
        recipe=recipe_facts(recipe),
        tasks=tuple(one.name for one in tasks),
        teacher_ids=tuple(one.card.teacher_id for one in tasks),
        students=sum(len(one.architectures) for one in tasks),
        left_out={fidelity.key: found.src for fidelity, found in left_out.items()},
        covered={fidelity.key: found.covered for fidelity, found in left_out.items()},
        seed=project.params.seed,
        device=device_name(device()),
        torch_version=str(torch.__version__),
        seconds=time.perf_counter() - started,
    )
    save_multi_fidelity(project.root / MULTI_FIDELITY_FILE, learned, card)
    rows = [
        {
            "fidelity": fidelity.label,
            "mean SRC on tasks left out": round(found.src, 3),
            "within 80% intervals": round(found.covered, 3),
        }
        for fidelity, found in left_out.items()
    ]
    create_table_artifact(
        rows, key="multi-fidelity", description="Source tasks, each predicted from those of other classes"
    )
    for row in rows:
        logger().info("%s", row)


def highest(project: Project) -> Fidelity:
    """The fidelity that params.yaml asks for."""
    return Fidelity("steps", project.params.search.steps)


@task(cache_policy=NO_CACHE, name="proxies of a source task")
def collect(project: Project, one: RankingTask, pool: Workers) -> MultiFidelityTask:
    """Measure a source task's students; what was measured before is not measured again."""
    collector = Collector.of(
        one, project.params.distillation, workers=pool, store=ProxyStore(project.proxies), device=device(),
        seed=project.params.seed,
    )  # fmt: skip
    progress = Progress(f"proxies of {one.name}", 0, len(one.architectures) + 1)
    with gpu_slot(device()):
        proxies = gather(collector, one.architectures, highest(project), progress)
    return MultiFidelityTask.of(one, proxies)


@task(cache_policy=NO_CACHE, name="learn")
def learn(
    known: Sequence[MultiFidelityTask], fidelities: Sequence[Fidelity], recipe: DistillationRecipe
) -> MultiFidelityPredictor:
    """Fit every fidelity."""
    return MultiFidelityPredictor(alpha=recipe.alpha, temperature=recipe.temperature).fit(known, fidelities)


left_out_scores = task(cache_policy=NO_CACHE, name="validate")(validate)


if __name__ == "__main__":
    run_stage(multi_fidelity)
