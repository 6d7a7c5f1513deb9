"""Limits that leave out no student, which people should know: they may have meant another number or unit."""

import torch

from dass.search.candidates import MILLION, Constraints
from dass.search.latency import measure_latency
from dass.space.cost import weights_size
from dass.tasks.task import Task


def slack_lines(budget: Constraints, task: Task, device: torch.device) -> list[str]:
    """A line for each limit that the teacher itself keeps.

    Args:
        budget: limits on the cost.
        task: task with its teacher and its images.
        device: where latency is measured, where there is a limit on it.
    """
    architecture, classes, price = task.teacher.architecture, len(task.data.classes), task.teacher_cost
    size = weights_size(architecture, classes)
    limits = [
        (budget.max_macs, price.macs / MILLION, "M MACs"),
        (budget.max_params, price.parameters / MILLION, "M parameters"),
        (budget.max_size, size / MILLION, "MB"),
    ]
    if budget.max_latency is not None:
        latency = measure_latency(architecture, task.data.resolution, classes, device, batch=budget.latency_batch)
        limits.append((budget.max_latency, latency, f"ms at batch {budget.latency_batch}"))
    lines = [
        f"the limit of {most:.4g} {unit} leaves out no student: the teacher has {has:.4g}"
        for most, has, unit in limits
        if most is not None and has <= most
    ]
    floor = task.card.accuracy - (budget.keep_accuracy or 0.0)
    if budget.keep_accuracy is not None and floor <= 100 / classes:
        lines.append(
            f"{budget.keep_accuracy:g} points below the teacher leave out no student: that is {max(floor, 0):.1f}% or "
            f"more, and chance reaches {100 / classes:.1f}%"
        )
    return lines
