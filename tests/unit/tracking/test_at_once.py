"""What several processes do to one store at the same time comes out as if they had waited for each other.

Threads stand for processes: the locks are those of the operating system on files that each opens for itself.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dass.datasets.task_data import TaskData
from dass.tracking import promotion, registry, runs
from dass.tracking.promotion import promote
from dass.tracking.registry import RegisteredVersion, find_version
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store
from dass.tracking.student_registration import register_student
from tests.unit.tracking.conftest import LINEAGE, Student

NAME = "dass-student-pets"
AT_ONCE = 3


def slowly(module: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a step between looking and writing long enough for others to come between."""
    step = getattr(module, name)

    def slow(*args: object, **more: object) -> object:
        time.sleep(0.3)
        return step(*args, **more)

    monkeypatch.setattr(module, name, slow)


def at_once(work: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, range(AT_ONCE)))


def test_a_student_that_is_filed_three_times_at_once_is_one_version(
    store: Store, data: TaskData, make_student: Callable[..., Student], monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly(registry, "_log_model", monkeypatch)
    network, card = make_student(2)
    run_id = record_run(store, RunContent("targets", card.target, LINEAGE))

    def file(_: int) -> RegisteredVersion:
        return register_student(store, run_id, network=network, data=data, card=card, lineage=LINEAGE)

    versions = at_once(file)
    assert versions == [versions[0]] * AT_ONCE
    assert [version.version for version in store.client.search_model_versions(f"name = '{NAME}'")] == [1]


def test_a_version_that_another_machine_filed_meanwhile_is_kept(
    store: Store, register: Callable[..., RegisteredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(2)
    looked: list[object] = [None, None]  # before the work, and under the lock: it is not there yet

    def find(*args: object) -> object:
        return looked.pop() if looked else find_version(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "find_version", find)
    monkeypatch.setattr("dass.tracking.student_registration.find_version", find)
    assert register(2) == first
    assert [version.version for version in store.client.search_model_versions(f"name = '{NAME}'")] == [1]


def test_each_of_several_winners_has_beaten_the_one_before(
    store: Store, register: Callable[..., RegisteredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "SIGNIFICANCE", 0.95)  # all three answer one class each: any beats any other
    first = register(0)
    promote(store, first)
    candidates = [register(answer, seed=seed) for seed, answer in enumerate((1, 2, 1))]
    slowly(promotion, "_settle", monkeypatch)
    at_once(lambda index: promote(store, candidates[index]))
    tags = [store.client.get_model_version(NAME, str(one.version)).tags for one in candidates]
    beaten = [one["promotion.previous"] for one in tags if one["promotion.verdict"] == "champion"]
    assert len(beaten) == len(set(beaten)) >= 1
    assert str(first.version) in beaten


def test_two_first_versions_at_once_have_one_champion(
    store: Store, register: Callable[..., RegisteredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [register(answer) for answer in (2, 1, 0)]
    slowly(promotion, "_settle", monkeypatch)
    verdicts = at_once(lambda index: promote(store, candidates[index]))
    assert sorted(verdict.alias for verdict in verdicts) == ["challenger", "challenger", "champion"]  # type: ignore[attr-defined]


def test_a_run_that_is_recorded_three_times_at_once_is_one_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(runs, "_write", monkeypatch)
    content = RunContent("targets", "pets", LINEAGE, params={"seed": 0})
    found = at_once(lambda _: record_run(store, content))
    assert found == [found[0]] * AT_ONCE
    assert len(store.client.search_runs([store.experiment_id("targets")])) == 1
