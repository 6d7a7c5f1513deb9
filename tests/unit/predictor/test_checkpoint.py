"""Predictors on disk: rates come back too, and every kind of damage is refused with one line."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dass.errors import DassError
from dass.files import file_sha256
from dass.predictor.checkpoint import PredictorCard, load_predictor, save_predictor
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale, TaskTensors
from dass.sealed import read_sealed, write_sealed
from dass.space.search_space import SearchSpace


@pytest.fixture
def predictor(space: SearchSpace) -> MetaPredictor:
    model = DassPredictor(10, space.code_length, seed=4)
    rates = {name: 0.02 * torch.rand_like(w) for name, w in model.layers.items()}
    return MetaPredictor(model, rates, 2, TargetScale(40.25, 8.125))


@pytest.fixture
def card(space: SearchSpace) -> PredictorCard:
    return PredictorCard(
        space=space,
        resolution=16,
        noise_seed=3,
        training=("split0", "split1"),
        validation=("split2",),
        students=24.0,
        teacher_ids=("a" * 12, "b" * 12, "c" * 12),
        episodes=1000,
        best_episode=120,
        validation_src=0.71,
        seed=0,
        precision="float32",
        device="cpu",
        torch_version="2",
        seconds=12.5,
    )


@pytest.fixture
def saved(tmp_path: Path, predictor: MetaPredictor, card: PredictorCard) -> Path:
    path = tmp_path / "predictor" / "predictor.safetensors"
    save_predictor(path, predictor, card)
    return path


def test_a_full_disk_leaves_the_old_predictor(
    saved: Path,
    predictor: MetaPredictor,
    card: PredictorCard,
    file_size_limit: Callable[[int], AbstractContextManager[None]],
) -> None:
    with file_size_limit(1000), pytest.raises(DassError, match="free space"):
        save_predictor(saved, predictor, card)
    assert load_predictor(saved)[1] == card
    assert sorted(path.name for path in saved.parent.iterdir()) == ["predictor.json", "predictor.safetensors"]


def test_round_trip(saved: Path, predictor: MetaPredictor, card: PredictorCard, tasks: list[TaskTensors]) -> None:
    loaded, loaded_card = load_predictor(saved)
    assert loaded_card == card
    assert (loaded.inner_steps, loaded.scale) == (2, predictor.scale)
    task = tasks[0]
    found, expected = (
        p.adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy).predict(
            task.student_embeddings, task.codes
        )
        for p in (loaded, predictor)
    )
    assert torch.equal(found, expected)
    for name, rate in predictor.rates.items():
        assert torch.equal(loaded.rates[name], rate)


def test_ablated_predictors_come_back_as_they_were(tmp_path: Path, card: PredictorCard) -> None:
    model = DassPredictor(10, 17, use_student=False, use_teacher=False)
    rates = {name: torch.zeros_like(w) for name, w in model.layers.items()}
    path = tmp_path / "p.safetensors"
    save_predictor(path, MetaPredictor(model, rates, 1, TargetScale(0.0, 1.0)), card)
    assert set(load_predictor(path)[0].predictor.layers) == {"code", "hidden", "output"}


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Changes the tensors and makes the hash fit again."""
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    facts = read_sealed(path.with_suffix(".json"))
    write_sealed(path.with_suffix(".json"), {**facts, "sha256": file_sha256(path)})


def refused(path: Path, words: str) -> None:
    with pytest.raises(DassError, match=words) as caught:
        load_predictor(path)
    assert "\n" not in str(caught.value)


def test_statistics_and_unit_come_back(tmp_path: Path, card: PredictorCard) -> None:
    model = DassPredictor(10, 17)
    rates = {name: torch.zeros_like(w) for name, w in model.layers.items()}
    path = tmp_path / "p.safetensors"
    save_predictor(path, MetaPredictor(model, rates, 1, TargetScale(0.0, 1.0), "batch"), card)
    loaded, _ = load_predictor(path)
    assert (loaded.statistics, loaded.scale.spread) == ("batch", 1.0)
    facts = read_sealed(path.with_suffix(".json"))
    del facts["statistics"]  # as earlier versions wrote it
    write_sealed(path.with_suffix(".json"), facts)
    assert load_predictor(path)[0].statistics == "running"
    write_sealed(path.with_suffix(".json"), {**facts, "statistics": "mine"})
    refused(path, "statistics")


def test_damage_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-4])
    refused(saved, "do not belong together")
    saved.unlink()
    refused(saved, r"cannot read .*predictor\.safetensors")
    saved.with_suffix(".json").unlink()
    refused(saved, "cannot read")


def test_wrong_tensors_are_refused(saved: Path) -> None:
    rewrite(saved, lambda tensors: tensors["rates.hidden"].fill_(torch.nan))
    refused(saved, r"rates\.hidden holds NaN")
    rewrite(saved, lambda tensors: tensors.update({"rates.hidden": torch.zeros(2, 2)}))
    refused(saved, r"rates\.hidden has shape \[2, 2\]")
    rewrite(saved, lambda tensors: tensors.pop("rates.hidden"))
    refused(saved, r"rates\.hidden is missing")


def test_a_wrong_card_is_refused(saved: Path) -> None:
    facts = read_sealed(saved.with_suffix(".json"))
    write_sealed(saved.with_suffix(".json"), {**facts, "card": {"seed": 1}})
    refused(saved, "card")
    write_sealed(saved.with_suffix(".json"), {**facts, "format": 2})
    refused(saved, "another version")


@pytest.mark.parametrize("name", ["embedding_channels", "code_length"])
@pytest.mark.parametrize("value", [-1, 0, 10**13])
def test_impossible_sizes_are_refused(saved: Path, name: str, value: int) -> None:
    facts = read_sealed(saved.with_suffix(".json"))
    write_sealed(saved.with_suffix(".json"), {**facts, name: value})
    refused(saved, name)


@pytest.mark.parametrize("value", [-1, "wide", [], None])
def test_a_space_that_is_none_is_refused(saved: Path, value: object) -> None:
    facts = read_sealed(saved.with_suffix(".json"))
    write_sealed(saved.with_suffix(".json"), {**facts, "card": {**facts["card"], "space": value}})
    refused(saved, "card of a predictor")
