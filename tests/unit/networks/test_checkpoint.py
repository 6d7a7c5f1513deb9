"""Teachers on disk: whole round trips, and every kind of bad file refused with one line."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dass.errors import DassError
from dass.files import read_json, write_json
from dass.networks.checkpoint import (
    import_checkpoint,
    load_teacher,
    round_to_half,
    save_teacher,
    weights_id,
)
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from tests.factories import make_card

ARCHITECTURE = Architecture(((4, 4), (6, 6), (8, 8), (10, 10)))
CARD = make_card(task="digits", classes=("zero", "one", "two"), architecture=ARCHITECTURE, accuracy=97.5, teacher_id="")


@pytest.fixture
def teacher() -> ElasticResNet:
    torch.manual_seed(0)
    network = ElasticResNet(ARCHITECTURE, 3)
    network(torch.randn(4, 3, 16, 16))  # moves the running statistics
    return network.eval()


@pytest.fixture
def saved(tmp_path: Path, teacher: ElasticResNet) -> Path:
    path = tmp_path / "teachers" / "digits.safetensors"
    save_teacher(path, teacher, CARD)
    return path


def fails(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(DassError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_teacher_rounded_to_half_precision_is_the_same_from_half_the_space(
    saved: Path, teacher: ElasticResNet, tmp_path: Path
) -> None:
    assert round_to_half(teacher)
    small = tmp_path / "small.safetensors"
    card = save_teacher(small, teacher, CARD)
    loaded, again = load_teacher(small)
    assert again == card
    assert weights_id(loaded) == weights_id(teacher) == card.teacher_id
    assert all(tensor.dtype != torch.float16 for tensor in loaded.state_dict().values())
    assert small.stat().st_size < 0.7 * saved.stat().st_size
    wide = teacher.state_dict()["stem_bn.running_var"]
    wide[0] = 1e6
    kept = weights_id(teacher)
    assert not round_to_half(teacher)
    assert weights_id(teacher) == kept


def test_round_trip(saved: Path, teacher: ElasticResNet) -> None:
    loaded, card = load_teacher(saved)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded(images), teacher(images))
    assert card.teacher_id == weights_id(teacher) == weights_id(loaded)
    assert (card.classes, card.architecture, card.accuracy) == (CARD.classes, ARCHITECTURE, 97.5)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["digits.json", "digits.safetensors"]


def test_a_channels_last_teacher_is_the_same_teacher(tmp_path: Path, teacher: ElasticResNet) -> None:
    before = weights_id(teacher)
    teacher.to(memory_format=torch.channels_last)
    assert weights_id(teacher) == before
    written = save_teacher(tmp_path / "t.safetensors", teacher, CARD)
    assert written.teacher_id == before
    assert load_teacher(tmp_path / "t.safetensors")[1] == written


def test_identity_changes_with_any_weight(teacher: ElasticResNet) -> None:
    before = weights_id(teacher)
    with torch.no_grad():
        teacher.classifier.bias[2] += 1e-6
    assert len(before) == 12
    assert weights_id(teacher) != before


def test_saving_a_diverged_teacher(tmp_path: Path, teacher: ElasticResNet) -> None:
    torch.nn.init.constant_(teacher.stem_bn.bias, float("nan"))
    fails(lambda: save_teacher(tmp_path / "t.safetensors", teacher, CARD), "stem_bn.bias", "NaN")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_teacher(
    saved: Path, teacher: ElasticResNet, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    with file_size_limit(1000):
        fails(lambda: save_teacher(saved, teacher, CARD), "cannot write", "nothing was changed: free space")
    assert load_teacher(saved)[1].accuracy == CARD.accuracy
    assert sorted(path.name for path in saved.parent.iterdir()) == ["digits.json", "digits.safetensors"]


def test_other_weights_than_the_card_says(saved: Path) -> None:
    weights = load_file(saved)
    weights["classifier.bias"][0] += 1
    save_file(weights, saved)
    fails(lambda: load_teacher(saved), "other weights", "digits.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 1000, -4])
def test_truncated_weights(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    fails(lambda: load_teacher(saved), "cannot be read", "digits.safetensors")


def test_missing_weights_or_card(saved: Path) -> None:
    saved.with_suffix(".json").rename(saved.with_suffix(".moved"))
    fails(lambda: load_teacher(saved), "digits.json")
    saved.with_suffix(".moved").rename(saved.with_suffix(".json"))
    saved.unlink()
    fails(lambda: load_teacher(saved), "no checkpoint")


def test_a_card_of_another_form(saved: Path) -> None:
    card = read_json(saved.with_suffix(".json"))
    write_json(saved.with_suffix(".json"), {key: card[key] for key in card if key not in ("loss", "seal")})
    fails(lambda: load_teacher(saved), "not a teacher's card")


def edit_nan(weights: dict[str, Tensor]) -> None:
    weights["stages.1.0.conv1.weight"][0, 0, 0, 0] = float("nan")


def edit_shape(weights: dict[str, Tensor]) -> None:
    weights["classifier.weight"] = torch.zeros(4, 10)


def edit_missing(weights: dict[str, Tensor]) -> None:
    del weights["stages.3.1.bn2.running_var"]


def edit_unknown(weights: dict[str, Tensor]) -> None:
    weights["layer1.0.conv1.weight"] = torch.zeros(1)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edit_nan, ("stages.1.0.conv1.weight", "NaN")),
        (edit_shape, ("classifier.weight", "[4, 10]", "[3, 10]")),
        (edit_missing, ("lacks stages.3.1.bn2.running_var",)),
        (edit_unknown, ("unknown layer1.0.conv1.weight",)),
    ],
)
def test_bad_weights(
    tmp_path: Path,
    teacher: ElasticResNet,
    suffix: str,
    edit: Callable[[dict[str, Tensor]], None],
    words: tuple[str, ...],
) -> None:
    path = tmp_path / f"mine{suffix}"
    weights = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    edit(weights)
    if suffix == ".pt":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    fails(lambda: import_checkpoint(path, ARCHITECTURE, 3), str(path), *words)


@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod."])
def test_users_own_torch_files(tmp_path: Path, teacher: ElasticResNet, nested: str | None, prefix: str) -> None:
    weights = {
        f"{prefix}{name}": tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in teacher.state_dict().items()
        if "num_batches_tracked" not in name
    }
    torch.save({nested: weights, "epoch": 3} if nested else weights, tmp_path / "mine.pt")
    loaded = import_checkpoint(tmp_path / "mine.pt", ARCHITECTURE, 3)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded(images), teacher(images))


class Anything:
    """Stands for a pickled object, which could run code when it is loaded."""


@pytest.mark.parametrize("value", [Anything(), [1, 2], {"a": 1}, {"state_dict": {"a": "b"}}])
def test_torch_files_of_something_else(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "mine.pt")
    fails(lambda: import_checkpoint(tmp_path / "mine.pt", ARCHITECTURE, 3), "mine.pt", "state_dict")


@pytest.mark.parametrize("kept", [0, 3, 500])
def test_truncated_torch_file(tmp_path: Path, teacher: ElasticResNet, kept: int) -> None:
    path = tmp_path / "mine.pt"
    torch.save(teacher.state_dict(), path)
    path.write_bytes(path.read_bytes()[:kept])
    fails(lambda: import_checkpoint(path, ARCHITECTURE, 3), "mine.pt", "cannot be read")
