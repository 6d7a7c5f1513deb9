"""One suite over every method of the catalogue: a new method joins by its entry."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dass.baselines.catalogue import make_ranker
from dass.baselines.methods.few_shot import reveal
from dass.baselines.ranker import Ranker, Settings
from dass.config import Predictor
from dass.errors import UsageError
from dass.method_names import METHODS, Method
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from tests.samples import RECIPE

SETTINGS = Settings(
    Predictor(episodes=4, query=8, inner_steps=1, inner_rate=0.005, learning_rate=5e-4, validate_every=2),
    RECIPE.model_copy(update={"epochs": 1, "batch_size": 8, "precision": "float32", "evaluations": 1}),
    device="cpu",
    workers=0,
)


@dataclass(frozen=True)
class Case:
    """A fitted method, a target as it may see it, and six students to rank."""

    method: Method
    settings: Settings
    sources: list[RankingTask]
    ranker: Ranker
    task: RankingTask
    students: tuple[Architecture, ...]

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        return self.ranker.score(self.task, self.students)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all methods keep their proxies."""
    return tmp_path_factory.mktemp("evidence")


@pytest.fixture(scope="module", params=reversed(METHODS))  # longest trainings first: they serve the shorter ones too
def case(request: pytest.FixtureRequest, sources: list[RankingTask], target: RankingTask, proxies: Path) -> Case:
    method = METHODS[request.param]
    settings = replace(SETTINGS, proxies=proxies)
    ranker = make_ranker(method.key, settings)
    assert not [name for name in vars(ranker) if name.endswith("_")]  # the constructor only stores its arguments
    if method.group == "multi_fidelity":  # it trains each student for a moment: a few of two tasks are enough
        sources = [
            replace(task, architectures=task.architectures[:4], accuracies=task.accuracies[:4]) for task in sources[2:]
        ]
    assert ranker.fit(sources[:-1], sources[-1:]) is ranker
    if method.group != "few-shot":
        return Case(
            method,
            settings,
            sources,
            ranker,
            replace(target, architectures=(), accuracies=()),
            target.architectures[:6],
        )
    shown = reveal(target, 20, seed=0)
    return Case(
        method, settings, sources, ranker, shown.task, tuple(target.architectures[i] for i in shown.held_out[:6])
    )


def test_a_finite_score_for_each_student(case: Case) -> None:
    assert case.scores.shape == (6,)
    assert case.scores.dtype == np.float64
    assert np.isfinite(case.scores).all()
    assert np.ptp(case.scores) > 0
    assert case.ranker.score(case.task, []).shape == (0,)


def test_scores_do_not_depend_on_company_or_order(case: Case) -> None:
    some = case.ranker.score(case.task, [case.students[i] for i in (4, 1, 3)])
    np.testing.assert_allclose(some, case.scores[[4, 1, 3]], rtol=1e-5)


def test_nothing_is_disturbed(case: Case) -> None:
    teacher, images = case.task.teacher, case.task.data.train_images.clone()
    before = copy.deepcopy(teacher.state_dict())
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    np.testing.assert_array_equal(case.ranker.score(case.task, case.students), case.scores)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])
    assert not any(module.training for module in teacher.modules())
    assert all(p.requires_grad and p.grad is None for p in teacher.parameters())
    assert torch.equal(case.task.data.train_images, images)
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])


def test_fitting_again_gives_the_same(case: Case) -> None:
    state = torch.get_rng_state()
    again = make_ranker(case.method.key, case.settings).fit(case.sources[:-1], case.sources[-1:])
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(
        again.score(case.task, case.students[:2]), case.ranker.score(case.task, case.students[:2])
    )


def test_nothing_of_the_target_is_looked_at_that_truth_comes_from(case: Case, target: RankingTask) -> None:
    data = target.data
    other = replace(data, test_images=255 - data.test_images, test_labels=data.test_labels.flip(0))
    if case.method.group == "few-shot":
        with pytest.raises(UsageError, match="both shown and to be ranked"):
            case.ranker.score(target, target.architectures[:1])
        task = replace(case.task, data=other)
    else:
        task = replace(target, data=other, accuracies=target.accuracies[::-1])
    np.testing.assert_allclose(case.ranker.score(task, case.students[:3]), case.scores[:3], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.learns])
def test_a_method_that_learns_says_so_before_it_has(name: str, target: RankingTask) -> None:
    with pytest.raises(UsageError, match="call fit"):
        make_ranker(name, SETTINGS).score(target, target.architectures)
