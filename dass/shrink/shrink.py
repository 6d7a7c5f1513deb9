"""The steps from a teacher to a student: search, distil the best few, choose one by images that nothing was tested on.

Every finished step is kept in a folder, so that the same command goes on from there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dass.datasets.task_data import TaskData
from dass.datasets.validation import held_out
from dass.device import timed_on
from dass.errors import DassError, UsageError
from dass.files import content_id, write_json
from dass.networks.elastic_resnet import ElasticResNet
from dass.search.budget import RaceSize
from dass.search.candidates import sample_candidates
from dass.search.constraints import Constraints
from dass.search.fitting import Fitting, fitting
from dass.search.race import RaceSearch
from dass.search.result import SearchResult, load_search, save_search
from dass.search.summary import slack_lines
from dass.shrink.choosing import Distilled, FloorCheck, Plan, best_first, in_time, smallest_keeping
from dass.shrink.recipe import (
    FEWEST_EPOCHS,
    MOST_STUDENTS,
    MOST_TRIES,
    RESERVE,
    SEARCH_SHARE,
    divide_time,
    enough_minutes,
    epoch_seconds,
    shrink_recipe,
)
from dass.shrink.steps import Progress, Step, Tell, at_once
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace
from dass.students.distil import distil_student
from dass.students.trained import TrainedStudent, load_student
from dass.tasks.task import Task
from dass.training.evaluation import Evaluation, predict, summarize

CANDIDATES, STUDENTS = 400, 32  # of the race: tried on one batch, and trained
SEARCH = "search.json"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        constraints: limits on the cost of the student.
        minutes: how long all of it may take.
        seed: seed of every random choice.
    """

    constraints: Constraints
    minutes: float
    seed: int = 0

    def floor(self, task: Task) -> float | None:
        """Percent that the student has to reach; None where only the best is asked for."""
        keep = self.constraints.keep_accuracy
        return None if keep is None else task.card.accuracy - keep


@dataclass(frozen=True)
class Shrunk:
    """What came out.

    Attributes:
        search: result of the race.
        distilled: the students that were distilled, the chosen one first.
        network: the chosen one, float32 on the CPU.
        test: what it reaches on the test images.
        logits: of the test images, [n, classes].
        agreement: percent of the test images on which it and its teacher say the same.
        epochs: number of epochs that each student was distilled for.
        seconds: seconds that this call took.
        held_out: training images that chose between the students.
        floor_check: how it stands to the accuracy that was asked for; None where none was.
        latency: milliseconds of the chosen one as measured before it was distilled; None without a limit on it.
    """

    search: SearchResult
    distilled: tuple[Distilled, ...]
    network: ElasticResNet
    test: Evaluation
    logits: torch.Tensor
    agreement: float
    epochs: int
    seconds: float
    held_out: int
    floor_check: FloorCheck | None = None
    latency: float | None = None

    @property
    def chosen(self) -> TrainedStudent:
        """The chosen student."""
        return self.distilled[0].student


def shrink_folder(task: Task, request: Request, parent: Path, device: torch.device) -> Path:
    """Where the steps of a request are kept: it depends on data, teacher and all that is asked for.

    A limit on latency is one on a device: which students were looked at and distilled follows from times that were
    measured there, and is nothing to go on from elsewhere.
    """
    limits = request.constraints
    asked: list[object] = [limits.max_macs, limits.max_params, request.minutes, request.seed]
    asked += [limits.further] if limits.further else []
    asked += [] if limits.max_latency is None else [timed_on(device)]
    network = task.teacher.architecture.to_json()  # strides and pools are in no weight, and so not in the teacher's id
    key = content_id([task.data.data_id, task.card.teacher_id, network, *asked])
    return parent / f"{task.data.name}-{key}"


