"""What `dass search` picks by the predictor that comes with DaSS, and what such a search costs on the study's clock."""

import numpy as np

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.files import file_id
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.networks.checkpoint import TeacherCard
from dass.networks.elastic_resnet import ElasticResNet
from dass.search.budget import SearchBudget
from dass.search.constraints import AskedLimits
from dass.search.successive_halving import MultiFidelitySearch
from dass.shipped.library import find_release
from dass.space.architecture import Architecture
from dass.tasks.task import Task
from experiments.curves.table import Clock

PREDICTOR = "small"
BUDGET = SearchBudget(candidates=3000, one_batch=400, k_step=48)
STEPS = (10, 20)  # after which half of the students stop


def searched(
    teacher: ElasticResNet,
    card: TeacherCard,
    fit: TaskData,
    recipe: DistillationRecipe,
    limit: float,
    *,
    seed: int,
    budget: SearchBudget = BUDGET,
) -> Architecture:
    """The first of the ranking; the predictor has learned from shorter distillations on other images.

    Args:
        teacher: the trained network.
        card: what is known of the teacher.
        fit: images that students may train on.
        recipe: of the distillation that the predictor knows.
        limit: most multiply-accumulates, as a share of the teacher's.
        seed: of the candidates.
        budget: how many proxies are collected.
    """
    release = find_release(PREDICTOR)
    predictor, learned = load_multi_fidelity(release.weights)
    task = Task(fit, teacher, card)
    method = MultiFidelitySearch(
        predictor,
        file_id(release.weights),
        learned.space,
        recipe,
        learned.seed,
        budget,
        seed,
        teacher.device,
        workers=0,
    )
    constraints = AskedLimits(f"{100 * limit:g}%").constraints(task.teacher_cost)
    return method.rank(task, constraints).pick.architecture


def search_seconds(clock: Clock, macs: float) -> float:
    """Seconds of a search whose students have about so many multiply-accumulates.

    Args:
        clock: of the machine.
        macs: of the student that was picked.
    """
    seconds = BUDGET.candidates * clock.embedding + BUDGET.one_batch * clock.one_batch
    before, going = 0, BUDGET.k_step
    for steps in STEPS:
        seconds += clock.training(np.full(going, macs), steps - before)
        before, going = steps, going // 2
    return seconds
