"""All that `dass shrink` does, for the command line and for a server's run alike."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from dass.files import write_text
from dass.networks.importing import import_network
from dass.project import RAW
from dass.search.constraints import AskedLimits
from dass.shrink.files import Filed, add_report, file_student
from dass.shrink.report import page
from dass.shrink.shrink import Request, Shrunk, shrink, shrink_folder
from dass.shrink.steps import Progress, Step, Tell, at_once
from dass.tasks.task import Task
from dass.tasks.user import open_task, packed_side
from dass.training.user_teacher import AskedTeacher

SHORTEST = 0.05  # minutes that a search and a distillation are given at least


@dataclass(frozen=True)
class Options:
    """What a person says.

    Attributes:
        data: name or folder of a packed dataset, or a folder, zip or tar of images.
        teacher: the teacher's weights, and what they cannot tell.
        limits: limits on the student.
        minutes: how long all of it may take.
        resolution: side of the images in pixels; None for the family's.
        usual_resolution: likewise, for a teacher whose family has none.
        seed: seed of every random choice.
        command: that makes the same again, for the page.
    """

    data: str
    teacher: AskedTeacher
    limits: AskedLimits = field(default_factory=AskedLimits)
    minutes: float = 20.0
    resolution: int | None = None
    usual_resolution: int = 64
    seed: int = 0
    command: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Options":
        """Options from what `dataclasses.asdict` makes of them."""
        return cls(**{**value, "teacher": AskedTeacher(**value["teacher"]), "limits": AskedLimits(**value["limits"])})


@dataclass(frozen=True)
class ShrinkResult:
    """What `dass shrink` came to.

    Attributes:
        task: task with its images and its teacher.
        request: request with limits and time.
        shrunk: result of the shrinking.
        filed: registered version.
        report: path of the page about it.
        seconds: seconds that all of it took.
    """

    task: Task
    request: Request
    shrunk: Shrunk
    filed: Filed
    report: Path
    seconds: float


@contextmanager
def shrink_and_file(
    options: Options,
    root: Path,
    *,
    device: torch.device,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    step: Step = at_once,
) -> Iterator[ShrinkResult]:
    """Reads images and teacher, searches, distils, chooses, registers, exports, measures and writes the page.

    Args:
        options: options that the user gave.
        root: the project, whose registry is used; steps are kept in its `data/shrink`.
        device: where students train and latency is measured.
        tell: called with a line for each step.
        progress: called with steps done and in all of what is running.
        step: carries out a step, by its name.

    Yields:
        The result, while its images are at hand.

    Raises:
        UsageError: nothing fits the limits, an option is not as described, or there are too few images.
        DassError: every student diverged, or the registry cannot be written.
    """
    started = time.perf_counter()
    options.limits.check()
    file = options.teacher.read()
    family = import_network(file.path, layout=file.layout).network.architecture.family
    side = options.resolution or packed_side(
        options.data, root / RAW, family.usual_resolution or options.usual_resolution
    )
    with open_task(options.data, file, raw=root / RAW, resolution=side, device=device, tell=tell) as task:
        tell(f"teacher: {family.name}, {task.card.accuracy:.2f}% of {len(task.data.test_labels)} test images")
        request = Request(options.limits.constraints(task.teacher_cost), options.minutes, options.seed)
        folder = shrink_folder(task, request, root / "data" / "shrink", device)
        left = request.minutes - (time.perf_counter() - started) / 60
        timed = replace(request, minutes=max(SHORTEST, left))
        shrunk = shrink(task, timed, folder, device=device, tell=tell, progress=progress, step=step)
        filed = step("file the student", lambda: file_student(task, shrunk, root, folder, device))
        report, took = folder / "report.html", time.perf_counter() - started
        write_text(report, page(task, request, shrunk, filed, options.command, took))
        step("record the report", lambda: add_report(root, filed.run_id, report))
        yield ShrinkResult(task, request, shrunk, filed, report, took)


def result_lines(result: ShrinkResult) -> list[str]:
    """What is said at the end: what was asked for and what was reached."""
    task, shrunk, limits = result.task, result.shrunk, result.request.constraints
    lines = [f"student: {shrunk.test.accuracy:.2f}% of the test images, teacher {task.card.accuracy:.2f}%"]
    if shrunk.floor_check is not None:
        check = shrunk.floor_check
        verdict = "reached" if shrunk.test.accuracy >= check.floor else "NOT reached"
        lines.append(
            f"accuracy: at least {check.floor:.2f}% asked for with a probability of {check.asked:.0%}; "
            f"{check.predicted:.2f}% of held-out images, which gives it a probability of {check.probability:.0%}; "
            f"{verdict} on the test images"
        )
    if shrunk.latency is not None:
        lines.append(
            f"latency: {shrunk.latency:.3g} ms measured at batch {limits.latency_batch} on {result.filed.timed_on}, "
            f"asked for {limits.max_latency:g} ms"
        )
    if limits.max_size is not None:
        size = result.filed.weights.stat().st_size / 1e6
        lines.append(f"size: {size:.3f} MB, at most {limits.max_size:g} MB asked for")
    if result.filed.int8:
        lines.append(f"8-bit integers: {result.filed.int8}")
    lines.append(f"{result.filed.model} is {result.filed.alias}: {result.filed.reason}")
    return lines
