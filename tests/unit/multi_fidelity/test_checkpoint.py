import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dass.errors import DassError, UsageError
from dass.fidelity import ONE_BATCH, SIZE, Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, check_fits, load_multi_fidelity, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.multi_fidelity.validation import leave_out
from dass.proxies.recipe_facts import recipe_facts
from dass.space.search_space import SearchSpace
from tests import samples
from tests.samples import SPACE
from tests.unit.multi_fidelity.test_predictor import ALPHA, TEMPERATURE, make_task

RECIPE = samples.RECIPE.model_copy(update={"alpha": ALPHA, "temperature": TEMPERATURE})
CARD = MultiFidelityCard(
    SPACE,
    16,
    recipe_facts(RECIPE),
    ("split0",),
    ("t" * 12,),
    24,
    {"one_batch": 0.5},
    {"one_batch": 0.8},
    0,
    "cpu",
    "2",
    1.0,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MultiFidelityPredictor]:
    path = tmp_path_factory.mktemp("multi_fidelity") / "multi_fidelity.safetensors"
    predictor = MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE).fit(
        [make_task(s) for s in range(3)], (SIZE, ONE_BATCH)
    )
    save_multi_fidelity(path, predictor, CARD)
    return path, predictor


def test_a_predictor_predicts_the_same_after_a_trip_to_disk(
    saved: tuple[Path, MultiFidelityPredictor],
) -> None:
    path, predictor = saved
    again, card = load_multi_fidelity(path)
    assert card == CARD
    assert list(again.processes_) == [SIZE, ONE_BATCH]  # the cheapest first, whatever the order in the file
    proxies = make_task(9).proxies
    for fidelity in (SIZE, ONE_BATCH):
        first, second = (
            one.predict(proxies, fidelity, teacher_accuracy=50.0, classes=10, test_images=100)
            for one in (predictor, again)
        )
        np.testing.assert_array_equal(first.mean, second.mean)
        np.testing.assert_array_equal(first.high, second.high)


def test_files_that_do_not_belong_together_are_refused(
    saved: tuple[Path, MultiFidelityPredictor], tmp_path: Path
) -> None:
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"multi_fidelity{suffix}").write_bytes(saved[0].with_suffix(suffix).read_bytes())
    path = tmp_path / "multi_fidelity.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(DassError, match="do not belong together"):
        load_multi_fidelity(path)


def test_a_predictor_of_an_earlier_version_is_refused(
    saved: tuple[Path, MultiFidelityPredictor], tmp_path: Path
) -> None:
    facts = json.loads(saved[0].with_suffix(".json").read_text())
    del facts["seal"]
    (tmp_path / "multi_fidelity.json").write_text(json.dumps({**facts, "format": 1}))
    with pytest.raises(DassError, match=r"format 1 .*`multi_fidelity`"):
        load_multi_fidelity(tmp_path / "multi_fidelity.safetensors")


@pytest.mark.parametrize("value", [-1.0, 1e308])
def test_variances_that_are_none_are_refused(
    saved: tuple[Path, MultiFidelityPredictor], tmp_path: Path, value: float
) -> None:
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"multi_fidelity{suffix}").write_bytes(saved[0].with_suffix(suffix).read_bytes())
    facts = json.loads((tmp_path / "multi_fidelity.json").read_text())
    del facts["seal"]
    facts["variances"] = {key: dict.fromkeys(own, value) for key, own in facts["variances"].items()}
    (tmp_path / "multi_fidelity.json").write_text(json.dumps(facts))
    with pytest.raises(DassError, match="multi_fidelity"):
        load_multi_fidelity(tmp_path / "multi_fidelity.safetensors")


@pytest.mark.parametrize(
    ("space", "resolution", "changes", "named"),
    [
        (SPACE, 16, {}, ""),
        (SPACE, 16, {"epochs": 9, "evaluations": 2, "precision": "float32"}, ""),
        (replace(SPACE, max_depth=3), 16, {}, "space"),
        (SPACE, 32, {}, "data.resolution"),
        (replace(SPACE, max_depth=3), 32, {"momentum": 0.5}, "space, data.resolution, distillation.momentum"),
    ],
)
def test_a_multi_fidelity_predictor_learned_from_other_students_is_refused(
    saved: tuple[Path, MultiFidelityPredictor], space: SearchSpace, resolution: int, changes: dict, named: str
) -> None:
    path = saved[0]
    _, card = load_multi_fidelity(path)
    recipe = RECIPE.model_copy(update=changes)
    if not named:
        check_fits(card, space, resolution, recipe, path)
        return
    with pytest.raises(UsageError, match=f"{named}: .*`multi_fidelity`"):
        check_fits(card, space, resolution, recipe, path)


def test_a_left_out_task_is_predicted_without_its_group() -> None:
    tasks = [make_task(seed) for seed in range(4)]
    found = leave_out(tasks, [0, 0, 1, 1], Fidelity("steps", 10), alpha=ALPHA, temperature=TEMPERATURE)
    predictor = MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE).fit(tasks[2:], [Fidelity("steps", 10)])
    made = predictor.predict(
        tasks[0].proxies,
        Fidelity("steps", 10),
        teacher_accuracy=60.0,
        classes=10,
        test_images=2000,
        source_dataset=True,
    )
    inside = (made.low <= tasks[0].accuracies) & (tasks[0].accuracies <= made.high)
    assert found[0].covered == pytest.approx(inside.mean())
    assert all(0.7 < one.src <= 1 for one in found)
