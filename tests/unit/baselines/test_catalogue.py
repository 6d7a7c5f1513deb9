"""The catalogue has what the comparison promises, made as params.yaml says."""

from pathlib import Path

from dass.baselines.catalogue import CATALOGUE, Settings
from dass.baselines.few_shot import FewShot
from dass.baselines.meta_predictors import MetaPredictorRanker
from dass.baselines.remapped import RemappedAccuracy
from dass.baselines.zero_cost import ZeroCost
from dass.fidelity import FIDELITIES
from dass.method_names import FEW_SHOT, META, METHODS
from dass.params_file import load_params

PRESETS = Path(__file__).parents[3] / "presets"


def test_every_promised_method_is_there() -> None:
    groups = {
        group: [name for name, method in CATALOGUE.items() if method.group == group]
        for group in ("meta", "zero-cost", "trivial", "multi_fidelity", "few-shot")
    }
    assert {"dass", "dass_unguided", "maml", "meta_sgd", "metad2a", "tans"} <= set(groups["meta"])
    assert groups["zero-cost"] == [
        "grad_norm", "snip", "grasp", "fisher", "plain", "synflow", "naswot",
        "diswot", "diswot_trained_teacher", "diswot_remapped_student",
    ]  # fmt: skip
    assert groups["few-shot"] == [f"few_shot_{shots}" for shots in (1, 3, 5, 10, 20)]
    assert set(groups["trivial"]) == {
        "parameters", "macs", "depth", "random", "remapped_accuracy", "remapped_loss",
        "one_batch_accuracy", "one_batch_loss",
    }  # fmt: skip
    assert groups["multi_fidelity"] == [f"multifidelity_{one.key}" for one in FIDELITIES]
    assert sum(map(len, groups.values())) == len(CATALOGUE)


def test_params_are_checked_against_the_same_names() -> None:
    assert set(METHODS) == set(CATALOGUE)
    assert len(set(METHODS)) == len(METHODS)
    page = (PRESETS.parent / "docs" / "evaluation.md").read_text()
    assert [name for name in METHODS if f"`{name}`" not in page] == []
    assert set(META) == {name for name, method in CATALOGUE.items() if method.group == "meta"}
    assert set(FEW_SHOT) == {name for name, method in CATALOGUE.items() if method.group == "few-shot"}


def test_settings_reach_the_methods() -> None:
    params = load_params(PRESETS / "small.yaml")
    settings = Settings(params.predictor, params.distillation, seed=7, device="cpu")
    meta = CATALOGUE["maml"].make(settings)
    assert isinstance(meta, MetaPredictorRanker)
    assert (meta.variant, meta.episodes, meta.seed, meta.device) == ("maml", params.predictor.episodes, 7, "cpu")
    start = CATALOGUE["one_batch_loss"].make(settings)
    assert isinstance(start, RemappedAccuracy)
    assert (start.measure, start.recalibrate, start.temperature) == ("loss", True, params.distillation.temperature)
    proxy = CATALOGUE["fisher"].make(settings)
    assert isinstance(proxy, ZeroCost)
    assert (proxy.proxy, proxy.seed) == ("fisher", 7)
    few = CATALOGUE["few_shot_5"].make(settings)
    assert isinstance(few, FewShot)
    assert (few.shots, few.meta.variant) == (5, "dass")
