"""`dass preset`: laid over params.yaml, and never over edits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dass.params_file import load_params


def test_list_shows_each_with_what_it_is_for(dass: Callable) -> None:
    said = dass("preset", "list")
    assert said.code == 0
    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in said.out.splitlines() if "│" in row]
    rows = {row[1]: row for row in cells}
    assert {name: row[0] for name, row in rows.items()} == {
        "cifar_resnet": "", "demo": "*", "imagenet": "", "medium": "", "paper": "", "resnet18": "", "small": "",
    }  # fmt: skip
    assert "TinyImageNet at 32x32" in rows["small"][-1]
    assert rows["paper"][2:5] == ["64", "10 x 200", "9"]


def test_use_writes_the_preset_as_it_is(dass: Callable, project: Path) -> None:
    for name in ("small", "paper", "demo"):
        said = dass("preset", "use", name)
        assert said.code == 0
        assert f"params.yaml now holds the preset {name}" in said.out
        assert (project / "params.yaml").read_bytes() == (project / "presets" / f"{name}.yaml").read_bytes()
    (project / "params.yaml").unlink()
    assert dass("preset", "use", "small").code == 0
    assert load_params(project / "params.yaml").preset == "small"


def test_edits_are_not_lost_unless_it_is_said(dass: Callable, refuses: Callable, project: Path) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text()) | {"seed": 7}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    line = refuses(2, "preset", "use", "small")
    assert "params.yaml" in line and "--force" in line
    assert load_params(project / "params.yaml").seed == 7
    assert dass("preset", "use", "small", "--force").code == 0
    assert load_params(project / "params.yaml").preset == "small"


@pytest.mark.parametrize("content", [b"preset: [", b"\xff\xfe", b"seed: 2020-13-45"])
def test_a_broken_file_is_not_lost_either(dass: Callable, refuses: Callable, project: Path, content: bytes) -> None:
    (project / "params.yaml").write_bytes(content)
    assert "add --force" in refuses(2, "preset", "use", "small")
    assert (project / "params.yaml").read_bytes() == content
    assert dass("preset", "use", "small", "--force").code == 0


def test_unknown_and_broken_presets_are_named(refuses: Callable, project: Path) -> None:
    before = (project / "params.yaml").read_bytes()
    line = refuses(2, "preset", "use", "huge")
    assert "'huge'" in line and "cifar_resnet, demo, imagenet, medium, paper, resnet18, small" in line
    assert "'../params'" in refuses(2, "preset", "use", "../params")
    (project / "presets" / "mine.yaml").write_text("preset: mine\n")
    assert refuses(2, "preset", "use", "mine").startswith("presets/mine.yaml: seed: missing")
    assert (project / "params.yaml").read_bytes() == before
