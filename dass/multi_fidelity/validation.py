"""How a multi-fidelity predictor does on source tasks that it has not learned from: what choices are made by."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from dass.config import DistillationRecipe, Source
from dass.evaluation.correlation import spearman
from dass.fidelity import Fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask


@dataclass(frozen=True)
class LeftOut:
    """A source task, predicted by a multi-fidelity predictor that knows other classes alone; or the mean of such.

    Attributes:
        src: Spearman correlation of predicted and reached accuracies.
        covered: share of the accuracies within their 80% intervals.
    """

    src: float
    covered: float


def leave_out(
    tasks: Sequence[MultiFidelityTask],
    groups: Sequence[Hashable],
    fidelity: Fidelity,
    *,
    alpha: float,
    temperature: float,
) -> list[LeftOut]:
    """Predicts every task by a multi-fidelity predictor that has learned from the tasks of other groups.

    Args:
        tasks: two source tasks or more, with the proxies of their students.
        groups: class group of each task; tasks of the same classes share one, and are left out together.
        fidelity: costliest fidelity whose proxies are used.
        alpha: weight of the labels in the distillation loss.
        temperature: temperature T of the distillation loss, above 0.

    Raises:
        UsageError: fewer than two tasks are left to learn from.
    """
    results = []
    for task, group in zip(tasks, groups, strict=True):
        others = [other for other, its in zip(tasks, groups, strict=True) if its != group]
        predictor = MultiFidelityPredictor(alpha=alpha, temperature=temperature).fit(others, [fidelity])
        made = predictor.predict(
            task.proxies,
            fidelity,
            teacher_accuracy=task.teacher_accuracy,
            classes=task.classes,
            test_images=task.test_images,
            confidence=80.0,
            source_dataset=True,
        )
        finite = np.isfinite(made.mean)
        inside = (made.low <= task.accuracies) & (task.accuracies <= made.high)
        results.append(LeftOut(float(spearman(made.mean, task.accuracies)), float(inside[finite].mean())))
    return results


def class_groups(source: Source) -> list[int]:
    """The class group of each source task, tasks that train first; two tasks share one, see `dass.config.Source`."""
    return [split // 2 for split in (*source.training, *source.validation)]


def validate(
    tasks: Sequence[MultiFidelityTask],
    groups: Sequence[Hashable],
    fidelities: Sequence[Fidelity],
    recipe: DistillationRecipe,
) -> dict[Fidelity, LeftOut]:
    """Means over source tasks, each left out with its group; nothing where there are fewer than three groups.

    Args:
        tasks: source tasks.
        groups: class group of each task.
        fidelities: fidelities, each of which is looked at alone.
        recipe: recipe of the distillation that proxies are of.
    """
    found = {}
    for fidelity in fidelities if len(set(groups)) > 2 else ():
        results = leave_out(tasks, groups, fidelity, alpha=recipe.alpha, temperature=recipe.temperature)
        found[fidelity] = LeftOut(fmean(one.src for one in results), fmean(one.covered for one in results))
    return found
