"""Which students are shown, what they cost, and what adapting to them does."""

import numpy as np
import pytest

from dass.baselines.methods.few_shot import FewShot, few_shot_curve, reveal
from dass.baselines.methods.meta_predictors import MetaPredictorRanker
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.predictor.scorer import score_candidates
from dass.tasks.ranking import RankingTask
from tests.samples import predictor_settings


@pytest.fixture(scope="module")
def meta(sources: list[RankingTask]) -> MetaPredictorRanker:
    settings = predictor_settings(episodes=20, query=8, learning_rate=5e-3)
    return MetaPredictorRanker(settings, precision="float32", device="cpu").fit(sources[:3], sources[3:])


@pytest.fixture(scope="module")
def rivals(sources: list[RankingTask]) -> list[FewShot]:
    settings = predictor_settings(episodes=10, query=8, learning_rate=5e-3)
    made = [MetaPredictorRanker(settings, shots=shots, precision="float32", device="cpu") for shots in (1, 3)]
    return [FewShot(one.shots or 0, one).fit(sources[:3], sources[3:]) for one in made]


def test_smaller_draws_are_the_first_of_larger_ones(target: RankingTask) -> None:
    large, small, other = reveal(target, 20, 1), reveal(target, 5, 1), reveal(target, 20, 2)
    np.testing.assert_array_equal(large.shown[:5], small.shown)
    assert not np.array_equal(large.shown, other.shown)
    assert sorted([*large.shown, *large.held_out]) == list(range(30))
    assert large.task.architectures == tuple(target.architectures[i] for i in large.shown)
    assert large.task.accuracies == tuple(target.accuracies[i] for i in large.shown)


def test_adapts_to_the_first_known_students(meta: MetaPredictorRanker, target: RankingTask) -> None:
    part = reveal(target, 6, 0)
    others = [target.architectures[i] for i in part.held_out]
    found = FewShot(3, meta).fit([], []).score(part.task, others)
    predictor, tensors = meta.predictor_, target.tensors()
    assert predictor is not None
    shown = part.shown[:3]
    adapted = predictor.adapt_to_students(
        tensors.teacher_embedding, tensors.student_embeddings[shown], tensors.codes[shown], tensors.accuracies[shown]
    )
    expected = score_candidates(adapted, target.teacher, others, target.space, target.noise)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not np.allclose(found, meta.score(target, others))


def test_a_fitted_predictor_is_shared(meta: MetaPredictorRanker, sources: list[RankingTask]) -> None:
    before = meta.predictor_
    assert FewShot(1, meta).fit(sources[:3], sources[3:]).meta_ is meta
    assert meta.predictor_ is before


def test_each_number_of_shots_is_learned_from_as_many(rivals: list[FewShot]) -> None:
    learned = [rival.meta.predictor_ for rival in rivals]
    assert learned[0] is not None and learned[1] is not None
    one, three = (predictor.predictor.layers["hidden"] for predictor in learned)
    assert not np.allclose(one.detach(), three.detach())


def test_the_curve_ranks_the_same_students_for_all_shots(
    meta: MetaPredictorRanker, rivals: list[FewShot], target: RankingTask
) -> None:
    seconds = [float(2**i) for i in range(30)]
    points = few_shot_curve(meta, rivals, target, seconds, draws=2, seed=4)
    assert [(point.draw, point.shots, point.n) for point in points] == [
        (draw, shots, 27) for draw in (0, 1) for shots in (0, 1, 3)
    ]
    for draw in (0, 1):
        part = reveal(target, 3, 4 + draw)
        guide, one, three = points[3 * draw : 3 * draw + 3]
        assert one.seconds == seconds[part.shown[0]]
        assert three.seconds == sum(seconds[i] for i in part.shown)
        assert 0 < guide.seconds < 10
        others = [target.architectures[i] for i in part.held_out]
        truth = [target.accuracies[i] for i in part.held_out]
        assert guide.src == pytest.approx(float(spearman(meta.score(target, others), truth)))
        assert three.src == pytest.approx(float(spearman(rivals[1].score(part.task, others), truth)))


def test_too_few_students_are_refused(meta: MetaPredictorRanker, target: RankingTask) -> None:
    with pytest.raises(UsageError, match=r"30 known .* 29"):
        reveal(target, 29, 0)
    with pytest.raises(UsageError, match=r"5 students of target .* 3"):
        FewShot(5, meta).fit([], []).score(reveal(target, 3, 0).task, [target.space.largest])


def test_a_predictor_that_has_learned_nothing_is_refused(
    meta: MetaPredictorRanker, rivals: list[FewShot], target: RankingTask
) -> None:
    fresh = MetaPredictorRanker(predictor_settings())
    with pytest.raises(UsageError, match="call fit"):
        few_shot_curve(fresh, rivals, target, [1.0] * 30)
    with pytest.raises(UsageError, match="call fit"):
        few_shot_curve(meta, [FewShot(1, fresh)], target, [1.0] * 30)
    with pytest.raises(UsageError, match="too few students"):
        few_shot_curve(meta, [], target, [1.0] * 30)
