"""What the variants learn."""

import pytest

from dass.baselines.methods.meta_predictors import VARIANTS, MetaPredictorRanker
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.tasks.ranking import RankingTask
from tests.samples import predictor_settings


def ranker_of(variant: str, episodes: int) -> MetaPredictorRanker:
    settings = predictor_settings(episodes=episodes, query=12, learning_rate=5e-3)
    return MetaPredictorRanker(settings, variant, precision="float32", device="cpu")


@pytest.mark.parametrize("variant", ["dass", "dass_unguided", "meta_sgd", "dass_2_steps"])
def test_learns_what_ranks_an_unseen_target(variant: str, sources: list[RankingTask], target: RankingTask) -> None:
    ranker = ranker_of(variant, 150).fit(sources[:3], sources[3:])
    assert spearman(ranker.score(target, target.architectures), target.accuracies) > 0.7


def test_variants_are_what_they_say(sources: list[RankingTask]) -> None:
    for name, variant in VARIANTS.items():
        ranker = ranker_of(name, 3).fit(sources[:3], sources[3:])
        learned = ranker.predictor_
        assert learned is not None
        assert learned.inner_steps == (1 if variant.inner_steps is None else variant.inner_steps)
        assert ("student_first" in learned.predictor.layers) == variant.use_student
        assert ("teacher_first" in learned.predictor.layers) == variant.use_teacher
        assert ("code" in learned.predictor.layers) == variant.use_code
        moved = any(bool((rate != 0.005).any()) for rate in learned.rates.values())
        assert moved == (learned.inner_steps > 0 and not variant.fixed_rates)


def test_an_unknown_variant_is_refused(sources: list[RankingTask]) -> None:
    with pytest.raises(UsageError, match=r"'DaS': .*dass"):
        ranker_of("DaS", 1).fit(sources[:3], sources[3:])
