"""Methods are made as params.yaml says; a new one needs its class and an entry."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from dass import method_names
from dass.baselines import catalogue
from dass.baselines.catalogue import make_ranker
from dass.baselines.methods.few_shot import FewShot
from dass.baselines.methods.meta_predictors import MetaPredictorRanker
from dass.baselines.methods.remapped import RemappedAccuracy
from dass.baselines.methods.zero_cost import PROXIES, ZeroCost
from dass.baselines.ranker import Ranker, Settings
from dass.config.evaluation import Evaluation
from dass.errors import UsageError
from dass.method_names import METHODS, Method
from dass.params_file import load_params
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

ROOT = Path(__file__).parents[3]
PARAMS = load_params(ROOT / "presets" / "small.yaml")
SETTINGS = Settings(PARAMS.predictor, PARAMS.distillation, seed=7, device="cpu")


@pytest.mark.parametrize("key", METHODS)
def test_each_method_is_made_and_on_the_page(key: str) -> None:
    assert isinstance(make_ranker(key, SETTINGS), Ranker)
    assert f"`{key}`" in (ROOT / "docs" / "evaluation.md").read_text()


def test_keys_and_labels_name_one_method_each() -> None:
    assert [method.key for method in METHODS.values()] == list(METHODS)
    assert len({method.label for method in METHODS.values()}) == len(METHODS)
    assert {method.options["proxy"] for method in METHODS.values() if "proxy" in method.options} == set(PROXIES)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(UsageError, match="luck"):
        make_ranker("luck", SETTINGS)


def test_settings_reach_the_methods() -> None:
    meta = make_ranker("maml", SETTINGS)
    assert isinstance(meta, MetaPredictorRanker)
    assert (meta.variant, meta.settings, meta.seed, meta.device) == ("maml", PARAMS.predictor, 7, "cpu")
    remapped = make_ranker("one_batch_loss", SETTINGS)
    assert isinstance(remapped, RemappedAccuracy)
    assert (remapped.measure, remapped.recalibrate) == ("loss", True)
    assert remapped.temperature == PARAMS.distillation.temperature
    proxy = make_ranker("fisher", SETTINGS)
    assert isinstance(proxy, ZeroCost)
    assert (proxy.proxy, proxy.seed) == ("fisher", 7)
    few = make_ranker("few_shot_5", SETTINGS)
    assert isinstance(few, FewShot)
    assert (few.shots, few.meta.variant, few.meta.shots) == (5, "dass", 5)


class Widest(Ranker):
    """A new method: the widest block."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(settings.seed)

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """See `Ranker.score`."""
        return np.array([max(map(max, one.widths)) for one in architectures], dtype=np.float64)


def test_a_new_method_is_a_class_and_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("dass.baselines.methods.widest")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(module, "Widest", Widest, raising=False)
    methods = {**METHODS, "widest": Method("widest", "widest block", "trivial", "widest:Widest")}
    for user in (method_names, catalogue, sys.modules["dass.config.evaluation"]):
        monkeypatch.setattr(user, "METHODS", methods)
    ranker = make_ranker("widest", SETTINGS)
    assert isinstance(ranker, Widest)
    assert ranker.seed == 7
    block = PARAMS.evaluation.model_dump() | {"methods": ("dass", "widest"), "picks": ("widest",)}
    assert Evaluation.model_validate(block).picks == ("widest",)
    assert method_names.method_label("widest") == "widest block"
