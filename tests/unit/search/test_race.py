"""Successive halving over students that train."""

from dataclasses import replace

import pytest
import torch

from dass.config import Search
from dass.errors import DassError, UsageError
from dass.fidelity import Fidelity
from dass.networks.elastic_resnet import ElasticResNet
from dass.search import race as racing
from dass.search.budget import AskedBudget, RaceSize
from dass.search.constraints import Constraints
from dass.search.race import FIRST, RaceSearch
from dass.search.result import SearchResult
from dass.space.cost import cost
from dass.tasks.task import Task
from dass.training.member import Member
from dass.training.recipes import train_teacher
from tests.factories import teacher_card
from tests.samples import RECIPE, SPACE, TEACHER_RECIPE, rows_task

CPU = torch.device("cpu")
FLOAT32 = RECIPE.model_copy(update={"precision": "float32"})


@pytest.fixture(scope="module")
def task() -> Task:
    data = rows_task()
    teacher, result = train_teacher(data, SPACE.largest, TEACHER_RECIPE, seed=0, device=CPU)
    return Task(data, teacher, teacher_card(teacher, data, result.accuracy))


def race(task: Task, size: RaceSize, constraints: Constraints | None = None, **more: object) -> SearchResult:
    return RaceSearch(SPACE, size, 0, CPU, FLOAT32).rank(task, constraints or Constraints(), **more)  # type: ignore[arg-type]


def test_half_go_on_for_twice_as_long(task: Task) -> None:
    found = race(task, RaceSize(candidates=20, students=8))
    steps = [candidate.fidelity.steps for candidate in found.ranking]
    assert steps == [4 * FIRST] * 2 + [2 * FIRST] * 2 + [FIRST] * 4
    assert found.pick == found.ranking[0]
    assert all(0 <= candidate.predicted <= 100 for candidate in found.ranking)
    assert len({candidate.architecture for candidate in found.ranking}) == 8


def test_the_same_seed_gives_the_same_ranking_and_test_images_play_no_part(task: Task) -> None:
    size = RaceSize(candidates=6, students=4)
    found = race(task, size)
    spoilt = replace(task, data=replace(task.data, test_images=255 - task.data.test_images))
    for other in (race(task, size), race(spoilt, size)):
        assert [(one.architecture, one.predicted) for one in other.ranking] == [
            (one.architecture, one.predicted) for one in found.ranking
        ]


def test_within_the_constraints(task: Task) -> None:
    limit = cost(SPACE.largest, 16, 4).macs * 0.5 / 1e6
    found = race(task, RaceSize(candidates=10, students=4), Constraints(max_macs=limit))
    assert all(candidate.cost.macs <= limit * 1e6 for candidate in found.ranking)
    with pytest.raises(UsageError, match="smallest member"):
        race(task, RaceSize(candidates=10, students=4), Constraints(max_macs=1e-6))


def test_no_time_leaves_one_student(task: Task) -> None:
    assert len(race(task, RaceSize(candidates=8, students=8, seconds=0.001)).ranking) == 1


@pytest.mark.parametrize(("seconds", "steps"), [(4.0, 160), (12.0, 360)])
def test_a_limited_time_is_used(task: Task, monkeypatch: pytest.MonkeyPatch, seconds: float, steps: int) -> None:
    """As many start as leave time for the rounds that follow; the clock ticks with each student's step alone."""
    now = [0.0]
    monkeypatch.setattr(racing.time, "perf_counter", lambda: now[0])
    step = Member.step

    def counted(self: Member, *arguments: object) -> object:
        now[0] += seconds / steps
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Member, "step", counted)
    race(task, RaceSize(candidates=80, students=80, seconds=seconds))
    assert 0.65 * seconds < now[0] <= seconds


BLOCK = Search(method="race", candidates=500, one_batch=100, k_step=8, steps=10, top=5)


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (64, 8, None)), ({"k_step": 20}, (100, 20, None)), ({"one_batch": 4}, (4, 4, None)),
        ({"k_step": 200}, (200, 200, None)), ({"candidates": 30}, (30, 8, None)),
        ({"seconds": 9.0}, (3000, 3000, 9.0)), ({"seconds": 9.0, "one_batch": 50}, (50, 50, 9.0)),
        ({"candidates": 5, "one_batch": 50}, (5, 5, None)),
    ],
)  # fmt: skip
def test_the_size_is_what_is_asked_for(asked: dict[str, int], size: tuple[int, int, float | None]) -> None:
    assert RaceSize.of(BLOCK, AskedBudget(**asked)) == RaceSize(*size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "asked",
    [{"k_step": 0}, {"k_step": 4, "seconds": 3.0}, {"k_step": 4, "one_batch": 3}, {"k_step": 4, "candidates": 3}],
)
def test_what_cannot_be_honoured_is_an_error(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        RaceSize.of(BLOCK, AskedBudget(**asked))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"search\.k_step"):
        RaceSize.of(BLOCK.model_copy(update={"k_step": 0}), AskedBudget())


def test_one_student_needs_no_rival(task: Task) -> None:
    [only] = race(task, RaceSize(candidates=1, students=1)).ranking
    assert only.fidelity == Fidelity("steps", FIRST)


def test_progress_ends_at_the_whole(task: Task) -> None:
    told: list[tuple[int, int]] = []
    race(task, RaceSize(candidates=4, students=4), progress=lambda *numbers: told.append(numbers))
    assert all(done <= whole for done, whole in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_divergence_is_an_error(task: Task) -> None:
    broken = ElasticResNet(SPACE.largest, 4)
    with torch.no_grad():
        broken.head.weight.fill_(float("inf"))
    with pytest.raises(DassError, match="diverged"):
        race(replace(task, teacher=broken), RaceSize(candidates=4, students=2))
