"""What is promised of every proxy; and a new one, which needs its class and an entry."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.fidelity import FIDELITIES, ONE_BATCH, SIZE, Fidelity
from dass.multi_fidelity.predictor import gather
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.proxies import registry
from dass.proxies.collector import Collector
from dass.proxies.k_step import KStep
from dass.proxies.proxy import Proxy, StoredProxy, Subject
from dass.proxies.registry import PROXIES, columns_at, proxies_at, read_columns
from dass.proxies.store import ProxyStore
from dass.proxies.table import Column, Floats
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.training.workers import Workers

CPU = torch.device("cpu")


@pytest.fixture(params=[*(kind for kind in PROXIES if kind is not KStep), lambda: KStep(10)])
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return request.param()


@pytest.fixture
def subject(proxy: Proxy, teacher: ElasticResNet, data: TaskData, recipe: DistillationRecipe) -> Subject:
    subject = Subject(teacher, lambda: data, fixed_noise(16, 0), recipe, 0, CPU)
    if isinstance(proxy, StoredProxy):
        subject = replace(subject, shared=proxy.prepare(lambda function: function(subject)))
    return subject


def test_a_row_has_a_number_for_each_column_and_depends_on_no_other_student(
    proxy: Proxy, subject: Subject, space: SearchSpace
) -> None:
    students = [space.largest, *space.sample(3, np.random.default_rng(0))]
    rows = proxy.rows(subject, students)
    assert rows.shape == (4, len(proxy.columns(4)))
    assert rows.dtype == np.float64
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(proxy.rows(subject, students[::-1])[::-1], rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(proxy.rows(subject, students[2:3]), rows[2:3], rtol=1e-5, atol=1e-6)


def test_columns_are_named_once_and_read_back() -> None:
    columns = columns_at(FIDELITIES[-1], 4)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert read_columns(names) == columns
    with pytest.raises(UsageError, match="luck"):
        read_columns(["luck"])


def test_a_fidelity_has_its_own_proxies_and_the_cheaper_ones() -> None:
    counts = [len(proxies_at(fidelity)) for fidelity in FIDELITIES]
    assert counts == sorted(counts)
    for fidelity in FIDELITIES:
        assert {column.fidelity for column in columns_at(fidelity, 4)} <= {
            other for other in FIDELITIES if other.level <= fidelity.level
        }
        assert fidelity in {column.fidelity for column in columns_at(fidelity, 4)}
    assert columns_at(SIZE, 4) == columns_at(FIDELITIES[-1], 4)[: len(columns_at(SIZE, 4))]


class Spread(Proxy):
    """A new proxy: how differently the student's classifier weights its classes."""

    fidelity = ONE_BATCH

    def columns(self, stages: int) -> tuple[Column, ...]:
        """See `Proxy.columns`."""
        return (Column("spread", ONE_BATCH),)

    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """See `Proxy.rows`."""
        weight = subject.teacher.head.weight.detach()
        return np.array([[float(weight[:, : one.widths[-1][-1]].std())] for one in architectures])


def test_a_new_proxy_is_a_class_and_an_entry(
    monkeypatch: pytest.MonkeyPatch,
    teacher: ElasticResNet,
    data: TaskData,
    recipe: DistillationRecipe,
    space: SearchSpace,
) -> None:
    monkeypatch.setattr(registry, "PROXIES", (*PROXIES, Spread))
    students = space.sample(3, np.random.default_rng(0))
    tables: dict[Fidelity, Any] = {}
    with Workers(0) as workers:
        collector = Collector(
            teacher, data, fixed_noise(16, 0), recipe, workers=workers, store=ProxyStore(None), device=CPU
        )
        for fidelity in (SIZE, ONE_BATCH, Fidelity("steps", 5)):
            tables[fidelity] = gather(collector, students, fidelity)
    assert "spread" not in tables[SIZE].names
    for fidelity in (ONE_BATCH, Fidelity("steps", 5)):
        index = tables[fidelity].names.index("spread")
        assert tables[fidelity].values[:, index].shape == (3,)
        assert tables[fidelity].teacher[index] > 0
    assert read_columns(["spread"])[0].fidelity == ONE_BATCH
