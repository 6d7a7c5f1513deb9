"""All that `dass shrink` does once images and teacher are open, for the command line and for a server's run alike."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dass.files import write_text
from dass.search.target_task import TargetTask
from dass.shrink.files import Filed, file_student
from dass.shrink.report import page
from dass.shrink.shrink import Request, Shrunk, shrink, shrink_folder
from dass.shrink.steps import Progress, Step, Tell, at_once

SHORTEST = 0.05  # minutes that a search and a distillation are given at least


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        shrunk: what came out.
        filed: where it lies.
        report: the page about it.
        seconds: that all of it took.
    """

    shrunk: Shrunk
    filed: Filed
    report: Path
    seconds: float


def shrink_and_file(
    task: TargetTask,
    request: Request,
    root: Path,
    *,
    device: torch.device,
    command: str,
    started: float,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    step: Step = at_once,
) -> Made:
    """Searches, distils, chooses, registers, exports, measures and writes the page.

    Args:
        task: images and teacher.
        request: what is asked for.
        root: the project, whose registry is used; steps are kept in its `data/shrink`.
        device: where students train and latency is measured.
        command: that makes the same again.
        started: when the work began, as `time.perf_counter` had it.
        tell: called with a line for each step.
        progress: called with steps done and in all of what is running.
        step: carries out a step, by its name.

    Raises:
        UsageError: nothing fits the limits, or there are too few images.
        DassError: every student diverged, or the registry cannot be written.
    """
    folder = shrink_folder(task, request, root / "data" / "shrink")
    left = request.minutes - (time.perf_counter() - started) / 60
    timed = replace(request, minutes=max(SHORTEST, left))
    shrunk = shrink(task, timed, folder, device=device, tell=tell, progress=progress, step=step)
    filed = step("file the student", lambda: file_student(task, shrunk, root, folder, device))
    report, took = folder / "report.html", time.perf_counter() - started
    write_text(report, page(task, request, shrunk, filed, command, took))
    return Made(shrunk, filed, report, took)


def result_lines(task: TargetTask, request: Request, made: Made) -> list[str]:
    """What is said at the end: what was asked for and what was reached.

    Args:
        task: images and teacher.
        request: what was asked for.
        made: what came out.
    """
    shrunk, budget = made.shrunk, request.budget
    lines = [f"student: {shrunk.test.accuracy:.2f}% of the test images, teacher {task.card.accuracy:.2f}%"]
    if shrunk.kept is not None:
        kept = shrunk.kept
        verdict = "reached" if shrunk.test.accuracy >= kept.floor else "NOT reached"
        lines.append(
            f"accuracy: at least {kept.floor:.2f}% asked for; {kept.predicted:.2f}% of held-out images, which gives it "
            f"a probability of {kept.probability:.0%}; {verdict} on the test images"
        )
    if shrunk.latency is not None:
        lines.append(
            f"latency: {shrunk.latency:.3g} ms measured, at most {budget.max_latency:g} ms asked for at batch "
            f"{budget.latency_batch}"
        )
    if budget.max_size is not None:
        size = made.filed.weights.stat().st_size / 1e6
        lines.append(f"size: {size:.3f} MB, at most {budget.max_size:g} MB asked for")
    lines.append(f"{made.filed.model} is {made.filed.alias}: {made.filed.reason}")
    return lines
