"""The steps from a teacher to a student: search, distil the best few, choose one by images that nothing was tested on.

Every finished step is kept in a folder, so that the same command goes on from there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dass.datasets.task_data import TaskData
from dass.datasets.validation import held_out
from dass.errors import DassError, UsageError
from dass.files import content_id, read_json, write_json
from dass.networks.elastic_resnet import ElasticResNet
from dass.search.candidates import Budget
from dass.search.race import RaceSize, search_by_race
from dass.search.run import SearchResult, load_search, save_search
from dass.search.target_task import TargetTask
from dass.shrink.recipe import divide_time, epoch_seconds, shrink_recipe
from dass.space.search_space import RATIOS, SearchSpace
from dass.students.build import student_record, task_key
from dass.students.trained import TrainedStudent, load_student, save_student
from dass.training.evaluation import Evaluation, predict, summarize
from dass.training.recipes import distill

SEARCH_SHARE = 0.35  # of the time; the rest is for distillation, but for what follows it
RESERVE = 0.08  # of the time, for measuring, filing and the report
CANDIDATES, STUDENTS = 400, 32  # of the race: tried on one batch, and trained

Tell = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        budget: what the student may cost.
        minutes: how long all of it may take.
        seed: of every random choice.
    """

    budget: Budget
    minutes: float
    seed: int = 0


@dataclass(frozen=True)
class Distilled:
    """One of the students that were distilled.

    Attributes:
        student: what it is; accuracies are those of the held-out training images.
        path: its weights.
    """

    student: TrainedStudent
    path: Path


@dataclass(frozen=True)
class Shrunk:
    """What came out.

    Attributes:
        search: the race.
        distilled: the students that were distilled, the chosen one first.
        network: the chosen one, float32 on the CPU.
        test: what it reaches on the test images.
        logits: of the test images, [n, classes].
        agreement: percent of the test images on which it and its teacher say the same.
        epochs: for which each was distilled.
        seconds: that this call took.
    """

    search: SearchResult
    distilled: tuple[Distilled, ...]
    network: ElasticResNet
    test: Evaluation
    logits: torch.Tensor
    agreement: float
    epochs: int
    seconds: float

    @property
    def chosen(self) -> TrainedStudent:
        """The chosen student."""
        return self.distilled[0].student


def shrink_folder(task: TargetTask, request: Request, parent: Path) -> Path:
    """Where the steps of a request are kept: it depends on data, teacher and all that is asked for."""
    budget = request.budget
    asked = [budget.max_macs, budget.max_params, request.minutes, request.seed]
    key = content_id([task.data.data_id, task.card.teacher_id, *asked])
    return parent / f"{task.data.name}-{key}"


def shrink(
    task: TargetTask,
    request: Request,
    folder: Path,
    *,
    device: torch.device,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
) -> Shrunk:
    """Finds, distils and chooses a student within the time.

    A tenth of the training images is held out; it decides between the students. The test images are used once, at the
    end, for the chosen one.

    Args:
        task: images and teacher.
        request: what is asked for.
        folder: keeps every finished step.
        device: where students train.
        tell: called with a line for each step.
        progress: called with steps done and in all of what is running.

    Raises:
        UsageError: nothing fits the budget, or there are too few images.
        DassError: every student diverged.
    """
    started = time.perf_counter()

    def left() -> float:
        return 60 * request.minutes * (1 - RESERVE) - (time.perf_counter() - started)

    data = held_out(task.data, request.seed)
    teacher = task.teacher.to(device).eval()
    with _goes_on(folder):
        search = _search(replace(task, data=data), request, folder / "search.json", device, progress)
    tell(f"search: {len(search.ranking)} students took part")
    if len(search.ranking) == 1:
        tell("there was time for one student only, so nothing was compared: give more --minutes")

    names = [candidate.architecture for candidate in search.ranking]
    plan = folder / "plan.json"
    if not plan.exists():
        each = epoch_seconds(teacher, names[0], data, device)
        count, epochs = divide_time(left(), each, len(names))
        write_json(plan, {"students": count, "epochs": epochs})
    planned = read_json(plan)
    count, epochs = planned["students"], planned["epochs"]
    tell(f"distillation: {count} students for {epochs} epochs each")
    distilled = []
    for place, architecture in enumerate(names[:count], start=1):
        path = folder / f"{architecture.arch_id}.safetensors"
        if not path.with_suffix(".json").exists():
            _distil(task, data, architecture.arch_id, search, epochs, path, request.seed, device, progress)
        with _goes_on(folder):
            student = load_student(path)[1]
        tell(f"student {place}: {student.final_accuracy:.2f}% of the held-out images, {student.macs / 1e6:.2f} M MACs")
        distilled.append(Distilled(student, path))
    distilled.sort(key=lambda one: (-one.student.final_accuracy, one.student.final_loss, one.student.macs))
    with _goes_on(folder):
        network = load_student(distilled[0].path)[0]
    logits, theirs = (predict(one, task.data.test_images, "float32") for one in (network, task.teacher.cpu()))
    agreement = 100 * float((logits.argmax(1) == theirs.argmax(1)).double().mean())
    test = summarize(logits, task.data.test_labels)
    return Shrunk(search, tuple(distilled), network, test, logits, agreement, epochs, time.perf_counter() - started)


@contextmanager
def _goes_on(folder: Path) -> Iterator[None]:
    """Says what to do where what an earlier run left cannot be read."""
    try:
        yield
    except UsageError:
        raise
    except DassError as error:
        raise DassError(
            f"{folder} cannot be gone on from ({error}): delete this folder and run the same command again"
        ) from error


def _search(
    task: TargetTask, request: Request, file: Path, device: torch.device, progress: Progress | None
) -> SearchResult:
    if file.exists():
        return load_search(file)
    space = SearchSpace.below(task.teacher.architecture, RATIOS, "block")
    size = RaceSize(CANDIDATES, STUDENTS, SEARCH_SHARE * 60 * request.minutes)
    found = search_by_race(
        task, space, shrink_recipe(task.data), budget=request.budget, size=size, seed=request.seed, device=device,
        progress=progress,
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    save_search(file, found)
    return found


def _distil(
    task: TargetTask,
    data: TaskData,
    arch_id: str,
    search: SearchResult,
    epochs: int,
    path: Path,
    seed: int,
    device: torch.device,
    progress: Progress | None,
) -> None:
    [architecture] = [one.architecture for one in search.ranking if one.architecture.arch_id == arch_id]
    recipe = shrink_recipe(data, epochs)
    [result] = distill(task.teacher, [architecture], data, recipe, seed=seed, device=device, progress=progress)
    if result.failure:
        raise DassError(f"student {arch_id} of {data.name} diverged ({result.failure}): give another --seed")
    record = student_record(result, task_key(data, task.teacher, recipe, device), data, device)
    save_student(path, result.network, TrainedStudent.of(record, len(data.classes)))