def shrink(
    task: Task,
    request: Request,
    folder: Path,
    *,
    device: torch.device,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    step: Step = at_once,
) -> Shrunk:
    """Finds, distils and chooses a student within the time.

    A tenth of the training images is held out; it decides between the students. The test images are used once, at the
    end, for the chosen one.

    Args:
        task: task with its images and its teacher.
        request: request with limits and time.
        folder: folder that keeps every finished step.
        device: device that students train on.
        tell: called with a line for each step.
        progress: called with steps done and in all of what is running.
        step: carries out a step, by its name; so a server can show them.

    Raises:
        UsageError: nothing keeps the constraints, or there are too few images.
        DassError: every student diverged.
    """
    started = time.perf_counter()

    def left() -> float:
        return 60 * request.minutes * (1 - RESERVE) - (time.perf_counter() - started)

    data = held_out(task.data, request.seed)
    teacher = task.teacher.to(device).eval()
    space = SearchSpace.below(task.teacher.architecture, RATIOS, "block")
    for line in slack_lines(request.constraints, task, device):
        tell(line)
    if not (folder / SEARCH).exists():
        _tell_of_time(task, data, teacher, space, request, device, tell)
    with _goes_on(folder):
        search = step(
            "search", lambda: _search(replace(task, data=data), space, request, folder / SEARCH, device, progress)
        )
    tell(f"search: students that took part: {len(search.ranking)}")
    if len(search.ranking) == 1:
        tell("there was time for one student only, so nothing was compared: give more --minutes")

    fits = fitting(request.constraints, resolution=data.resolution, classes=len(data.classes), device=device)
    plan = step("plan", lambda: _plan(folder / "plan.json", search, request, data, teacher, fits, left, device))
    floor = request.floor(task)
    most = "at most " if floor is not None else ""
    tell(f"distillation: students: {most}{plan.students}, epochs of each: {plan.epochs}")

    def distil_one(architecture: Architecture) -> Distilled:
        path = folder / f"{architecture.arch_id}.safetensors"
        if not path.with_suffix(".json").exists():
            step(
                f"distil {architecture.arch_id}",
                partial(
                    distil_student, teacher, architecture, data, shrink_recipe(data, plan.epochs), path,
                    seed=request.seed, device=device, progress=progress,
                ),
            )  # fmt: skip
        with _goes_on(folder):
            student = load_student(path)[1]
        tell(f"student: {student.final_accuracy:.2f}% of the held-out images, {student.macs / 1e6:.2f} M MACs")
        return Distilled(student, path)

    by_id = {one.architecture.arch_id: one.architecture for one in search.ranking}
    order = [by_id[name] for name in plan.names]

    def check_floor(student: TrainedStudent, floor: float) -> FloorCheck:
        return FloorCheck.of(student, floor, len(data.test_labels), request.constraints.keep_probability)

    if floor is None:
        distilled = best_first([distil_one(architecture) for architecture in order])
    else:
        distilled = smallest_keeping(
            order, plan.students, lambda student: check_floor(student, floor).likely, distil_one
        )
    with _goes_on(folder):
        network = load_student(distilled[0].path)[0]
    logits, theirs = step(
        "answer test images",
        lambda: [predict(one, task.data.test_images, "float32") for one in (network, task.teacher.cpu())],
    )
    agreement = 100 * float((logits.argmax(1) == theirs.argmax(1)).double().mean())
    test = summarize(logits, task.data.test_labels)
    return Shrunk(
        search, tuple(distilled), network, test, logits, agreement, plan.epochs, time.perf_counter() - started,
        len(data.test_labels), None if floor is None else check_floor(distilled[0].student, floor),
        plan.latencies.get(distilled[0].student.architecture.arch_id),
    )  # fmt: skip


@contextmanager
def _goes_on(folder: Path) -> Iterator[None]:
    """Says what to do where what an earlier run left cannot be read."""
    try:
        yield
    except UsageError:
        raise
    except DassError as error:
        raise DassError(
            f"{folder} cannot be continued ({error}): delete this folder and run the same command again"
        ) from error


def _tell_of_time(
    task: Task,
    data: TaskData,
    teacher: ElasticResNet,
    space: SearchSpace,
    request: Request,
    device: torch.device,
    tell: Tell,
) -> None:
    """Says before any work that the time is short, from some steps of a student within the constraints."""
    [student] = sample_candidates(
        space, 1, request.seed, resolution=data.resolution, classes=len(data.classes), constraints=request.constraints
    )
    needed = enough_minutes(epoch_seconds(teacher, student, data, device))
    if needed > request.minutes:
        tell(
            f"{request.minutes:.2g} minutes are left, which is short on this machine: the search and {FEWEST_EPOCHS} "
            f"epochs of one student take about {needed:.2g}; the student will have learned little: give more --minutes"
        )


def _search(
    task: Task,
    space: SearchSpace,
    request: Request,
    file: Path,
    device: torch.device,
    progress: Progress | None,
) -> SearchResult:
    if file.exists():
        return load_search(file)
    size = RaceSize(CANDIDATES, STUDENTS, SEARCH_SHARE * 60 * request.minutes)
    result = RaceSearch(space, size, request.seed, device).rank(task, request.constraints, progress)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_search(file, result)
    return result


def _plan(
    file: Path,
    search: SearchResult,
    request: Request,
    data: TaskData,
    teacher: ElasticResNet,
    fits: Fitting | None,
    left: Callable[[], float],
    device: torch.device,
) -> Plan:
    """Which students are distilled, as time allows, none of them slower than the limit."""
    if file.exists() and (planned := Plan.read(file)):
        return planned
    keeping = request.constraints.keep_accuracy is not None
    wanted = [one.architecture for one in (search.front if keeping else search.ranking)]
    most = MOST_TRIES if keeping else MOST_STUDENTS
    names, latencies = in_time(wanted, len(wanted) if keeping else most, fits)
    each = epoch_seconds(teacher, names[0], data, device)
    count, epochs = divide_time(left(), each, len(names), most)
    ids = tuple(one.arch_id for one in names)
    plan = Plan(count, epochs, ids if keeping else ids[:count], latencies)
    write_json(file, asdict(plan))
    return plan
