"""Scores are made once, kept by content, and a method that fails takes no other down."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dass.baselines import scoring as module
from dass.baselines.catalogue import make_ranker
from dass.baselines.methods.meta_predictors import MetaPredictorRanker
from dass.baselines.picks import picks_of
from dass.baselines.ranker import Ranker, Settings
from dass.baselines.scores import ScoreDatabase, Scores, score_arrays, time_rows
from dass.baselines.scoring import Scoring, TargetSample
from dass.config import Augmentation, DistillationRecipe, Predictor
from dass.errors import DassError
from dass.files import content_id
from dass.method_names import METHODS, Method
from dass.params_file import load_params
from dass.predictor.scorer import MetaPredictor
from dass.proxies.store import ProxyStore
from dass.search.candidates import scored
from dass.search.constraints import Constraints
from dass.search.result import SearchResult
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask, SourceTasks
from tests.samples import predictor_settings

PRESETS = Path(__file__).parents[3] / "presets"


@pytest.fixture(scope="module")
def settings() -> Settings:
    params = load_params(PRESETS / "demo.yaml")
    predictor = params.predictor.model_copy(update={"episodes": 4, "validate_every": 2})
    return Settings(predictor, params.distillation, 0, "cpu")


@pytest.fixture(scope="module")
def shipped(sources: list[RankingTask]) -> MetaPredictor:
    made = MetaPredictorRanker(predictor_settings(episodes=4, query=8), precision="float32", device="cpu")
    predictor = made.fit(sources[:3], sources[3:]).predictor_
    assert predictor is not None
    return predictor


@pytest.fixture
def sample(target: RankingTask) -> TargetSample:
    return TargetSample(target, "task", "students", target.architectures, (2.0,) * len(target.architectures))


def renamed(task: RankingTask, name: str) -> RankingTask:
    return replace(task, data=replace(task.data, name=name))


class Tripwire:
    """Gives the source tasks and counts how often they were asked for."""

    def __init__(self, sources: list[RankingTask]) -> None:
        self.sources = sources
        self.asked = 0

    def __call__(self) -> SourceTasks:
        self.asked += 1
        return SourceTasks(self.sources[:3], self.sources[3:])


@pytest.fixture
def tripwire(sources: list[RankingTask]) -> Tripwire:
    return Tripwire(sources)


@pytest.fixture
def made(tmp_path: Path, settings: Settings, shipped: MetaPredictor, tripwire: Tripwire) -> Scoring:
    return Scoring(
        ScoreDatabase(tmp_path / "scores"), settings, tripwire, "source", tmp_path / "learned", shipped, "predictor"
    )


class Broken(Ranker):
    """Raises, or gives what no method should."""

    def __init__(self, values: Sequence[float] | None = None) -> None:
        self.values = values

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        if self.values is None:
            raise RuntimeError("no\nmemory")
        assert task.accuracies == ()  # what is to be predicted is not shown
        return np.array(self.values)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Ranker]]:
    """Methods of these names in the catalogue."""
    methods: dict[str, Ranker] = {}
    monkeypatch.setattr(module, "METHODS", {**METHODS, "broken": Method("broken", "broken", "trivial", "")})
    monkeypatch.setattr(module, "make_ranker", lambda name, settings: methods.get(name) or make_ranker(name, settings))
    yield methods


def test_what_is_known_is_not_scored_again(
    made: Scoring, sample: TargetSample, broken: dict[str, Ranker], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken["broken"] = Broken([1.0, math.nan, -math.inf] * 10)
    [first] = made.score("broken", 0, [sample])
    np.testing.assert_array_equal(first.values, [1.0, math.nan, -math.inf] * 10)
    assert (first.target, first.sample, first.failure, first.device) == ("target", "students", "", "cpu")
    assert 0 <= first.seconds < 1
    monkeypatch.setattr(Broken, "score", pytest.fail)
    [again] = made.score("broken", 0, [sample])
    np.testing.assert_array_equal(again.values, [1.0, math.nan, math.nan] * 10)  # on disk no infinity is told from NaN
    assert again.key == first.key
    json.loads((made.database.folder / "target.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("change", ["task", "architectures", "seed", "settings", "version"])
def test_what_a_score_depends_on_is_in_its_key(
    made: Scoring, sample: TargetSample, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "random"
    if change == "settings":  # only a method that looks at images depends on them: a few students are enough
        name, sample = "remapped_loss", replace(sample, architectures=sample.architectures[:4])
    [before] = made.score(name, 0, [sample])
    seed = 0
    if change == "task":
        sample = replace(sample, task_id="other")
    elif change == "architectures":
        sample = replace(sample, architectures=sample.architectures[1:])
    elif change == "seed":
        seed = 1
    elif change == "settings":
        recipe = made.settings.distillation.model_copy(update={"temperature": 2.0})
        made = replace(made, settings=replace(made.settings, distillation=recipe))
    else:
        monkeypatch.setattr(module, "VERSION", 99)
    [after] = made.score(name, seed, [sample])
    assert after.key != before.key
    kept = made.database.read("target")
    assert [scores.key for scores in kept] == ([before.key, after.key] if change == "seed" else [after.key])


def test_where_the_predictor_keeps_proxies_and_how_many_measure_it_is_not_in_a_key(
    made: Scoring, sample: TargetSample, tmp_path: Path
) -> None:
    few = replace(sample, architectures=sample.architectures[:2])
    [first] = made.score("multifidelity_size", 0, [few])
    assert not first.failure
    other = replace(made, settings=replace(made.settings, proxies=tmp_path / "elsewhere", workers=7))
    [second] = other.score("multifidelity_size", 0, [few])
    assert second.key == first.key


def test_the_predictors_seconds_are_those_of_its_proxies_whenever_they_were_made(
    made: Scoring, sample: TargetSample, sources: list[RankingTask], tmp_path: Path
) -> None:
    few = replace(sample, architectures=sample.architectures[:4])
    short = [replace(one, architectures=one.architectures[:4], accuracies=one.accuracies[:4]) for one in sources[:2]]
    recipe = made.settings.distillation.model_copy(update={"batch_size": 8})
    settings = replace(made.settings, distillation=recipe, proxies=tmp_path / "evidence", workers=0)
    seconds: dict[str, list[float]] = {"multifidelity_one_batch": [], "multifidelity_steps5": []}
    for run in range(2):  # scores are made anew, proxies are not
        again = replace(
            made, settings=settings, database=ScoreDatabase(tmp_path / f"scores-{run}"),
            sources=lambda: SourceTasks(short[:1], short[1:]),
        )  # fmt: skip
        for name, found in seconds.items():
            [scores] = again.score(name, 0, [few])
            assert not scores.failure
            found.append(scores.seconds)
        store = ProxyStore(tmp_path / "evidence")
        for file in (tmp_path / "evidence").glob("*.parquet"):
            store.add(file.stem, {name: replace(row, seconds=7.0) for name, row in store.read(file.stem).items()})
    # The one-batch proxy of a training is taken from the store, and counts as what it took.
    assert 0 < seconds["multifidelity_one_batch"][0] < 7 <= seconds["multifidelity_one_batch"][1]
    assert seconds["multifidelity_steps5"][1] >= seconds["multifidelity_one_batch"][1] // 7 * 7 + 7


def test_a_failure_is_kept_and_tried_again(made: Scoring, sample: TargetSample, broken: dict[str, Ranker]) -> None:
    other = replace(sample, task=renamed(sample.task, "second"))
    broken["broken"] = Broken()
    assert [scores.failure for scores in made.score("broken", 0, [sample, other])] == ["RuntimeError: no memory"] * 2
    [kept] = made.database.read("second")
    assert (kept.failure, kept.values, kept.arch_ids) == ("RuntimeError: no memory", (), ())
    broken["broken"] = Broken([1.0])
    [scores] = made.score("broken", 0, [sample])
    assert "scores of shape [1]" in scores.failure
    broken["broken"] = Broken([0.5] * 30)
    [scores] = made.score("broken", 0, [sample])
    assert (scores.failure, set(scores.values)) == ("", {0.5})


def test_the_shipped_predictor_is_the_first_seed_and_others_learn_once(
    made: Scoring, sample: TargetSample, tripwire: Tripwire, shipped: MetaPredictor
) -> None:
    other = replace(sample, task=renamed(sample.task, "second"))
    [first] = made.score("dass", 0, [sample])
    assert tripwire.asked == 0
    direct = MetaPredictorRanker(predictor_settings())
    direct.predictor_ = shipped
    np.testing.assert_array_equal(first.values, direct.score(sample.task, sample.architectures))
    second = list(made.score("dass", 1, [sample, other]))
    assert tripwire.asked == 1
    assert not any(scores.failure for scores in second)
    assert second[0].values == second[1].values != first.values
    list(made.score("maml", 0, [sample]))
    assert tripwire.asked == 1  # the source tasks are read once for all methods
    state = made.states / "dass-1.partial"
    before = state.stat().st_mtime_ns
    third = replace(sample, task=renamed(sample.task, "third"))
    [found] = made.score("dass", 1, [third])
    assert found.values == second[0].values
    assert state.stat().st_mtime_ns == before  # a new target goes on from what was learned


def test_a_method_that_cannot_learn_fails_once_for_all(
    made: Scoring, sample: TargetSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(sample, task=renamed(sample.task, "second"))
    asked = []

    def sources() -> SourceTasks:
        asked.append(1)
        return SourceTasks([], [])

    failing = replace(made, sources=sources)
    found = list(failing.score("tans", 0, [sample, other]))
    assert all("validation task" in scores.failure for scores in found)
    assert len(asked) == 1


def test_the_curve_shows_at_most_half(made: Scoring, sample: TargetSample, tripwire: Tripwire) -> None:
    names = ["few_shot_1", "few_shot_10", "few_shot_20"]
    found = made.curve(names, 0, sample)
    assert tripwire.asked == 1  # the rivals learn, the guide's predictor is shipped
    assert found.failure == ""
    assert {point.shots for point in found.points} == {0, 1, 10}
    assert {point.n for point in found.points} == {20}
    assert made.database.find(replace(found, points=())) == found
    assert made.curve(names, 0, sample) == found
    assert tripwire.asked == 1
    less = replace(sample, architectures=sample.architectures[:1])
    assert "too few known students" in made.curve(names, 0, less).failure


def test_scores_are_found_by_architecture(sample: TargetSample) -> None:
    ids = tuple(architecture.arch_id for architecture in sample.architectures)
    scores = Scores("m", "target", "students", 0, "k", ids, tuple(range(30)))
    chosen = [sample.architectures[i] for i in (7, 3)]
    assert scores.of(chosen).tolist() == [7, 3]
    with pytest.raises(DassError, match="m has no score of target"):
        scores.of([sample.task.space.largest])


def test_seeds_are_stacked_and_a_failed_one_takes_the_target_out(sample: TargetSample) -> None:
    few = sample.architectures[:3]
    ids = tuple(architecture.arch_id for architecture in few)

    def of(method: str, target: str, seed: int, **more: object) -> Scores:
        scores = Scores(method, target, "students", seed, "k", ids, (seed, 2.0, 3.0), seconds=1.0 + seed)
        return replace(scores, **more)

    scores = [
        of("a", "dtd", 0), of("a", "dtd", 1), of("a", "cub", 0),
        of("a", "cub", 1, failure="why", arch_ids=(), values=()),
        of("a", "dtd", 0, sample="candidates", failure="why"),
        of("b", "cub", 0, failure="why"), of("a", "dtd", 0, sample="candidates"),
    ]  # fmt: skip
    found = score_arrays(scores, {"dtd": few[::-1], "cub": few})
    assert list(found) == ["a", "b"]
    assert {target: values.tolist() for target, values in found["a"].items()} == {"dtd": [[3, 2, 0], [3, 2, 1]]}
    assert found["b"] == {}
    dtd, cub = time_rows(scores, {"dtd": True, "cub": False})
    assert (dtd.method, dtd.target, dtd.metric, dtd.value, dtd.low, dtd.high, dtd.n) == (
        "a", "dtd", "architecture_seconds", 1.5, 1, 2, 3,
    )  # fmt: skip
    assert (cub.value, cub.counts) == (1, False)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for text in ('{"a": 1}', "[1]", '[{"method": "m"}]'):
        (tmp_path / "dtd.json").write_text(text)
        with pytest.raises(DassError, match=r"dtd\.json"):
            ScoreDatabase(tmp_path).read("dtd")
    assert ScoreDatabase(tmp_path).read("cub") == []


def test_picks_are_the_best_of_the_same_candidates(target: RankingTask) -> None:
    architectures = target.architectures[:6]
    candidates = tuple(scored(architectures, [60, 50, 40, 30, 20, 10], resolution=16, classes=3))
    search = SearchResult("target", "t", 60.0, "p", Constraints(), candidates[0], candidates, 0.0)
    ids = tuple(architecture.arch_id for architecture in reversed(architectures))

    def of(method: str, values: Sequence[float], **more: object) -> Scores:
        return replace(Scores(method, "target", "candidates", 0, "k", ids, tuple(values)), **more)

    scores = [
        of("last", [9, 1, 1, 1, 1, 1]),
        of("last", [1, 9, 1, 1, 1, 1], seed=1),
        of("last", [1, 1, 9, 1, 1, 1], sample="students"),
        of("bad", [math.nan, math.nan, 3, 2, math.nan, math.nan]),
        of("failed", [], arch_ids=(), failure="RuntimeError"),
    ]
    picks = picks_of(["dass", "last", "bad", "failed", "absent"], scores, search, 0)
    assert [(pick.method, pick.candidate.architecture) for pick in picks] == [
        ("dass", architectures[0]), ("last", architectures[5]), ("bad", architectures[3]),
    ]  # fmt: skip
    cheap = candidates[2].cost.macs / 1e6
    limited = picks_of(["last"], scores, replace(search, constraints=Constraints(max_macs=cheap)), 0)
    assert limited[0].candidate.cost.macs <= candidates[2].cost.macs


# Hashes of each method's arguments as version 0.2 began with them; those of few-shot methods stand in no key.
ARGUMENTS = {
    "dass": "6521e5c000bc",
    "dass_unguided": "9e83b4fb4ab5",
    "maml": "865813af66af",
    "meta_sgd": "3c721ee95793",
    "dass_without_student": "887f4069bfea",
    "dass_without_teacher": "57be8883060d",
    "dass_without_code": "f1d352b9ee91",
    "dass_fixed_rates": "ced57f2b543e",
    "dass_first_order": "da936b4dfb2b",
    "dass_2_steps": "e813d6a37d15",
    "dass_5_steps": "7e63bf1bcb49",
    "metad2a": "fd7c99410783",
    "tans": "44ac100c2531",
    "metad2a_teacher_features": "91b5c1754f73",
    "tans_teacher_features": "2e720005deed",
    "grad_norm": "c7e9dbc22746",
    "snip": "91e2724e6ab7",
    "grasp": "eeb214f1a747",
    "fisher": "d67e188f591f",
    "plain": "cd6a489d6c68",
    "synflow": "7377b85d1a02",
    "naswot": "ffaf1c09ced9",
    "diswot": "2dbf051ec1b4",
    "diswot_trained_teacher": "4b023a166dfe",
    "diswot_remapped_student": "f0bacb1ee576",
    "parameters": "44136fa355b3",
    "macs": "44136fa355b3",
    "depth": "44136fa355b3",
    "random": "4d687b643746",
    "remapped_accuracy": "f27051b2141c",
    "remapped_loss": "4a4a135ecb8c",
    "one_batch_accuracy": "78091117e3e8",
    "one_batch_loss": "55f520eaa8a5",
    "multifidelity_size": "fdae14a8bc91",
    "multifidelity_noise": "e873a329374f",
    "multifidelity_one_batch": "5715603a35d2",
    "multifidelity_steps5": "c6727f07fca1",
    "multifidelity_steps10": "c67a973f57ce",
    "multifidelity_steps20": "bce817596791",
    "multifidelity_steps50": "fe8b63a07401",
}


def test_scores_of_earlier_versions_are_found_again() -> None:
    predictor = Predictor(
        episodes=400, query=24, inner_steps=1, inner_rate=0.005, learning_rate=0.0005, validate_every=20,
        statistics="batch", unit=1.0,
    )  # fmt: skip
    recipe = DistillationRecipe(
        epochs=1, min_steps=150, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=0.00003, alpha=0.5,
        temperature=6.0, evaluations=1, augmentation=Augmentation(flip=True, crop_padding=4), precision="auto",
    )  # fmt: skip
    settings = Settings(predictor, recipe, 3, "cpu")
    assert {
        key: content_id(module._arguments(make_ranker(key, settings)))
        for key, method in METHODS.items()
        if method.group != "few-shot"
    } == ARGUMENTS
