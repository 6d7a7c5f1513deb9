"""What the README and the pages say of the study is what its committed files hold."""

import csv
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "docs" / "study" / "small"
TARGETS = ("cifar10", "plantvillage", "rsscn7", "stanford_cars", "mean")
README_ROWS = {
    "DaSS": "DaSS",
    "DaSS without guide": "DaSS without guide",
    "parameters": "parameters",
    "best method that is no ladder: DaSS without student": "DaSS without student",
    "TANS": "TANS",
    "ladder, size and shape": "ladder: free",
    "ladder, and the response to noise": "ladder: noise",
    "ladder, 20 steps of distillation": "ladder: sprint 20",
}


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str], str]:
    """SRC with its interval, by method and target."""
    with (STUDY / "correlations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "src"]
    return {(row["method"], row["target"]): shown(*(float(row[k]) for k in ("value", "low", "high"))) for row in rows}


def shown(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


@pytest.mark.parametrize("label", README_ROWS)
def test_the_readmes_table_is_the_studys(cells: dict[tuple[str, str], str], label: str) -> None:
    numbers = " | ".join(cells[README_ROWS[label], target] for target in TARGETS)
    assert f"| {label} | {numbers} |" in (ROOT / "README.md").read_text()


def test_the_ladders_page_has_what_source_tasks_left_out_gave() -> None:
    card = json.loads((STUDY / "ladder.json").read_text())
    text = (ROOT / "docs" / "ladder.md").read_text()
    for rung in ("free", "noise", "start"):
        assert f"{rung} {card['left_out'][rung]:.2f}, {100 * card['covered'][rung]:.0f}%" in text
    sprints = ", ".join(f"{card['left_out'][f'sprint {steps}']:.2f}" for steps in (5, 10, 20))
    assert f"sprint 5, 10, 20: {sprints}" in text
