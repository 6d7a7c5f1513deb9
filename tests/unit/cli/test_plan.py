"""`dass plan`, measured here on tiny sizes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def tiny(project: Path) -> Path:
    path = project / "params.yaml"
    values = yaml.safe_load(path.read_text())
    values["space"]["widths"] = [8, 8, 8, 8]
    values["distillation"]["batch_size"] = 4
    path.write_text(yaml.safe_dump(values))
    return project


def test_every_stage_with_hours_disk_and_memory(dass: Callable, tiny: Path) -> None:
    said = dass("plan", "--device", "cpu", "--workers", 2)
    assert said.code == 0
    for text in ("preset demo on cpu", "hours", "disk", "memory", "MiB", "6 x 8 students", "100 episodes", "all"):
        assert text in said.out
    assert "6000 images of 50 classes: glyphs, digits" in said.out


def test_as_json(dass: Callable, tiny: Path) -> None:
    found = json.loads(dass("plan", "--json").out)
    assert {"teachers", "students", "meta_train", "search"} <= {estimate["stage"] for estimate in found}
    assert all(set(estimate) == {"stage", "work", "hours", "disk_mib", "memory_mib"} for estimate in found)


def test_wrong_use(refuses: Callable) -> None:
    assert "'tpu'" in refuses(2, "plan", "--device", "tpu")
    assert refuses(2, "plan", "--workers", "0").startswith("Invalid value for '--workers'")
