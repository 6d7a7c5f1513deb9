"""`dass describe` against the numbers of the paper's tables."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dass.families.ofa_resnet import member
from dass.space.architecture import Architecture

TEACHER = ("--depth", "5,5,5,5", "--width", "32,64,128,256")


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [
        ("5,5,5,5", "32,64,128,256", 17878.31),
        ("2,4,2,2", "20,32,104,128", 4795.47),
        ("1,2,5,1", "32,44,72,256", 4707.01),
        ("1,1,2,5", "32,64,96,128", 4532.10),
    ],
)
def test_table_7(dass: Callable, depth: str, width: str, millions: float) -> None:
    said = dass("describe", "--depth", depth, "--width", width, "--resolution", 224, "--classes", 7, "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert round(found["macs_bn1"] / 1e6, 2) == millions
    assert found["code_length"] == 181
    assert (found["resolution"], found["classes"]) == (224, 7)
    assert found["space"] == "medium"  # the first of the two that have it


@pytest.mark.parametrize(("classes", "millions"), [(10, 1464.65), (38, 1464.66)])
def test_table_5(dass: Callable, classes: int, millions: float) -> None:
    found = json.loads(dass("describe", *TEACHER, "--resolution", 64, "--classes", classes, "--json").out)
    assert round(found["macs_bn3_pool"] / 1e6, 2) == millions


def test_the_teacher(dass: Callable) -> None:
    found = json.loads(dass("describe", *TEACHER, "--preset", "paper", "--json").out)
    assert {"parameters", "macs", "macs_bn1", "macs_bn3_pool", "arch_id", "code_length"} <= set(found)
    assert found["parameters"] == 7_459_626
    assert round(found["macs"] / 1e6, 2) == 1456.87  # at the preset's own 64 pixels
    assert found["arch_id"] == Architecture.from_json({"widths": found["widths"]}).arch_id


def test_without_an_architecture_it_is_the_teachers(dass: Callable) -> None:
    assert (
        dass("describe", "--preset", "paper", "--json").out
        == dass("describe", *TEACHER, "--preset", "paper", "--json").out
    )


def test_as_a_table(dass: Callable) -> None:
    said = dass("describe", "--depth", "2,4,2,2", "--width", "20,32,104,128", "--resolution", 224, "--classes", 7)
    assert said.code == 0
    for text in ("2,4,2,2 / 20,32,104,128 at 224x224, 7 classes, space: medium", "1,742,619", "4795.47 M", "181"):
        assert text in said.out


def test_a_json_file_is_the_same_architecture(dass: Callable, project: Path) -> None:
    by_options = dass("describe", "--depth", "2,1,2,1", "--width", "4,16,8,64", "--json").out
    widths = json.loads(by_options)["widths"]
    assert widths == [[4, 8], [16], [8, 32], [64]]
    Path("a.json").write_text(json.dumps({"widths": widths}))
    assert dass("describe", "a.json", "--json").out == by_options
    assert json.loads(by_options)["space"] == "demo"  # params.yaml's own comes first


def test_a_space_is_looked_for_in_params_then_in_the_presets(dass: Callable, refuses: Callable) -> None:
    def space(*more: object) -> str:
        said = dass("describe", "--depth", "3,1,1,1", "--width", "8,32,64,128", "--json", *more)
        return json.loads(said.out)["space"]

    assert space() == space("--preset", "small") == "small"
    line = refuses(2, "describe", "--depth", "3,1,1,1", "--width", "8,32,64,128", "--preset", "demo")
    assert "depth 3 of stage 1" in line and "1..2" in line and "preset demo" in line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--depth", "9,4,2,2", "--width", "20,32,104,128"), "depth 9 of stage 1 is outside .* no preset's has it"),
        (("--depth", "0,4,2,2", "--width", "20,32,104,128"), "depth 0 of stage 1 is outside"),
        (("--depth", "1,2,1,1", "--width", "8,17,32,64"), r"width 17 of stage 2 is outside the search space: 2, 4, 6"),
        (("--depth", "2,2,2", "--width", "8,16,32,64"), "depth and width need 4 numbers each"),
        (("--depth", "a,b", "--width", "8,16,32,64"), "--depth takes whole numbers with commas between, found 'a,b'"),
        (("--depth", "1,1,1,1"), "give a JSON file, or both --depth and --width"),
        (("a.json", "--depth", "1,1,1,1", "--width", "8,16,32,64"), "give a JSON file"),
        (("none.json",), "cannot read the architecture file none.json: No such file or directory"),
        (("presets",), "cannot read the architecture file presets: Is a directory"),
        (("--depth", "1,1,1,1", "--width", "8,16,32,64", "--resolution", "0"), "resolution and classes must be at"),
        (
            ("--depth", "1,1,1,1", "--width", "8,16,32,64", "--preset", "huge"),
            "no preset 'huge' .* demo, imagenet",
        ),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], line: str, refuses: Callable) -> None:
    assert re.search(line, refuses(2, "describe", *arguments))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b"\xff\xfe",
        b'{"widths": [[8], [16], [32]]}',
        b'{"widths": [[8], [16], [32], ["64"]]}',
        b'{"widths": [[8], [16], [32], [true]]}',
        b'{"widths": [[8], [16], [32], []]}',
        b'{"widths": [[8], [16], [32], [64]], "more": 1}',
        b'{"widths": {"8": 1}}',
        b'{"widths": [[8], [16], [32], [-64]]}',
    ],
)
def test_a_bad_file_is_named(content: bytes, refuses: Callable, project: Path) -> None:
    Path("bad.json").write_bytes(content)
    assert refuses(2, "describe", "bad.json").startswith("bad.json: ")


def test_a_network_of_a_family_that_params_yaml_has_not(dass: Callable, refuses: Callable, project: Path) -> None:
    family, widths = member()
    Path("ofa.json").write_text(json.dumps(Architecture(widths, family).to_json()))
    options = ("ofa.json", "--resolution", "256", "--classes", "1000")
    said = json.loads(dass("describe", *options, "--json").out)
    assert (said["macs"], said["macs_bn3_pool"], said["space"]) == (9784377344, 9843178496, "imagenet")
    (project / "presets" / "imagenet.yaml").unlink()
    assert json.loads(dass("describe", *options, "--json").out)["space"] == "none"
    assert "9843.18 M" in dass("describe", *options).out
    assert "no space" not in (line := refuses(2, "describe", *options, "--preset", "demo")) and "ofa_resnet" in line


def test_a_file_outside_every_space(refuses: Callable, project: Path) -> None:
    Path("a.json").write_text('{"widths": [[8, 8, 8, 8, 8, 8], [16], [32], [64]]}')
    line = refuses(2, "describe", "a.json")
    assert "6 blocks" in line and "1..2" in line and "params.yaml" in line
