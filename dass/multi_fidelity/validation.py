"""How a multi-fidelity predictor does on source tasks that it has not learned from: what choices are made by."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from dass.evaluation.correlation import spearman
from dass.fidelity import Fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask


@dataclass(frozen=True)
class LeftOut:
    """One source task, predicted by a multi-fidelity predictor that knows other classes alone.

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
