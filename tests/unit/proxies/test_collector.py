import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.fidelity import Fidelity
from dass.multi_fidelity.predictor import gather
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.proxies.collector import Collector
from dass.proxies.k_step import KStep
from dass.proxies.noise import Noise
from dass.proxies.one_batch import OneBatch, one_batch_rows
from dass.proxies.size import Size
from dass.proxies.store import ProxyStore, Row
from dass.space.search_space import SearchSpace
from dass.training.workers import Workers


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as pool:
        yield pool


@pytest.fixture
def store(tmp_path: Path) -> ProxyStore:
    return ProxyStore(tmp_path / "evidence")


@pytest.fixture
def collector(
    teacher: ElasticResNet, data: TaskData, recipe: DistillationRecipe, workers: Workers, store: ProxyStore
) -> Collector:
    place = torch.device("cpu")
    return Collector(teacher, data, fixed_noise(16, 0), recipe, workers=workers, store=store, device=place)


def test_rows_are_those_of_the_measurement_and_the_teachers_is_the_largest_students(
    collector: Collector, teacher: ElasticResNet, space: SearchSpace, data: TaskData, recipe: DistillationRecipe
) -> None:
    students = space.sample(20, np.random.default_rng(0))
    found = collector.measure(OneBatch(), students)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as workers have: the order of sums depends on it
    try:
        expected = one_batch_rows(
            teacher, [*students, space.largest], data, alpha=recipe.alpha, temperature=recipe.temperature,
            precision=recipe.precision,
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(np.vstack([found.values, found.teacher]), expected, rtol=1e-6)
    assert found.columns == OneBatch().columns(4)
    size = collector.measure(Size(), students)
    assert list(size.values[:, size.names.index("depth_1")]) == [len(one.widths[0]) for one in students]
    assert collector.measure(Noise(), students).teacher[0] == pytest.approx(1)


def test_nothing_is_measured_twice_and_a_longer_sprint_serves_for_a_shorter(
    collector: Collector, space: SearchSpace, store: ProxyStore, tmp_path: Path
) -> None:
    students = space.sample(3, np.random.default_rng(0))
    calls: list[tuple[int, int]] = []
    first = collector.measure(KStep(10), students, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4, 4)  # with the teacher
    calls.clear()
    again = collector.measure(KStep(5), students[::-1], lambda done, total: calls.append((done, total)))
    assert calls == []
    np.testing.assert_array_equal(again.values, first.values[::-1, : len(KStep(5).columns(4))])
    assert len(list((tmp_path / "evidence").glob("rows-sprint-*.parquet"))) == 1


def test_a_damaged_file_is_named(collector: Collector, space: SearchSpace, tmp_path: Path) -> None:
    students = space.sample(2, np.random.default_rng(0))
    collector.measure(OneBatch(), students)
    [path] = (tmp_path / "evidence").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DassError, match=rf"{path.name} is damaged"):
        collector.measure(OneBatch(), students)


def test_a_store_without_a_folder_keeps_nothing() -> None:
    store = ProxyStore(None)
    store.add("key", {"a": Row(np.zeros(2), 1.0)})
    assert store.read("key") == {}


def test_seconds_are_those_of_measuring_whenever_that_was(collector: Collector, space: SearchSpace) -> None:
    students = space.sample(3, np.random.default_rng(0))
    started = time.perf_counter()
    first = collector.measure(KStep(10), students)
    assert 0.5 * (time.perf_counter() - started) < 3 * first.seconds < time.perf_counter() - started
    assert collector.measure(KStep(10), students).seconds == first.seconds
    assert collector.measure(KStep(5), students).seconds == pytest.approx(first.seconds / 2)
    start = collector.measure(OneBatch(), students)
    together = gather(collector, students, Fidelity("steps", 10))
    assert together.seconds > start.seconds + first.seconds > first.seconds
    assert together.seconds < start.seconds + first.seconds + 1


def test_rows_of_a_file_that_does_not_say_what_they_took_are_measured_again(
    collector: Collector, space: SearchSpace, tmp_path: Path
) -> None:
    students = space.sample(2, np.random.default_rng(0))
    first = collector.measure(OneBatch(), students)
    [path] = (tmp_path / "evidence").glob("*.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["seconds"]).replace_schema_metadata(), path)
    calls: list[int] = []
    again = collector.measure(OneBatch(), students, lambda done, _: calls.append(done))
    assert calls == [3]
    np.testing.assert_array_equal(again.values, first.values)
    assert "seconds" in pq.read_table(path).column_names


def test_a_worker_that_dies_is_an_error_once_the_rest_is_measured_and_a_rerun_measures_what_was_lost(
    collector: Collector, space: SearchSpace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    students = space.sample(2, np.random.default_rng(0))
    killer = (
        "import os\nfrom dass.proxies.k_step import KStep\n\n\nclass Killer(KStep):\n"
        "    def rows(self, subject, architectures):\n"
        "        if architectures[0] == subject.teacher.architecture:\n            os._exit(3)\n"
        "        return super().rows(subject, architectures)\n"
    )
    (tmp_path / "killer.py").write_text(killer)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    from killer import Killer  # type: ignore[import-not-found]

    with Workers(1) as fresh, monkeypatch.context() as patched:
        patched.setattr(collector, "_workers", fresh)
        with pytest.raises(DassError, match=r"1 of 3 architectures of rows .*steps5.* exited with code 3.* goes on"):
            collector.measure(Killer(5), students)
    calls: list[tuple[int, int]] = []
    assert np.isfinite(collector.measure(KStep(5), students, lambda *call: calls.append(call)).values).all()
    assert calls == [(1, 1)]
