"""`dass predictors` on a shipped predictor of a tiny space, and the search that chooses it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dass.cli.predictor_choice import usual_choice
from dass.project import MULTI_FIDELITY_FILE
from dass.shipped.build import build
from dass.shipped.card import WEIGHTS
from dass.shipped.fixture import Fixture
from dass.space.architecture import Architecture
from dass.training.workers import Workers
from tests.samples import RECIPE, SPACE
from tests.unit.shipped.conftest import ORIGIN, multi_fidelity_file, target

__all__ = ["multi_fidelity_file", "target"]


@pytest.fixture
def tiny(multi_fidelity_file: Path, target: Fixture, project: Path) -> Path:
    """A release in the project's folder."""
    with Workers(0) as workers:
        return build(
            project / "release" / "tiny",
            "multi_fidelity",
            multi_fidelity_file,
            ORIGIN,
            [target],
            workers,
            fixture="task9",
        ).folder


def test_show_gives_all_that_is_known(dass: Callable[..., Any], tiny: Path) -> None:
    card = json.loads(dass("predictors", "show", tiny).out)
    assert (card["name"], card["students"]) == ("tiny", 48)


def test_verify_says_that_the_correlations_hold_and_fails_where_they_differ(
    dass: Callable[..., Any], refuses: Callable[..., str], tiny: Path
) -> None:
    said = dass("predictors", "verify", tiny)
    assert said.code == 0
    assert len(said.out.splitlines()) == 2
    weights = tiny / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    assert WEIGHTS in refuses(1, "predictors", "verify", tiny)


def test_use_puts_it_where_the_project_looks_and_replaces_nothing(
    dass: Callable[..., Any], refuses: Callable[..., str], tiny: Path
) -> None:
    assert dass("predictors", "use", tiny).code == 0
    assert MULTI_FIDELITY_FILE.read_bytes() == (tiny / WEIGHTS).read_bytes()
    assert str(MULTI_FIDELITY_FILE) in refuses(2, "predictors", "use", tiny)


def test_unknown_names_are_refused(refuses: Callable[..., str]) -> None:
    assert "nothing" in refuses(2, "predictors", "show", "nothing")
    assert "--kind" in refuses(2, "predictors", "build", "x", "--summary", "x", "--licence", "x", "--kind", "oracle")


def test_list_runs_whatever_is_shipped(dass: Callable[..., Any]) -> None:
    assert dass("predictors", "list").code == 0


def test_a_search_takes_the_project_s_own_then_a_shipped_one_then_a_race(
    project: Path, tiny: Path, multi_fidelity_file: Path
) -> None:
    shipped = tiny.parent
    other = Architecture(((8, 8), (8, 8), (16, 16), (32, 32)))
    found = usual_choice(SPACE.largest, 16, shipped=shipped)
    assert (found.method, found.file) == ("multi_fidelity", tiny / WEIGHTS)
    assert usual_choice(other, 16, shipped=shipped).method == "race"
    assert usual_choice(SPACE.largest, 32, shipped=shipped).method == "race"
    MULTI_FIDELITY_FILE.parent.mkdir(parents=True)
    for suffix in (".json", ".safetensors"):
        shutil.copyfile(multi_fidelity_file.with_suffix(suffix), MULTI_FIDELITY_FILE.with_suffix(suffix))
    assert usual_choice(SPACE.largest, 16, shipped=shipped).file == tiny / WEIGHTS  # learned for another recipe
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["distillation"] = {**RECIPE.model_dump(mode="json"), "min_steps": 0}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    assert usual_choice(SPACE.largest, 16, shipped=shipped).file == MULTI_FIDELITY_FILE
    assert usual_choice(SPACE.largest, 16, kind="multi_fidelity", shipped=shipped).file == tiny / WEIGHTS
