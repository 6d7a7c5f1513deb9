import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch

from dass.config import DistillationRecipe, recipe_id
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.students import build
from dass.students.build import build_students, student_record
from dass.students.plan import StudentJob, target_jobs
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.training.recipes import distill
from dass.training.workers import Workers

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def teacher(space: SearchSpace) -> ElasticResNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ElasticResNet(space.largest, 4).eval()


@pytest.fixture(scope="module")
def serial(
    data: TaskData, space: SearchSpace, teacher: ElasticResNet, recipe: DistillationRecipe
) -> list[StudentRecord]:
    """Each student alone, in this process, with one thread as the workers have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    key = task_key(data, teacher, recipe, CPU)
    records = []
    for job in target_jobs(space, 4, 0, repeated=1):
        [result] = distill(teacher, [job.architecture], data, recipe, seed=job.seed, device=CPU)
        records.append(student_record(result, key, data, CPU))
    torch.set_num_threads(threads)
    return records


def by_identity(records: list[StudentRecord]) -> list[StudentRecord]:
    """Sorted, without what may differ between runs."""
    plain = [replace(record, seconds=0.0, finished_at="") for record in records]
    return sorted(plain, key=lambda record: (record.arch_id, record.seed))


@pytest.fixture
def start(
    data: TaskData, teacher: ElasticResNet, recipe: DistillationRecipe, workers: Workers
) -> Callable[..., Iterator[list[StudentRecord]]]:
    """`build_students` for jobs of the tiny task."""
    return partial(build_students, teacher, partial(copy.copy, data), recipe=recipe, workers=workers, device=CPU)


@pytest.mark.parametrize(("group", "keep"), [(1, True), (3, True), (2, False)])
def test_records_are_the_same_bits_as_serial_ones(
    start: Callable[..., Iterator[list[StudentRecord]]],
    space: SearchSpace,
    serial: list[StudentRecord],
    group: int,
    keep: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not keep:
            patch.setattr(build, "fits", lambda *_: False)  # the teacher looks at each batch as it comes
        seen: list[tuple[int, int]] = []
        batches = list(
            start(target_jobs(space, 4, 0, repeated=1), group=group, progress=lambda *counts: seen.append(counts))
        )
    assert max(map(len, batches)) == group
    assert by_identity([record for batch in batches for record in batch]) == by_identity(serial)
    assert seen[-1] == (5, 5)


def test_record_says_what_was_distilled(
    data: TaskData, space: SearchSpace, teacher: ElasticResNet, recipe: DistillationRecipe, serial: list[StudentRecord]
) -> None:
    record, job = serial[0], target_jobs(space, 4, 0)[0]
    price = cost(job.architecture, 16, 4)
    assert record.architecture == job.architecture
    assert (record.arch_id, record.seed) == (job.architecture.arch_id, 0)
    assert (record.macs, record.params) == (price.macs, price.parameters)
    assert (record.task, record.data_id, record.recipe_id) == ("rows", data.data_id, recipe_id(recipe, "bfloat16"))
    assert record.device == "cpu" and record.finished_at.endswith("+00:00") and record.failure == ""


class DyingLoad:
    """Loads a task's data, but kills the process in which its fourth copy arrives.

    Three go out for the teacher's logits of three epochs, the fourth is that of the first student.
    """

    def __init__(self, load: partial[TaskData]) -> None:
        self.load = load
        self.copies = 0

    def __call__(self) -> TaskData:
        return self.load()

    def __reduce__(self) -> tuple:
        self.copies += 1
        if self.copies == 4:
            return eval, ("__import__('os').kill(__import__('os').getpid(), 9)",)
        return partial, (self.load,)


def test_a_dying_worker_loses_only_its_group(
    data: TaskData, space: SearchSpace, teacher: ElasticResNet, recipe: DistillationRecipe, workers: Workers
) -> None:
    load = DyingLoad(partial(copy.copy, data))
    records: list[StudentRecord] = []
    with pytest.raises(DassError, match=r"1 of 3 students .*signal 9"):
        for batch in build_students(teacher, load, target_jobs(space, 3, 0), recipe, workers=workers, device=CPU):
            records += batch
    assert len(records) == 2


def test_student_larger_than_its_teacher_is_refused_before_anything_runs(
    start: Callable[..., Iterator[list[StudentRecord]]],
) -> None:
    with pytest.raises(UsageError, match="exceeds its teacher"):
        next(start([StudentJob(Architecture(((5,), (8,), (8,), (16,))), 0)]))


def test_key_changes_with_all_that_could_change_a_result(
    data: TaskData, teacher: ElasticResNet, recipe: DistillationRecipe
) -> None:
    key = task_key(data, teacher, recipe, CPU)
    other_teacher = copy.deepcopy(teacher)
    with torch.no_grad():
        other_teacher.classifier.bias[0] += 1
    assert task_key(data, other_teacher, recipe, CPU) != key
    assert task_key(replace(data, data_id="f" * 12), teacher, recipe, CPU) != key
    assert task_key(data, teacher, recipe.model_copy(update={"alpha": 0.4}), CPU) != key
    assert task_key(data, teacher, recipe.model_copy(update={"precision": "float32"}), CPU) != key
    assert task_key(data, copy.deepcopy(teacher), recipe, CPU) == key
