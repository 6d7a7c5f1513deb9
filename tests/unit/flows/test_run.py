"""How `python -m flows.run` finds what it is to run."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from dass.errors import UsageError
from flows.run import full_name

STAGES = yaml.safe_load((Path(__file__).parents[3] / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize(("module", "name"), [
    *((stage, f"flows.stages.{stage}") for stage in STAGES if stage != "names"),
    ("names", "flows.names"),
    ("slots", "flows.infrastructure.slots"),
    ("shrink", "flows.deployments.shrink"),
    ("every_stage", "flows.every_stage"),
])  # fmt: skip
def test_a_module_is_found_in_its_folder(module: str, name: str) -> None:
    assert full_name(module) == name
    assert find_spec(name)


@pytest.mark.parametrize("module", [
    "", "teach", "stages", "stages.teacher", "../run", "stages/teacher", "Teacher", "__init__", "compute", "stage",
])  # fmt: skip
def test_what_is_no_module_is_refused(module: str) -> None:
    with pytest.raises(UsageError, match="no stage"):
        full_name(module)
