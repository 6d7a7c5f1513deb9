"""One suite over every method. A new method joins by one line in RANKERS."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dass.baselines.meta_predictors import VARIANTS, MetaPredictorRanker
from dass.baselines.ranker import Ranker, RankingTask
from dass.baselines.trivial import Depth, Macs, Parameters, Random
from dass.errors import UsageError

RANKERS: dict[str, Callable[[], Ranker]] = {
    "parameters": Parameters,
    "MACs": Macs,
    "depth": Depth,
    "random": Random,
    **{
        name: lambda name=name: MetaPredictorRanker(  # type: ignore[misc]
            name, episodes=4, query=8, validate_every=2, precision="float32", device="cpu"
        )
        for name in VARIANTS
    },
}


@pytest.fixture(scope="module", params=RANKERS)
def ranker(request: pytest.FixtureRequest, sources: list[RankingTask]) -> Ranker:
    made = RANKERS[request.param]()
    assert not [name for name in vars(made) if name.endswith("_")]  # the constructor only stores its arguments
    assert made.fit(sources[:3], sources[3:]) is made
    return made


def test_a_finite_score_for_each_student(ranker: Ranker, target: RankingTask) -> None:
    scores = ranker.score(target, target.architectures)
    assert scores.shape == (30,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0


def test_scores_do_not_depend_on_company_or_order(ranker: Ranker, target: RankingTask) -> None:
    scores = ranker.score(target, target.architectures)
    order = np.random.default_rng(0).permutation(30)[:11]
    some = ranker.score(target, [target.architectures[i] for i in order])
    np.testing.assert_allclose(some, scores[order], rtol=1e-5)
    assert len(ranker.score(target, [])) == 0


def test_nothing_is_disturbed(ranker: Ranker, target: RankingTask) -> None:
    before = copy.deepcopy(target.teacher.state_dict())
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    first = ranker.score(target, target.architectures)
    second = ranker.score(target, target.architectures)
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])
    assert not target.teacher.training
    assert all(p.requires_grad and p.grad is None for p in target.teacher.parameters())
    for name, value in target.teacher.state_dict().items():
        assert torch.equal(value, before[name])


def test_true_accuracies_of_the_target_are_not_looked_at(ranker: Ranker, target: RankingTask) -> None:
    blind = RankingTask(target.name, target.teacher, target.teacher_accuracy, target.data, target.space, target.noise)
    np.testing.assert_allclose(
        ranker.score(blind, target.architectures), ranker.score(target, target.architectures), rtol=1e-6
    )


@pytest.mark.parametrize("name", [name for name in RANKERS if name in VARIANTS])
def test_a_method_that_learns_says_so_before_it_has(name: str, target: RankingTask) -> None:
    with pytest.raises(UsageError, match="call fit"):
        RANKERS[name]().score(target, target.architectures)
