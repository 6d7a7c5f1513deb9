"""`dass teacher inspect` on checkpoints of other libraries."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.factories import torchvision_network

NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 and images of three classes, told apart by their colour; its outputs are wired to the colours."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    network = torchvision_network("resnet18", num_classes=3).eval()
    torch.save({"model": {f"module.{name}": tensor for name, tensor in network.state_dict().items()}}, folder / "t.pth")
    for part in ("train", "test"):
        for label, name in enumerate(NAMES):
            (folder / "images" / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = np.random.default_rng([label, number]).integers(0, 60, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 190
                Image.fromarray(pixels).save(folder / "images" / part / name / f"{number}.png")
    return folder


def test_what_a_teacher_is(dass: Callable, made: Path) -> None:
    said = dass("teacher", "inspect", made / "t.pth", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert facts["family"] == "torchvision_resnet"
    assert facts["classes"] == 3
    assert facts["parameters"] == sum(
        weight.numel() for weight in torchvision_network("resnet18", num_classes=3).parameters()
    )
    assert 0 < facts["smallest_student_macs"] < facts["macs"]
    assert facts["resolution"] == 224
    assert facts["students"] > 1000


def test_its_accuracy_and_that_it_is_checked(dass: Callable, refuses: Callable, made: Path) -> None:
    given = ("teacher", "inspect", made / "t.pth", "--data", made / "images", "--resolution", 32)
    facts = json.loads(dass(*given, "--expect-accuracy", 0, "--json").out)
    assert facts["test_images"] == 12
    assert 0 <= facts["accuracy"] <= 100
    line = refuses(1, *given, "--expect-accuracy", 100)
    assert all(cause in line for cause in ("normalization", "order of classes", "resolution"))


def test_the_order_of_classes(dass: Callable, refuses: Callable, made: Path, tmp_path: Path) -> None:
    network = torchvision_network("resnet18", num_classes=3)
    weights = dict(network.state_dict())
    torch.save({"state_dict": weights, "classes": ["cat", "bee", "ant"]}, tmp_path / "named.pth")
    torch.save(weights, tmp_path / "plain.pth")
    given = ("--data", made / "images", "--resolution", 32, "--expect-accuracy", 0, "--json")
    named = json.loads(dass("teacher", "inspect", tmp_path / "named.pth", *given).out)
    (tmp_path / "order.txt").write_text("cat\nbee\nant\n")
    listed = json.loads(
        dass("teacher", "inspect", tmp_path / "plain.pth", "--classes", tmp_path / "order.txt", *given).out
    )
    assert named["accuracy"] == listed["accuracy"]
    assert named["class_names"] == ["cat", "bee", "ant"]
    (tmp_path / "order.txt").write_text("cat\nbee\nemu\n")
    line = refuses(2, "teacher", "inspect", tmp_path / "plain.pth", "--classes", tmp_path / "order.txt", *given)
    assert "emu" in line and "ant" in line


@pytest.mark.parametrize("text", ["cifar", "1,2,3", "0.5,0.5,0.5,0,1,1", "128,128,128,60,60,60", "nan,0,0,1,1,1"])
def test_a_normalization_that_is_none(refuses: Callable, made: Path, text: str) -> None:
    assert "normalization" in refuses(2, "teacher", "inspect", made / "t.pth", "--normalization", text)


@pytest.mark.parametrize("command", [("teacher", "inspect", "x.pt"), ("search", "--data", "x", "--teacher", "x.pt")])
def test_a_layout_that_contradicts_itself_is_refused(refuses: Callable, command: tuple[str, ...]) -> None:
    assert "stem_stride" in refuses(2, *command, "--layout", "stem_stride=1", "--layout", "stem_stride=2")
