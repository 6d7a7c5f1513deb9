"""Meta-training: it learns, it resumes to the same numbers, it refuses what cannot work."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dass.errors import DassError, UsageError
from dass.files import content_id
from dass.predictor.episodes import Episodes
from dass.predictor.meta import WHOLE, MetaLearner, Variant, _settings
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale, TaskTensors
from tests.samples import predictor_settings


def make_learner(variant: Variant = WHOLE, **changes: Any) -> MetaLearner:
    """A learner with changes of its own arguments or of its settings."""
    own = {"precision": "float32", "device": "cpu"}
    own |= {name: changes.pop(name) for name in ("shots", "seed", "precision") if name in changes}
    settings = {"episodes": 40, "query": 6, "validate_every": 10, "learning_rate": 5e-3, **changes}
    return MetaLearner(predictor_settings().model_copy(update=settings), variant, **own)


def assert_same(first: MetaPredictor, second: MetaPredictor) -> None:
    for name, matrix in first.predictor.layers.items():
        assert torch.equal(matrix, second.predictor.layers[name])
        assert torch.equal(first.rates[name], second.rates[name])
    assert first.scale == second.scale


def test_learns_to_rank_unseen_tasks(tasks: list[TaskTensors]) -> None:
    learner = make_learner(episodes=150).fit(tasks[:4], tasks[4:])
    assert learner.best_.src > 0.8
    assert learner.history_[-1].loss < 0.2 * learner.history_[0].loss
    assert learner.best_ == max(learner.history_, key=lambda look: look.src)
    assert [look.episode for look in learner.history_] == list(range(10, 151, 10))
    assert any(bool((rate != 0.005).any()) for rate in learner.result_.rates.values())


def test_the_result_is_the_best_look_not_the_last(tasks: list[TaskTensors]) -> None:
    full = make_learner(episodes=60, learning_rate=0.02).fit(tasks[:4], tasks[4:])
    short = make_learner(episodes=full.best_.episode, learning_rate=0.02).fit(tasks[:4], tasks[4:])
    assert short.best_ == full.best_
    assert_same(short.result_, full.result_)


@pytest.mark.parametrize("inner_steps", [0, 1, 2])
@pytest.mark.parametrize("option", ["first_order", "fixed_rates", "use_student", "use_teacher", "use_code"])
def test_every_variant_trains(tasks: list[TaskTensors], option: str, inner_steps: int) -> None:
    value = not option.startswith("use_")
    variant = replace(WHOLE, **{option: value})
    learner = make_learner(variant, episodes=3, inner_steps=inner_steps).fit(tasks[:2], tasks[4:])
    moved = [bool((rate != learner.settings.inner_rate).any()) for rate in learner.result_.rates.values()]
    assert any(moved) == (inner_steps > 0 and option != "fixed_rates")


def test_rows_that_meet_only_padding_stay_as_they_were(tasks: list[TaskTensors]) -> None:
    side, learner = tasks[0].teacher_embedding.shape[-1], make_learner(episodes=3).fit(tasks[:4], tasks[4:])
    learned = learner.result_
    start = DassPredictor(len(tasks[0].teacher_embedding), len(tasks[0].teacher_code), seed=learner.seed)
    for name, matrix in learned.predictor.layers.items():
        kept = torch.zeros(len(matrix), dtype=torch.bool).index_fill(0, start.rows(name, side), True)
        assert torch.equal(matrix[~kept], start.layers[name][~kept])
        assert (learned.rates[name][~kept] == learner.settings.inner_rate).all()
        assert not torch.equal(matrix[kept], start.layers[name][kept])
    assert side == 2 and learned.predictor.side is None


@pytest.mark.parametrize("shots", [1, 3])
def test_adapts_to_students_in_place_of_the_guide(tasks: list[TaskTensors], shots: int) -> None:
    learner = make_learner(episodes=150, shots=shots).fit(tasks[:4], tasks[4:])
    assert learner.best_.src > 0.7
    first, again = (make_learner(episodes=10, shots=shots).fit(tasks[:4], tasks[4:]).result_ for _ in range(2))
    assert_same(first, again)
    guided = make_learner(episodes=10).fit(tasks[:4], tasks[4:])
    assert not torch.equal(first.predictor.layers["hidden"], guided.result_.predictor.layers["hidden"])


def test_support_and_query_share_no_student(tasks: list[TaskTensors]) -> None:
    marked = [replace(task, accuracies=torch.arange(len(task.codes), dtype=torch.float64)) for task in tasks]
    predictor = DassPredictor(len(tasks[0].teacher_embedding), len(tasks[0].teacher_code))
    source = Episodes(marked, predictor, TargetScale(0.0, 1.0), 6, 3, torch.float32, torch.device("cpu"))
    seen = set()
    for episode in range(20):
        drawn = source.draw(np.random.default_rng(episode))
        assert (drawn.support.targets.shape, drawn.query.targets.shape) == ((5, 3), (5, 6))
        for support, query in zip(drawn.support.targets, drawn.query.targets, strict=True):
            assert not set(support.tolist()) & set(query.tolist())
        seen |= set(drawn.support.targets[0].tolist())
    assert len(seen) > 10  # another support each time
    with pytest.raises(UsageError, match="24 are needed"):
        make_learner(shots=22).fit(tasks[:4], tasks[4:])


def test_the_unit_is_the_scale_of_the_result(tasks: list[TaskTensors]) -> None:
    raw = make_learner(episodes=3, unit=1.0).fit(tasks[:4], tasks[4:])
    assert raw.result_.scale == TargetScale(0.0, 1.0)
    batch = [replace(task, statistics="batch") for task in tasks]
    assert make_learner(episodes=3).fit(batch[:4], batch[4:]).result_.statistics == "batch"
    with pytest.raises(DassError, match="statistics"):
        make_learner(episodes=3).fit([*tasks[:3], batch[3]], tasks[4:])


def test_a_stopped_run_goes_on_to_the_same_result(tasks: list[TaskTensors], tmp_path: Path) -> None:
    whole = make_learner().fit(tasks[:4], tasks[4:])
    state = tmp_path / "state.pt"

    for first, stop in ((1, 7), (1, 25), (21, 33), (31, None)):  # the state is kept every ten episodes
        seen: list[int] = []

        def watch(done: int, _: int, seen: list[int] = seen, stop: int | None = stop) -> None:
            seen.append(done)
            if done == stop:
                raise KeyboardInterrupt

        learner = make_learner()
        try:
            learner.fit(tasks[:4], tasks[4:], checkpoint=state, progress=watch)
        except KeyboardInterrupt:
            assert stop is not None
        assert seen[0] == first
    resumed = learner
    assert resumed.history_ == whole.history_
    assert_same(resumed.result_, whole.result_)
    finished = make_learner().fit(tasks[:4], tasks[4:], checkpoint=state)
    assert_same(finished.result_, whole.result_)


def test_a_state_of_other_settings_or_data_is_not_used(tasks: list[TaskTensors], tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    make_learner(episodes=10).fit(tasks[:4], tasks[4:], checkpoint=state)
    changed = [replace(tasks[0], teacher_accuracy=1.0), *tasks[1:4]]
    for learner, training in ((make_learner(episodes=10, seed=1), tasks[:4]), (make_learner(episodes=10), changed)):
        seen: list[int] = []
        learner.fit(training, tasks[4:], checkpoint=state, progress=lambda done, _, seen=seen: seen.append(done))
        assert seen[0] == 1


def test_a_damaged_state_is_named(tasks: list[TaskTensors], tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    state.write_bytes(b"garbage")
    with pytest.raises(DassError, match=r"state\.pt, .* delete it"):
        make_learner().fit(tasks[:4], tasks[4:], checkpoint=state)


def test_bfloat16_learns_too(tasks: list[TaskTensors]) -> None:
    assert make_learner(episodes=150, precision="bfloat16").fit(tasks[:4], tasks[4:]).best_.src > 0.8


def test_small_episodes_are_computed_in_float32_on_a_cpu_where_nobody_says(tasks: list[TaskTensors]) -> None:
    learner = make_learner(episodes=1, precision="auto").fit(tasks[:4], tasks[4:])
    assert learner.dtype_ is torch.float32
    first = learner.result_.predictor.layers["student_first"]
    assert torch.equal(
        first, make_learner(episodes=1).fit(tasks[:4], tasks[4:]).result_.predictor.layers["student_first"]
    )
    assert make_learner(episodes=1, precision="bfloat16").fit(tasks[:4], tasks[4:]).dtype_ is torch.bfloat16


def test_what_cannot_be_trained_on_is_refused(tasks: list[TaskTensors]) -> None:
    task = tasks[0]
    with pytest.raises(UsageError, match="at least one training"):
        make_learner().fit([], tasks)
    one = replace(
        task, student_embeddings=task.student_embeddings[:1], codes=task.codes[:1], accuracies=task.accuracies[:1]
    )
    with pytest.raises(UsageError, match="split0 has 1 usable"):
        make_learner().fit([one], tasks)
    longer = replace(task, teacher_code=torch.zeros(3), codes=torch.zeros(len(task.codes), 3))
    with pytest.raises(DassError, match="different search spaces"):
        make_learner().fit([task], [longer])


def test_divergence_is_said(tasks: list[TaskTensors]) -> None:
    with pytest.raises(DassError, match="diverged"):
        make_learner(inner_rate=1000.0, inner_steps=5).fit(tasks[:4], tasks[4:])


def test_states_are_found_under_the_settings_that_they_were_kept_under() -> None:
    """The keys of version 0.2, when every setting was an argument."""
    usual = MetaLearner(predictor_settings(episodes=40, query=4))
    other = MetaLearner(
        predictor_settings(episodes=40, query=4), Variant(inner_steps=0, use_student=False, fixed_rates=True), shots=3,
        seed=2, precision="float32", device="cpu",
    )  # fmt: skip
    assert [content_id(_settings(one)) for one in (usual, other)] == ["d961241044c6", "0a688d8ec36f"]
