from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from dass.errors import UsageError
from dass.fidelity import SIZE, Fidelity
from dass.multi_fidelity.checkpoint import load_multi_fidelity, save_multi_fidelity
from dass.multi_fidelity.joining import join, join_files, leave_parts_out
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask
from tests.unit.multi_fidelity.test_checkpoint import CARD
from tests.unit.multi_fidelity.test_predictor import ALPHA, TEMPERATURE, make_task

STEPS = Fidelity("steps", 10)
LOWER = 1.0  # log-odds by which students of the other family end lower for the same proxies


def of_other_family(seed: int) -> MultiFidelityTask:
    task = make_task(seed)
    return replace(task, accuracies=100 * expit(logit(task.accuracies / 100) - LOWER))


def learn(tasks: list[MultiFidelityTask]) -> MultiFidelityPredictor:
    return MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE).fit(tasks, (SIZE, STEPS))


@pytest.fixture(scope="module")
def parts() -> list[MultiFidelityPredictor]:
    return [learn([make_task(seed) for seed in range(5)]), learn([of_other_family(seed) for seed in range(5, 10)])]


def covered(predictor: MultiFidelityPredictor, task: MultiFidelityTask) -> float:
    made = predictor.predict(
        task.proxies, STEPS, teacher_accuracy=task.teacher_accuracy, classes=10, test_images=2000, source_dataset=True
    )
    return float(np.mean((made.low <= task.accuracies) & (task.accuracies <= made.high)))


def test_a_joined_predictor_holds_students_of_either_family_in_its_intervals(
    parts: list[MultiFidelityPredictor],
) -> None:
    joined, others = join(parts), [of_other_family(seed) for seed in range(100, 104)]
    assert np.mean([covered(parts[0], task) for task in others]) < 0.3
    assert np.mean([covered(joined, task) for task in others]) > 0.7
    assert np.mean([covered(joined, make_task(seed)) for seed in range(100, 104)]) > 0.7
    assert len(np.unique(joined.processes_[STEPS].sample_.tasks)) == 10


def test_what_one_family_says_of_the_other_is_measured(parts: list[MultiFidelityPredictor]) -> None:
    found = leave_parts_out(parts)
    assert found[STEPS].src > 0.8  # the order is the same
    assert found[STEPS].covered < 0.3  # the level is not
    assert set(found) == {SIZE, STEPS}


def test_joined_files_say_what_they_come_from(parts: list[MultiFidelityPredictor], tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in ("first", "second")]
    cards = [CARD, replace(CARD, tasks=("other0",), teacher_ids=("o" * 12,), students=30)]
    for file, part, card in zip(files, parts, cards, strict=True):
        save_multi_fidelity(file, part, card)
    join_files(files, tmp_path / "joined.safetensors")
    predictor, card = load_multi_fidelity(tmp_path / "joined.safetensors")
    assert card.students == 54
    assert card.tasks == ("split0", "other0")
    assert set(card.left_out) == {SIZE.key, STEPS.key}
    assert len(predictor.processes_[SIZE].sample_.targets) == 240
    save_multi_fidelity(files[1], parts[1], replace(cards[1], resolution=32))
    with pytest.raises(UsageError, match="resolution"):
        join_files(files, tmp_path / "joined.safetensors")


def test_predictors_of_other_losses_are_not_joined(parts: list[MultiFidelityPredictor]) -> None:
    other = MultiFidelityPredictor(alpha=0.9, temperature=TEMPERATURE)
    other.processes_ = parts[1].processes_
    with pytest.raises(UsageError, match="loss"):
        join([parts[0], other])
