"""Cards and tensors: what was written comes back, and every other form is refused with one line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from dass.cards import CardFormat, load_tensors, save_tensors
from dass.errors import DassError
from dass.files import file_sha256, read_json
from dass.sealed import SEAL, write_sealed
from dass.space.architecture import Architecture, ArchitectureField
from dass.space.search_space import SearchSpaceField
from tests.samples import SPACE


@dataclass(frozen=True)
class Part:
    """Something within a card."""

    center: float


@dataclass(frozen=True)
class Fruit:
    """A card with every kind of field that cards have."""

    name: str
    weights: tuple[float, ...]
    parts: tuple[Part, ...]
    architecture: ArchitectureField
    space: SearchSpaceField
    count: int = 1


FRUIT = Fruit("apple", (1.0, float("nan")), (Part(0.5),), Architecture(((2,), (4,), (4,), (8,))), SPACE)
FORMAT = CardFormat(Fruit, "the card of a fruit", "buy another", version=2)


def facts(path: Path) -> dict[str, Any]:
    FORMAT.write(path, FRUIT)
    return {name: value for name, value in read_json(path).items() if name != SEAL}


def test_a_card_comes_back(tmp_path: Path) -> None:
    assert facts(tmp_path / "fruit.json")["format"] == 2
    again = FORMAT.read(tmp_path / "fruit.json")
    assert (again.parts, again.architecture, again.space) == (FRUIT.parts, FRUIT.architecture, SPACE)
    assert again.weights[0] == 1.0 and np.isnan(again.weights[1])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values.pop("name"), "name"),
        (lambda values: values.update(colour="red"), "colour"),
        (lambda values: values.update(count="7"), "count"),
        (lambda values: values.update(parts=[{"center": None}]), r"parts\.0\.center"),
        (lambda values: values.update(architecture={"widths": [[4]]}), "4 stages"),
        (lambda values: values["space"].pop("widths"), "widths"),
        (lambda values: values.update(format=3), "format 3"),
        (lambda values: values.pop("format"), "format None"),
    ],
)
def test_another_form_is_refused(change: Callable[[dict[str, Any]], object], named: str, tmp_path: Path) -> None:
    path = tmp_path / "fruit.json"
    values = facts(path)
    change(values)
    write_sealed(path, values)
    with pytest.raises(DassError, match=rf"fruit\.json.*{named}.*buy another") as caught:
        FORMAT.read(path)
    assert str(caught.value).isprintable()


def test_a_field_with_a_default_may_be_missing(tmp_path: Path) -> None:
    values = facts(tmp_path / "fruit.json")
    del values["count"]
    write_sealed(tmp_path / "fruit.json", values)
    assert FORMAT.read(tmp_path / "fruit.json").count == 1


def test_tensors_come_back(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7, dtype=np.int64), "c": np.ones(2, np.float16)}
    digest = save_tensors(tmp_path / "a.safetensors", tensors)
    assert digest == file_sha256(tmp_path / "a.safetensors")
    again = load_tensors(tmp_path / "a.safetensors", digest, "")
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(again[name], tensor, strict=True)


def test_other_tensors_than_those_of_the_card_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = save_tensors(path, {"a": np.zeros(3)})
    save_file({"a": np.ones(3)}, path)
    with pytest.raises(DassError, match=r"a\.safetensors.*hash.*buy another"):
        load_tensors(path, digest, "buy another")
    path.write_bytes(b"no tensors")
    with pytest.raises(DassError, match=r"a\.safetensors.*safetensors.*buy another"):
        load_tensors(path, file_sha256(path), "buy another")
    path.unlink()
    with pytest.raises(DassError, match=r"cannot read .*a\.safetensors.*buy another"):
        load_tensors(path, digest, "buy another")
