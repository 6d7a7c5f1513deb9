"""What people read of a search: its pick, what was asked, predicted and measured, and its ranking."""

import torch

from dass.search.constraints import MILLION, Constraints
from dass.search.latency import measure_latency
from dass.search.result import SearchResult
from dass.space.cost import weights_size
from dass.tasks.task import Task


def constraint_lines(found: SearchResult) -> list[str]:
    """A line for each limit on latency and accuracy that a search was given."""
    constraints, lines = found.constraints, []
    if found.latency is not None:
        more = f"; {found.missed} before it were slower when measured" if found.missed else ""
        on = f" on {found.timed_on}" if found.timed_on else ""
        lines.append(
            f"latency: {found.latency:.3g} ms measured at batch {constraints.latency_batch}{on}, asked for "
            f"{constraints.max_latency:g} ms{more}"
        )
    if constraints.keep_accuracy is not None:
        floor = found.teacher_accuracy - constraints.keep_accuracy
        asked = f"accuracy: at least {floor:.2f}% ({constraints.keep_accuracy:g} points below the teacher) asked for"
        if found.probability is None:
            lines.append(
                f"{asked}; {found.pick.predicted:.2f}% predicted; method {found.method} gives no intervals, and so no "
                "probability: a prediction is reached about every other time"
            )
        else:
            few = "" if found.probability >= constraints.keep_probability else "; NO candidate has that probability"
            lines.append(
                f"{asked} with a probability of {constraints.keep_probability:.0%}; "
                f"{found.pick.predicted:.2f}% predicted, probability {found.probability:.0%}{few}"
            )
    return lines


def pick_line(found: SearchResult) -> str:
    """The pick, and what the search took."""
    pick = found.pick
    return (
        f"picked {pick.architecture.stage_label}, {pick.predicted:.2f}% predicted, {pick.cost.macs / MILLION:.2f} M "
        f"MACs; {len(found.ranking)} candidates in {found.seconds:.1f} s (limits: {found.constraints})"
    )


def ranking_rows(found: SearchResult, top: int) -> list[dict[str, str | float | int]]:
    """The best candidates, a row for each, with the text of each architecture."""
    return [
        {
            "depths / widths": one.architecture.stage_label,
            "predicted accuracy": round(one.predicted, 2),
            **({} if one.low is None else {"80% interval": f"{one.low:.1f} to {one.high:.1f}"}),
            **({"fidelity": one.fidelity.label} if one.fidelity else {}),
            "M MACs": round(one.cost.macs / MILLION, 3),
            "M parameters": round(one.cost.parameters / MILLION, 4),
            "arch_id": one.architecture.arch_id,
            "architecture": one.architecture.text,
        }
        for one in found.ranking[:top]
    ]


def slack_lines(constraints: Constraints, task: Task, device: torch.device) -> list[str]:
    """A line for each limit that the teacher itself keeps: people may have meant another number or unit.

    Args:
        constraints: limits on the cost.
        task: task with its teacher and its images.
        device: where latency is measured, where there is a limit on it.
    """
    architecture, classes, spent = task.teacher.architecture, len(task.data.classes), task.teacher_cost
    size = weights_size(architecture, classes)
    limits = [
        (constraints.max_macs, spent.macs / MILLION, "M MACs"),
        (constraints.max_params, spent.parameters / MILLION, "M parameters"),
        (constraints.max_size, size / MILLION, "MB"),
    ]
    if constraints.max_latency is not None:
        latency = measure_latency(architecture, task.data.resolution, classes, device, batch=constraints.latency_batch)
        limits.append((constraints.max_latency, latency, f"ms at batch {constraints.latency_batch}"))
    lines = [
        f"the limit of {most:.4g} {unit} leaves out no student: the teacher has {has:.4g}"
        for most, has, unit in limits
        if most is not None and has <= most
    ]
    floor = task.card.accuracy - (constraints.keep_accuracy or 0.0)
    if constraints.keep_accuracy is not None and floor <= 100 / classes:
        lines.append(
            f"{constraints.keep_accuracy:g} points below the teacher leave out no student: that is "
            f"{max(floor, 0):.1f}% or more, and chance reaches {100 / classes:.1f}%"
        )
    return lines
