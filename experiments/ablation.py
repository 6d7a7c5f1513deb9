"""Beyond the pipeline: what each part of the paper's predictor is worth: python -m experiments.ablation 3 400

Variants of the predictor learn under every reading of what the paper leaves open (`experiments.readings`) with so many
seeds and episodes. They rank the students of source tasks whose class group was left out, then the targets' students. A
ridge regression on the architecture code alone stands beside them. The rows go to `reports/ablation.json`, beside those
of other numbers of episodes. The command goes on where it was stopped; DVC does not know of it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import torch
from numpy.typing import NDArray
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.baselines.evaluated import evaluated_targets
from dass.baselines.readings import READINGS
from dass.device import device_name
from dass.errors import DassError, UsageError
from dass.evaluation.correlation import spearman
from dass.evaluation.intervals import Draws
from dass.files import write_json
from dass.project import Project
from dass.tasks.ranking import RankingTask
from experiments.readings import Part, left_out, rank_part
from flows.infrastructure.runtime import Progress
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device

VARIANTS = ("dass", "dass_unguided", "dass_without_student", "dass_without_code", "maml", "meta_sgd")
RIDGE = "ridge_on_code"
Floats = NDArray[np.float64]


@flow(name="ablation")
def ablation(seeds: int, episodes: int) -> None:
    """Rank by every variant under every reading.

    Args:
        seeds: number of seeds of each variant, from `seed` of params.yaml upwards.
        episodes: number of outer steps of meta-training, at least 1.

    Raises:
        UsageError: no seeds or no episodes.
    """
    for name, number in (("seeds", seeds), ("episodes", episodes)):
        if number < 1:
            raise UsageError(f"{name} is {number}: give at least 1")
    project = Project.open()
    targets = evaluated_targets(project, device())
    whole, parts = left_out(project)
    groups = {sample.task.name: number for number, (_, samples) in enumerate(parts) for sample in samples}
    every = [*parts, (whole, [target.students() for target in targets])]
    rows = [row_of(RIDGE, "", 0, 1, rank_by_ridge(every), groups)]
    rows += rank_variants(project, seeds, episodes, every, groups)
    file = project.reports / "ablation.json"
    earlier = json.loads(file.read_text()) if file.exists() else []
    write_json(file, [*(row for row in earlier if row["episodes"] not in (0, episodes)), *rows])


@task(cache_policy=NO_CACHE, name="rank by every variant")
def rank_variants(
    project: Project, seeds: int, episodes: int, parts: Sequence[Part], groups: Mapping[str, int]
) -> list[dict[str, object]]:
    """A row of SRC for each reading and variant at one number of episodes."""
    predictor = project.params.predictor.model_copy(update={"episodes": episodes})
    longer = replace(project, params=project.params.model_copy(update={"predictor": predictor}))
    rows: list[dict[str, object]] = []
    total = len(READINGS) * len(VARIANTS)
    progress = Progress("variants", 0, total)
    with gpu_slot(device()):
        for reading in READINGS:
            for name in VARIANTS:
                by_task: dict[str, Draws] = {}
                for part in parts:
                    by_task |= rank_part(longer, reading, name, seeds, part)
                src = {task: draws.value for task, draws in by_task.items()}
                rows.append(row_of(name, reading.label, episodes, seeds, src, groups))
                progress(len(rows), total)
    return rows


def rank_by_ridge(parts: Sequence[Part]) -> dict[str, float]:
    """SRC of a ridge regression from the architecture code to accuracies."""
    found = {}
    for sources, samples in parts:
        weights = ridge([_codes(one) for one in sources.all], [np.asarray(one.accuracies) for one in sources.all])
        for sample in samples:
            scores = _codes(sample.task) @ weights
            found[sample.task.name] = float(spearman(scores, np.asarray(sample.task.accuracies)))
    return found


def ridge(codes: Sequence[Floats], accuracies: Sequence[Floats]) -> Floats:
    """Fits accuracies, centred within each task, by the code.

    Args:
        codes: [n, L] of each task's students.
        accuracies: [n] of each task's students, in percent.

    Returns:
        Weights [L]; the leave-one-out error has chosen the penalty.
    """
    from sklearn.linear_model import RidgeCV

    centred = [own - own.mean() for own in accuracies]
    fitted = RidgeCV(np.logspace(-2, 3, 11)).fit(np.concatenate(codes), np.concatenate(centred))
    return np.asarray(fitted.coef_)


def _codes(task: RankingTask) -> Floats:
    return task.tensors().codes.double().numpy()


def row_of(
    name: str, reading: str, episodes: int, seeds: int, src: Mapping[str, float], groups: Mapping[str, int]
) -> dict[str, object]:
    """SRC by task; the mean over left-out source tasks with its standard error over class groups; that over targets.

    Raises:
        DassError: a task has no SRC, since the method failed there.
    """
    if missing := groups.keys() - src.keys():
        raise DassError(f"{name} under {reading or 'any reading'} has no scores of {min(missing)}: see the log above")
    by_group = [
        mean(value for task, value in src.items() if groups.get(task) == group) for group in set(groups.values())
    ]
    targets = {task: value for task, value in src.items() if task not in groups}
    return {
        "method": name,
        "reading": reading,
        "episodes": episodes,
        "seeds": seeds,
        "left_out": mean(by_group),
        "left_out_error": stdev(by_group) / len(by_group) ** 0.5,
        "targets": mean(targets.values()),
        "src": dict(src),
        "device": device_name(device()),
        "torch": str(torch.__version__),
    }


if __name__ == "__main__":
    run_stage(ablation, *sys.argv[1:])
