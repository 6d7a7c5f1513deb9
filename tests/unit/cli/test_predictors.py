"""`dass predictors` on a shipped predictor of a tiny space, and the search that chooses it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dass.cli.predictor_choice import usual_choice
from dass.errors import UsageError
from dass.project import MULTI_FIDELITY_FILE, USED_PREDICTOR, Project
from dass.proxies.recipe_facts import recipe_facts
from dass.sealed import write_sealed
from dass.shipped.build import build
from dass.shipped.card import WEIGHTS, read_release, write_release
from dass.shipped.fixture import Fixture
from dass.space.architecture import Architecture
from dass.training.workers import Workers
from tests.samples import RECIPE, SPACE
from tests.unit.shipped.conftest import ORIGIN, multi_fidelity_file, target

__all__ = ["multi_fidelity_file", "target"]


@pytest.fixture(scope="module")
def built(multi_fidelity_file: Path, target: Fixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, to be copied by each test."""
    folder = tmp_path_factory.mktemp("release") / "tiny"
    with Workers(0) as workers:
        return build(folder, "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers, fixture="task9").folder


@pytest.fixture
def tiny(built: Path, project: Path) -> Path:
    """A release in the folder of a project whose searches use such predictors, learned for the project's recipe."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["search"]["method"] = "multi_fidelity"
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copytree(built.parent, project / "release")
    made = read_release(project / "release" / "tiny")
    recipe = recipe_facts(Project.open(project).params.distillation)
    return write_release(made.folder, made.weights, replace(made.card, recipe=recipe)).folder


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


def test_use_is_remembered_with_what_is_known_of_it_and_replaces_nothing(
    dass: Callable[..., Any], tiny: Path, multi_fidelity_file: Path
) -> None:
    """A general predictor stays general, and what a stage of the pipeline writes is another file."""
    release = read_release(tiny)
    write_release(tiny.parent / "general", release.weights, replace(release.card, name="general", general=True))
    other, none = Architecture(((8, 8), (8, 8), (16, 16), (32, 32))), tiny.parent / "none"
    for name in ("tiny", "general"):
        assert dass("predictors", "use", tiny.parent / name).code == 0
        found = usual_choice(SPACE.largest, 16, shipped=none)
        assert (found.method, found.general) == ("multi_fidelity", name == "general")
        assert found.file == USED_PREDICTOR / WEIGHTS
        assert usual_choice(other, 32, shipped=none).method == ("multi_fidelity" if name == "general" else "race")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["search"]["method"] = "race"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert usual_choice(SPACE.largest, 16, shipped=none).file == USED_PREDICTOR / WEIGHTS
    assert not MULTI_FIDELITY_FILE.exists()
    put(multi_fidelity_file)
    assert usual_choice(SPACE.largest, 16, shipped=none).file == USED_PREDICTOR / WEIGHTS


def put(multi_fidelity_file: Path) -> None:
    """What the pipeline would have learned."""
    MULTI_FIDELITY_FILE.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".json", ".safetensors"):
        shutil.copyfile(multi_fidelity_file.with_suffix(suffix), MULTI_FIDELITY_FILE.with_suffix(suffix))


@pytest.mark.parametrize("spoil", ["older", "cut", "of no kind"])
def test_an_own_predictor_that_cannot_be_read_is_said_and_passed_over(
    tiny: Path, multi_fidelity_file: Path, spoil: str
) -> None:
    put(multi_fidelity_file)
    facts = json.loads(MULTI_FIDELITY_FILE.with_suffix(".json").read_text())
    if spoil == "cut":
        MULTI_FIDELITY_FILE.write_bytes(b"cut")
    else:
        facts = {name: value for name, value in facts.items() if name != "seal"}
        changed = facts | {"format": 2} if spoil == "older" else {"a": 1}
        write_sealed(MULTI_FIDELITY_FILE.with_suffix(".json"), changed)
    found = usual_choice(SPACE.largest, 16, shipped=tiny.parent)
    assert found.file == tiny / WEIGHTS and str(MULTI_FIDELITY_FILE.with_suffix("")) in found.why
    found = usual_choice(SPACE.largest, 16, shipped=tiny.parent / "none")
    assert found.method == "race" and str(MULTI_FIDELITY_FILE.with_suffix("")) in found.why
    assert usual_choice(SPACE.largest, 16, method="multi_fidelity", shipped=tiny.parent).file == tiny / WEIGHTS
    with pytest.raises(UsageError, match="multi_fidelity"):
        usual_choice(SPACE.largest, 16, method="multi_fidelity", shipped=tiny.parent / "none")


def test_the_method_of_params_decides_where_it_fits(project: Path, tiny: Path) -> None:
    for method, expected in (("race", "race"), ("multi_fidelity", "multi_fidelity"), ("dass", "race")):
        params = yaml.safe_load((project / "params.yaml").read_text())
        params["search"]["method"] = method
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        found = usual_choice(SPACE.largest, 16, shipped=tiny.parent)
        assert found.method == expected
        assert ("search.method" in found.why) == (method != "multi_fidelity")


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
    put(multi_fidelity_file)
    assert usual_choice(SPACE.largest, 16, shipped=shipped).file == tiny / WEIGHTS  # learned for another recipe
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["distillation"] = {**RECIPE.model_dump(mode="json"), "min_steps": 0}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    assert usual_choice(SPACE.largest, 16, shipped=shipped).file == MULTI_FIDELITY_FILE


@pytest.mark.parametrize("put_to_use", [True, False])
def test_a_predictor_of_another_recipe_than_the_projects_is_passed_over_with_the_setting_that_differs(
    dass: Callable[..., Any], tiny: Path, put_to_use: bool
) -> None:
    release = read_release(tiny)
    card = replace(release.card, name="sharp", recipe={**release.card.recipe, "temperature": 1.5})
    write_release(tiny.parent / "sharp", release.weights, card)
    shutil.rmtree(tiny)
    if put_to_use:
        assert dass("predictors", "use", tiny.parent / "sharp").code == 0
    found = usual_choice(SPACE.largest, 16, shipped=tiny.parent)
    assert found.method == "race"
    assert "sharp" in found.why and "distillation.temperature" in found.why
