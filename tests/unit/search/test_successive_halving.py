from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.fidelity import FIDELITIES, NOISE, ONE_BATCH, Fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask, Prediction
from dass.networks.elastic_resnet import ElasticResNet
from dass.proxies.registry import columns_at
from dass.proxies.table import ProxyTable
from dass.search import successive_halving as climbing
from dass.search.budget import SearchBudget
from dass.search.constraints import Constraints
from dass.search.result import SearchResult, load_search, save_search
from dass.search.successive_halving import MultiFidelitySearch, RungReport
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from tests.factories import teacher_card
from tests.samples import RECIPE

SPACE = SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")
COLUMNS = columns_at(Fidelity("steps", 50), 4)
NAMES = [column.name for column in COLUMNS]


def learned() -> MultiFidelityPredictor:
    """A multi-fidelity predictor that has seen larger students be better."""
    tasks = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(16, len(NAMES)))
        accuracies = 50 + 5 * values[:, 0]
        tasks.append(
            MultiFidelityTask(
                ProxyTable(COLUMNS, values, np.array([2.0 if name.startswith("depth_") else 0.0 for name in NAMES])),
                accuracies,
                60.0,
                3,
                500,
            )
        )
    return MultiFidelityPredictor(alpha=0.5, temperature=6.0).fit(tasks)


@pytest.fixture(scope="module")
def task() -> Task:
    """A task whose teacher gets 60% of 500 test images right."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = ElasticResNet(SPACE.largest, 3).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(24, 3, 16, 16), dtype=np.uint8))
    labels = torch.arange(24) % 3
    data = TaskData("pets", ("a", "b", "c"), images, labels, images, labels, "0123456789ab")
    return Task(data, teacher, teacher_card(teacher, data, 60.0), left_out=500 - len(data.test_labels))


def search(
    task: Task, budget: SearchBudget, predictor: MultiFidelityPredictor | None = None
) -> tuple[SearchResult, list[RungReport]]:
    rungs: list[RungReport] = []
    recipe = RECIPE.model_copy(update={"epochs": 1, "batch_size": 8, "precision": "float32", "evaluations": 1})
    method = MultiFidelitySearch(
        predictor or learned(), "l" * 12, SPACE, recipe, 0, budget, 0, torch.device("cpu"), workers=0,
        on_rung=rungs.append,
    )  # fmt: skip
    return method.rank(task, Constraints(max_macs=0.9)), rungs


@pytest.fixture(scope="module")
def found(task: Task) -> tuple[SearchResult, list[RungReport]]:
    return search(task, SearchBudget(candidates=60, one_batch=12, k_step=4))


def test_each_rung_takes_fewer_of_the_best(found: tuple[SearchResult, list[RungReport]]) -> None:
    result, rungs = found
    assert [(one.fidelity, one.candidates) for one in rungs] == [
        (NOISE, 60), (ONE_BATCH, 12), (Fidelity("steps", 10), 4), (Fidelity("steps", 20), 2),
        (Fidelity("steps", 50), 1),
    ]  # fmt: skip
    counts = {
        fidelity: sum(candidate.fidelity == fidelity for candidate in result.ranking) for fidelity in (NOISE, ONE_BATCH)
    }
    assert counts == {NOISE: 48, ONE_BATCH: 8}


def test_candidates_are_within_the_constraints_ranked_and_have_intervals(
    found: tuple[SearchResult, list[RungReport]],
) -> None:
    result, _ = found
    assert len(result.ranking) == 60
    assert [c.score for c in result.ranking] == sorted((c.score for c in result.ranking), reverse=True)
    assert result.pick == result.ranking[0]
    for candidate in result.ranking:
        assert candidate.low is not None and candidate.high is not None
        assert 0 <= candidate.low < candidate.score < candidate.high <= 100
        assert result.constraints.allows(candidate.cost)


def test_a_result_with_intervals_comes_back_from_its_file(
    found: tuple[SearchResult, list[RungReport]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("search") / "search.json"
    save_search(path, found[0])
    assert load_search(path).ranking == found[0].ranking


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates take time by the fidelity they are looked at from, and nothing else takes any; four cores."""
    monkeypatch.setattr(climbing, "K_STEP_AT_ONCE", 4)
    now = [0.0]
    prices = {
        NOISE: 0.0,
        ONE_BATCH: 0.01,
        Fidelity("steps", 10): 1.0,
        Fidelity("steps", 20): 2.0,
        Fidelity("steps", 50): 5.0,
    }

    def predicted(ascent: Any, architectures: Sequence[Architecture], fidelity: Fidelity) -> Prediction:
        now[0] += len(architectures) * prices[fidelity]
        return plain(ascent, architectures, NOISE)

    plain = climbing._Ascent.predict
    monkeypatch.setattr(climbing._Ascent, "predict", predicted)
    monkeypatch.setattr(climbing.time, "perf_counter", lambda: now[0])


@pytest.mark.parametrize(
    ("seconds", "counts"),
    [
        (60, [60, 60, 20, 10, 4]),  # 59.4 s are left after one batch: 19.8 for each length
        (3, [60, 60, 4]),  # 0.8 s for each, but what was begun is finished and takes 4
        (1e-3, [60, 60]),
    ],
)
@pytest.mark.usefixtures("clock")
def test_as_many_sprint_as_the_time_is_enough_for(task: Task, seconds: float, counts: list[int]) -> None:
    _, rungs = search(task, SearchBudget(candidates=60, one_batch=60, k_step=0, seconds=seconds))
    assert [one.candidates for one in rungs] == counts


@pytest.mark.usefixtures("clock")
def test_starts_stop_after_a_third_of_the_time(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "ONE_BATCH_AT_ONCE", 10)
    result, rungs = search(task, SearchBudget(candidates=60, one_batch=60, k_step=0, seconds=0.75))
    assert [(one.fidelity, one.candidates) for one in rungs][1] == (ONE_BATCH, 30)
    assert len(result.ranking) == 60


def test_a_predictor_of_short_trainings_alone_is_used_to_its_end(task: Task) -> None:
    short = learned()
    short.processes_ = {fidelity: one for fidelity, one in short.processes_.items() if fidelity in FIDELITIES[:4]}
    _, rungs = search(task, SearchBudget(candidates=20, one_batch=8, k_step=3), short)
    assert [(one.fidelity, one.candidates) for one in rungs] == [(NOISE, 20), (ONE_BATCH, 8), (Fidelity("steps", 5), 3)]
