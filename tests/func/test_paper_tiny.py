"""Every table of the paper and Figure 3, at the smallest size, by one command."""

import csv
import os
from pathlib import Path

import pytest

from dass.baselines.readings import PUBLISHED, READINGS
from dass.method_names import FEW_SHOT, METHODS
from dass.project import Project
from dass.search.result import load_search
from tests.e2e.sandbox import Sandbox, new_project

pytestmark = [pytest.mark.service, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A project where the command has run, on real images where there are some."""
    shared = os.environ.get("DASS_SHARED_DATASETS")
    sandbox = new_project(
        tmp_path_factory.mktemp("tiny") / "project", **({"DASS_PAPER_IMAGES": shared} if shared else {})
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.e2e.sandbox.SECONDS", 7000)
        sandbox.run("python", "-m", "flows.paper_tiny")
    return sandbox


def project(made: Sandbox, preset: str) -> Project:
    return Project.open(made.root / ".state" / "paper-tiny" / preset)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("preset", ["paper", "imagenet"])
def test_every_method_ranks_every_target_and_the_picks_are_distilled(made: Sandbox, preset: str) -> None:
    opened = project(made, preset)
    found = rows(opened.reports / "correlations.csv")
    for target in opened.params.targets:
        ranked = {row["method"] for row in found if (row["target"], row["metric"]) == (target, "src")}
        assert set(METHODS) - set(FEW_SHOT) <= ranked
    picked = {(row["method"], row["target"]) for row in rows(opened.reports / "picks.csv")}
    assert {(name, target) for name in opened.params.evaluation.picks for target in opened.params.targets} <= picked
    assert {row["shots"] for row in rows(opened.reports / "few_shot.csv")} == {"0", "1", "3"}  # of six students


def test_the_windows_and_resolutions_of_the_tables_are_kept(made: Sandbox) -> None:
    opened = project(made, "paper")
    costs = {
        name: [c.cost.macs for c in load_search(opened.search_file(name)).ranking] for name in opened.params.targets
    }
    largest = {name: load_search(opened.search_file(name)).constraints for name in opened.params.targets}
    assert largest["table7"].max_macs == pytest.approx(largest["table5"].max_macs * (48 / 32) ** 2, rel=0.02)
    assert min(costs["table7"]) > 1.5 * min(costs["table5"])
    assert min(costs["table4"]) >= largest["table4"].min_macs * 1e6


def test_imagenets_students_have_elastic_widths(made: Sandbox) -> None:
    opened = project(made, "imagenet")
    families = {one.architecture.family for one in load_search(opened.search_file("imagenet")).ranking}
    assert {family.name for family in families} == {"ofa_resnet"}
    assert len(families) > 5


def test_the_page_has_table_2_under_every_reading(made: Sandbox) -> None:
    page = (made.root / ".state" / "paper-tiny" / "report.md").read_text()
    for reading in READINGS:
        assert f"Table 2, {reading.label}" in page
    assert all(f"| {name} " in page for name in PUBLISHED)
    for heading in ("Table 2", "Table 3", "Figure 3", "Tables 4, 5 and 7"):
        assert page.count(heading) >= 2  # of either family
