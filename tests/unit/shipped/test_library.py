"""Which shipped predictor fits a teacher."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dass.errors import DassError, UsageError
from dass.shipped.build import build
from dass.shipped.card import WEIGHTS, Release
from dass.shipped.fixture import Fixture
from dass.shipped.library import DATA, choose, find_release, fits, releases
from dass.shipped.verify import verify
from dass.space.architecture import Architecture
from dass.training.workers import Workers
from tests.samples import SPACE
from tests.unit.shipped.conftest import ORIGIN

PAGE = Path(__file__).parents[3] / "docs" / "predictors.md"


@pytest.fixture(scope="module")
def built(multi_fidelity_file: Path, target: Fixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases, to be copied by each test."""
    folder = tmp_path_factory.mktemp("built")
    with Workers(0) as workers:
        build(folder / "tiny", "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers)
        build(folder / "any", "multi_fidelity", multi_fidelity_file, replace(ORIGIN, general=True), [target], workers)
    return folder


@pytest.fixture
def library(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "library")


def test_a_predictor_of_the_teachers_space_comes_before_a_general_one(library: Path) -> None:
    other = Architecture(((8, 8), (8, 8), (16, 16), (32, 32)))
    assert [one.card.name for one in releases(library)] == ["any", "tiny"]
    for teacher, resolution, name in ((SPACE.largest, 16, "tiny"), (SPACE.largest, 32, "any"), (other, 16, "any")):
        choice = choose(teacher, resolution, library)
        assert choice is not None
        assert choice.release.card.name == name
    assert choose(SPACE.largest, 16, library, kind="dass") is None


def test_why_a_predictor_does_not_fit(library: Path) -> None:
    tiny = find_release("tiny", library)
    assert fits(tiny, SPACE.largest, 16) == ""
    assert "32" in fits(tiny, SPACE.largest, 32)
    assert "8,8" in fits(tiny, Architecture(((8, 8), (8, 8), (16, 16), (32, 32))), 16)


def test_a_damaged_predictor_is_never_chosen_and_is_named_where_it_is_asked_for(library: Path) -> None:
    weights = library / "tiny" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    choice = choose(SPACE.largest, 16, library)
    assert choice is not None
    assert choice.release.card.name == "any"
    with pytest.raises(DassError, match="tiny"):
        releases(library)


def test_an_unknown_name_is_told_the_known_ones(library: Path) -> None:
    with pytest.raises(UsageError, match="any, tiny"):
        find_release("small", library)


def test_what_is_shipped_is_whole_and_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 15 * 2**20
    for release in releases():
        assert release.card.name == release.folder.name


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.card.name)
def test_what_is_shipped_still_says_what_its_card_says(release: Release) -> None:
    with Workers(0) as workers:
        checks = verify(release, workers)
    assert checks
    assert all(check.holds for check in checks), checks


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.card.name)
def test_the_page_of_predictors_has_the_numbers_of_the_cards(release: Release) -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{release.card.name}` ")]
    assert f"{release.card.students} students of {sum(one.tasks for one in release.card.sources)} " in row
    for target in release.card.targets:
        assert f"{target.target} {target.src:.2f}" in row
        if target.covered is not None:
            assert f"{100 * target.covered:.0f}%" in row


@pytest.mark.parametrize("name", ["other_family", "two_families"])
def test_the_page_has_what_was_measured_on_another_family(name: str) -> None:
    [target] = json.loads((PAGE.parent / "study" / f"{name}.json").read_text())["targets"]
    [row] = [line for line in PAGE.read_text().splitlines() if f"(study/{name}.json)" in line]
    by_key = target["fidelities"]
    trained = [one["src"] for key, one in by_key.items() if key.startswith("steps")]
    too_high, covered = ([one[kind] for one in by_key.values()] for kind in ("too_high", "covered"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [
        f"{by_key['size']['src']:.2f}",
        f"{min(trained):.2f} to {max(trained):.2f}",
        f"{min(too_high):.0f} to {max(too_high):.0f} points",
        f"{100 * min(covered):.0f} to {100 * max(covered):.0f}%",
    ]
