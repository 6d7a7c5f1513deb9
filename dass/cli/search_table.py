"""How `dass search` shows what it result: a table with its pick, or one JSON value."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from rich.table import Table

from dass.search.candidates import Candidate
from dass.search.constraints import MILLION
from dass.search.latency import measure_latency, measure_parts
from dass.search.pareto import pareto_front
from dass.search.result import SearchResult, candidate_json
from dass.search.summary import constraint_lines
from dass.space.architecture import Architecture
from dass.space.cost import Cost
from dass.tasks.task import Task


def front_of(
    result: SearchResult, against: str, resolution: int, classes: int, device: torch.device, *, batch: int
) -> Sequence[Candidate]:
    """The Pareto front; against latency as block times add up, since not every candidate can be run."""
    if against != "latency":
        return pareto_front(result.ranking, attrgetter(f"cost.{against}"))
    architectures = [candidate.architecture for candidate in result.ranking]
    parts = measure_parts(architectures, resolution, classes, device, batch=batch)
    return pareto_front(result.ranking, lambda candidate: parts.estimate(candidate.architecture))


def to_json(result: SearchResult, shown: Sequence[Candidate], times: Sequence[float], batch: int) -> dict[str, Any]:
    """A result with the candidates that are shown, and their latencies in milliseconds where there are any.

    Args:
        result: result of the search.
        shown: candidates, in this order.
        times: milliseconds of one forward pass of each candidate; empty where none was timed.
        batch: images in the passes that all latencies are of.
    """
    rows = [candidate_json(candidate) for candidate in shown]
    for one, time in zip(rows, times, strict=False):
        one |= {"latency_ms": time, "latency_batch": batch}
    pick = candidate_json(result.pick)
    if result.latency is not None:
        pick |= {"latency_ms": result.latency, "latency_batch": batch, "slower_ones_before_it": result.missed}
    pick |= {} if result.probability is None else {"kept_probability": result.probability}
    return {
        "target": result.target, "teacher_accuracy": result.teacher_accuracy, "candidates": len(result.ranking),
        "seconds": result.seconds, "budget": str(result.constraints), "pick": pick, "ranking": rows,
    }  # fmt: skip


def pick_lines(result: SearchResult) -> list[str]:
    """What is said of the pick."""
    pick = result.pick
    what = "of held-out training images" if result.predicted is None else "predicted"
    first = (
        f"pick: {pick.architecture.stage_label}, {pick.predicted:.2f}% {what}, {pick.cost.macs / MILLION:.3f} M MACs, "
        f"{pick.cost.parameters / MILLION:.4f} M parameters"
    )
    return [first, *constraint_lines(result)]


def table_of(
    title: str,
    result: SearchResult,
    shown: Sequence[Candidate],
    times: Sequence[float],
    task: Task,
    device: torch.device,
) -> Table:
    """Candidates as a table with the pick marked and the teacher below.

    Args:
        title: title above the table.
        result: result of the search, whose pick is marked.
        shown: candidates, in this order.
        times: milliseconds of each for the batch of the limits; empty for no such column.
        task: the teacher, which is timed in the same way.
        device: device that latencies are measured on.
    """
    table, batch = Table(title=title), result.constraints.latency_batch
    fidelities = any(candidate.fidelity for candidate in shown)
    intervals = any(candidate.low is not None for candidate in shown)
    accuracy = "held-out %" if result.predicted is None else "predicted %"
    columns = ["place", "depths / widths", accuracy, *(["80% interval"] * intervals), *(["fidelity"] * fidelities)]
    for column in (*columns, "M MACs", "M parameters", *([f"ms, batch {batch}"] if times else []), "arch_id"):
        table.add_column(column, justify="left" if column == "depths / widths" else "right")

    def add(
        label: str, architecture: Architecture, percent: float, more: list[str], price: Cost, ms: list[str]
    ) -> None:
        table.add_row(
            label, architecture.stage_label, f"{percent:.2f}", *more, f"{price.macs / MILLION:.3f}",
            f"{price.parameters / MILLION:.4f}", *ms, architecture.arch_id,
        )  # fmt: skip

    for position, candidate in enumerate(shown, start=1):
        more = [f"{candidate.low:.1f}-{candidate.high:.1f}"] if intervals else []
        more += [candidate.fidelity.label if candidate.fidelity else ""] if fidelities else []
        ms = [f"{times[position - 1]:.2f}"] if times else []
        label = f"pick {position}" if candidate == result.pick else str(position)
        add(label, candidate.architecture, candidate.predicted, more, candidate.cost, ms)
    table.add_section()
    empty = [""] * (intervals + fidelities)
    teacher = task.teacher.architecture
    ms = []
    if times:
        size = (task.data.resolution, len(task.data.classes), device)
        ms.append(f"{measure_latency(teacher, *size, batch=batch):.2f}")
    add("teacher", teacher, task.card.accuracy, empty, task.teacher_cost, ms)
    return table
