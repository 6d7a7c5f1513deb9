"""Releases made of a real predictor, verified, damaged and refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dass.errors import DassError, UsageError
from dass.sealed import read_sealed, write_sealed
from dass.shipped.build import build, flaws
from dass.shipped.card import CARD, WEIGHTS, Release, TargetScore, read_release
from dass.shipped.fixture import IMAGES, Fixture
from dass.shipped.verify import verify
from dass.training.workers import Workers
from tests.unit.shipped.conftest import ORIGIN


@pytest.fixture(scope="module")
def release(multi_fidelity_file: Path, target: Fixture, tmp_path_factory: pytest.TempPathFactory) -> Release:
    with Workers(0) as workers:
        folder = tmp_path_factory.mktemp("data") / "tiny"
        return build(folder, "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers, fixture="task9")


@pytest.fixture
def copy(release: Release, tmp_path: Path) -> Path:
    """The release and its fixture in a folder of the test's own."""
    shutil.copytree(release.folder.parent, tmp_path / "data")
    return tmp_path / "data" / "tiny"


def test_a_release_says_where_it_comes_from_and_how_it_does_on_targets(release: Release, target: Fixture) -> None:
    card = read_release(release.folder).card
    assert card == release.card
    assert (card.name, card.kind, card.students, card.sources) == ("tiny", "multi_fidelity", 48, ORIGIN.sources)
    [score] = card.targets
    assert (score.target, score.students, score.family) == ("task9", 16, "paper_resnet")
    assert 0.5 < score.src < 1
    assert score.covered is not None
    assert 0.7 <= score.covered < 1
    assert set(card.expected) == {"size", "one_batch"}


def test_verify_finds_the_correlations_again(release: Release) -> None:
    with Workers(0) as workers:
        checks = verify(release, workers)
    assert {check.proxies for check in checks} == {"size", "one_batch"}
    assert all(check.holds for check in checks)


def test_verify_finds_a_predictor_that_says_something_else(copy: Path) -> None:
    facts = read_sealed(copy / CARD)
    write_sealed(copy / CARD, {**facts, "expected": {"size": -facts["expected"]["size"]}})
    with Workers(0) as workers:
        [check] = verify(read_release(copy), workers)
    assert not check.holds


def test_a_damaged_fixture_is_refused(copy: Path) -> None:
    images = copy.parent / "fixtures" / "task9" / IMAGES
    images.write_bytes(images.read_bytes()[:-1] + b"\0")
    with Workers(0) as workers, pytest.raises(DassError, match=IMAGES):
        verify(read_release(copy), workers)


def test_what_is_half_there_or_damaged_is_refused(copy: Path) -> None:
    weights = copy / WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\1")
    with pytest.raises(DassError, match="hash"):
        read_release(copy)
    weights.unlink()
    with pytest.raises(DassError, match=f"{WEIGHTS} is missing"):
        read_release(copy)
    weights.write_bytes(whole)
    read_release(copy)
    text = (copy / CARD).read_text()
    (copy / CARD).write_text(text.replace('"students": 48', '"students": 4800'))
    with pytest.raises(DassError, match="seal"):
        read_release(copy)
    facts = read_sealed_text(text, copy)
    write_sealed(copy / CARD, {**facts, "format": 99})
    with pytest.raises(DassError, match="99"):
        read_release(copy)
    (copy / CARD).unlink()
    with pytest.raises(UsageError, match=CARD):
        read_release(copy)


def read_sealed_text(text: str, folder: Path) -> dict[str, object]:
    (folder / CARD).write_text(text)
    return dict(read_sealed(folder / CARD))


def test_a_predictor_that_ranks_badly_or_lies_about_its_doubt_is_not_shipped(
    release: Release, multi_fidelity_file: Path, target: Fixture, tmp_path: Path
) -> None:
    upside_down = replace(target, accuracies=tuple(100 - one for one in target.accuracies))
    with Workers(0) as workers, pytest.raises(DassError, match="mean correlation"):
        build(tmp_path / "bad", "multi_fidelity", multi_fidelity_file, ORIGIN, [upside_down], workers)
    assert not (tmp_path / "bad").exists()
    good = TargetScore("a", "paper_resnet", "0" * 12, 20, 500, 0.9, 0.8)
    assert flaws(replace(release.card, targets=(good,))) == []
    for wrong in (
        replace(good, students=5), replace(good, covered=0.5), replace(good, covered=1.0), replace(good, src=0.2),
        replace(good, src=float("nan")),
    ):  # fmt: skip
        assert len(flaws(replace(release.card, targets=(wrong,)))) == 1
    assert len(flaws(replace(release.card, targets=(), sources=(), licence=""))) == 3


def test_one_target_may_miss_the_asked_coverage_by_chance_but_not_by_more(release: Release) -> None:
    many = TargetScore("a", "paper_resnet", "0" * 12, 120, 500, 0.9, 0.8)
    few = replace(many, target="b", students=16)
    for share, count in ((10 / 16, 0), (1.0, 0), (5 / 16, 1)):
        assert len(flaws(replace(release.card, targets=(many, replace(few, covered=share))))) == count


def test_a_folder_of_something_else_is_left_alone(multi_fidelity_file: Path, target: Fixture, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with Workers(0) as workers, pytest.raises(UsageError, match="no shipped predictor"):
        build(tmp_path / "mine", "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_a_release_is_replaced_whole(release: Release, multi_fidelity_file: Path, target: Fixture, copy: Path) -> None:
    with Workers(0) as workers:
        again = build(
            copy,
            "multi_fidelity",
            multi_fidelity_file,
            replace(ORIGIN, summary="new"),
            [target],
            workers,
            fixture="task9",
        )
    assert again.card.summary == "new"
    assert {path.name for path in copy.parent.iterdir()} == {"tiny", "fixtures"}


def test_an_unknown_target_to_verify_by_is_named(multi_fidelity_file: Path, target: Fixture, tmp_path: Path) -> None:
    with Workers(0) as workers, pytest.raises(UsageError, match="task9"):
        build(tmp_path / "x", "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers, fixture="cifar")
