"""Stage `multi_fidelity`: what proxies of a student are worth, learned from the source tasks' records."""

import time
from collections.abc import Sequence

import torch
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.device import device_name
from dass.fidelity import FIDELITIES, Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask, gather
from dass.multi_fidelity.validation import leave_out
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
        measured = [collect.with_options(task_run_name=f"proxies of {one.name}")(project, one, pool) for one in tasks]
    fidelities = FIDELITIES[: highest(project).level + 1]
    with one_thread():  # matrices are small
        learned = learn(project, measured, fidelities)
    numbers = [*(i for i in project.params.source.splits if i not in project.params.source.validation)]
    groups = [index // 2 for index in (*numbers, *project.params.source.validation)]
    with one_thread():
        left_out = validate(project, measured, groups, fidelities)
    card = MultiFidelityCard(
        space=SearchSpace.from_config(project.params.space),
        resolution=project.params.data.resolution,
        recipe=recipe_facts(project.params.distillation),
        tasks=tuple(one.name for one in tasks),
        teacher_ids=tuple(one.card.teacher_id for one in tasks),
        students=sum(len(one.architectures) for one in tasks),
        left_out={fidelity.key: src for fidelity, (src, _) in left_out.items()},
        covered={fidelity.key: covered for fidelity, (_, covered) in left_out.items()},
        seed=project.params.seed,
        device=device_name(device()),
        torch_version=str(torch.__version__),
        seconds=time.perf_counter() - started,
    )
    save_multi_fidelity(project.root / MULTI_FIDELITY_FILE, learned, card)
    rows = [
        {
            "fidelity": fidelity.label,
            "mean SRC on tasks left out": round(src, 3),
            "within 80% intervals": round(covered, 3),
        }
        for fidelity, (src, covered) in left_out.items()
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
    project: Project, measured: list[MultiFidelityTask], fidelities: Sequence[Fidelity]
) -> MultiFidelityPredictor:
    """Fit every fidelity."""
    recipe = project.params.distillation
    return MultiFidelityPredictor(alpha=recipe.alpha, temperature=recipe.temperature).fit(measured, fidelities)


@task(cache_policy=NO_CACHE, name="validate")
def validate(
    project: Project, measured: list[MultiFidelityTask], groups: list[int], fidelities: Sequence[Fidelity]
) -> dict[Fidelity, tuple[float, float]]:
    """Mean SRC and coverage on source tasks that were left out of learning; none where too few are left."""
    if len(set(groups)) < 3:
        return {}
    recipe, found = project.params.distillation, {}
    for fidelity in fidelities:
        results = leave_out(measured, groups, fidelity, alpha=recipe.alpha, temperature=recipe.temperature)
        found[fidelity] = (
            sum(one.src for one in results) / len(results),
            sum(one.covered for one in results) / len(results),
        )
    return found


if __name__ == "__main__":
    run_stage(multi_fidelity)
