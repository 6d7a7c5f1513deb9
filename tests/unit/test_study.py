"""What the README and the pages say of the study is what its committed files hold."""

import csv
import json
import math
from pathlib import Path
from statistics import mean, pstdev, stdev

import pytest

from dass.params_file import load_params
from dass.students.record import StudentRecord
from dass.students.record_file import read_records

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "docs" / "study" / "small-first"
TARGETS = ("cifar10", "plantvillage", "rsscn7", "stanford_cars", "mean")
README_ROWS = {
    "DaSS": "DaSS",
    "DaSS without guide": "DaSS without guide",
    "parameters": "parameters",
    "best other method: DaSS without student": "DaSS without student",
    "TANS": "TANS",
    "multi-fidelity, size and shape": "ladder: free",
    "multi-fidelity, and the response to noise": "ladder: noise",
    "multi-fidelity, 20 steps of distillation": "ladder: sprint 20",
}


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str], str]:
    """SRC with its interval, by method and target."""
    with (STUDY / "correlations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "src"]
    return {(row["method"], row["target"]): shown(*(float(row[k]) for k in ("value", "low", "high"))) for row in rows}


def shown(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def test_its_records_are_of_one_teacher_and_recipe_a_task() -> None:
    params, page = load_params(STUDY / "params.yaml"), (STUDY / "README.md").read_text()
    tasks: dict[str, list[StudentRecord]] = {}
    for path in (STUDY / "records").iterdir():
        for record in read_records(path):
            tasks.setdefault(record.task, []).append(record)
    assert tasks.keys() == {f"split{index}" for index in params.source.splits} | params.targets.keys()
    for task, records in tasks.items():
        assert len({record.key for record in records}) == 1
        first = [record.final_accuracy for record in records if record.seed == params.seed]
        repeated = params.students.repeated if task in params.targets and params.targets[task].repeat else 0
        assert len(records) == len(first) + repeated
        if task in params.targets:
            assert f"| {task} | {params.students.per_target} | {mean(first):.1f} | {pstdev(first):.2f} |" in page
            assert len(first) == params.students.per_target
        else:
            assert len(first) == params.students.per_source
    assert f"- seed 0; {sum(map(len, tasks.values()))} students of {len(tasks)} teachers" in page


@pytest.mark.parametrize("label", README_ROWS)
def test_the_readmes_table_is_the_studys(cells: dict[tuple[str, str], str], label: str) -> None:
    numbers = " | ".join(cells[README_ROWS[label], target] for target in TARGETS)
    assert f"| {label} | {numbers} |" in (ROOT / "README.md").read_text()


def test_the_predictors_page_has_what_source_tasks_left_out_gave() -> None:
    card = json.loads((STUDY / "ladder.json").read_text())
    text = (ROOT / "docs" / "multi_fidelity.md").read_text()
    for old, key in (("free", "size"), ("noise", "noise"), ("start", "one_batch")):
        assert f"{key} {card['left_out'][old]:.2f}, {100 * card['covered'][old]:.0f}%" in text
    trained = ", ".join(f"{card['left_out'][f'sprint {steps}']:.2f}" for steps in (5, 10, 20))
    assert f"steps 5, 10, 20: {trained}" in text


def test_what_the_page_of_studies_says_is_in_the_tables(cells: dict[tuple[str, str], str]) -> None:
    text = (ROOT / "docs" / "study" / "README.md").read_text()
    for method in ("DaSS", "TANS", "parameters", "ladder: free", "ladder: noise", "ladder: sprint 20"):
        assert cells[method, "mean"] in text, method
    with (STUDY / "correlations.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {(row["method"], row["metric"], row["target"]): float(row["value"]) for row in rows}
    for name, method in (("DaSS", "DaSS"), ("multi-fidelity with twenty\n  steps", "ladder: sprint 20")):
        regrets = ", ".join(f"{values[method, f'regret_within_{share}', 'mean']:.2f}" for share in (0.35, 0.4, 0.5))
        assert f"{name} {regrets}" in text
    partial = [round(values[f"ladder: {rung}", "partial_src", "mean"], 2) for rung in ("free", "sprint 20")]
    assert f"multi-fidelity {partial[0]:.2f} to {partial[1]:.2f}" in text


def test_the_ranges_of_coverage_are_those_of_the_tables() -> None:
    text = (ROOT / "docs" / "study" / "README.md").read_text()
    with (STUDY / "correlations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "covered_80"]
    targets = {row["target"]: row["counts"] == "True" for row in rows if row["target"] != "mean"}
    held = {(row["method"], row["target"]): float(row["value"]) for row in rows}

    def span(names: list[str]) -> str:
        means = [
            100 * sum(held[method, name] for name in names) / len(names) for method in dict.fromkeys(m for m, _ in held)
        ]
        return f"{min(means):.0f} to {max(means):.0f}%"

    assert f"{span([name for name, counts in targets.items() if counts])} of the accuracies on the targets" in text
    assert f"{span(list(targets))} on all six" in text


def test_the_picks_means_are_those_of_the_distilled_picks() -> None:
    text = (ROOT / "docs" / "study" / "README.md").read_text()
    reached: dict[str, dict[str, list[float]]] = {}
    with (STUDY / "picks.csv").open() as file:
        for row in csv.DictReader(file):
            if row["target"] in TARGETS:
                reached.setdefault(row["method"], {}).setdefault(row["target"], []).append(float(row["accuracy"]))
    means = {method: sum(sum(v) / len(v) for v in own.values()) / len(own) for method, own in reached.items()}
    for name, method in (("MetaD2A", "MetaD2A"), ("TANS", "TANS"), ("random", "random"), ("DaSS", "DaSS")):
        assert f"{name} {means[method]:.1f}" in text
    assert f"multi-fidelity with the response to noise {means['ladder: noise']:.1f}" in text


def test_the_piece_of_medium_is_what_its_records_say() -> None:
    folder = ROOT / "docs" / "study" / "medium"
    page = (folder / "README.md").read_text()
    records = read_records(folder / "records" / "cifar10.parquet")
    teacher = json.loads((folder / "teacher-cifar10.json").read_text())
    assert {record.teacher_id for record in records} == {teacher["teacher_id"]}
    by_seed = [{r.arch_id: r.final_accuracy for r in records if r.seed == seed} for seed in (0, 1)]
    both = by_seed[0].keys() & by_seed[1].keys()
    architectures = by_seed[0].keys() | by_seed[1].keys()
    assert (
        f"{len(records)} of 70, the costliest first: {len(architectures)} of 50 architectures, {len(both)} of them"
        in page
    )
    error = math.sqrt(mean(r.final_accuracy * (100 - r.final_accuracy) / 4000 for r in records))
    deviation = stdev(by_seed[0].values())
    assert f"{deviation:.1f} points over the {len(by_seed[0])} of seed 0, {deviation / error:.1f} times" in page
    assert f"({error:.2f})" in page
    seeds = math.sqrt(mean((by_seed[0][name] - by_seed[1][name]) ** 2 / 2 for name in both))
    assert f"{seeds:.2f} points over the {len(both)} pairs" in page
    assert f"{teacher['accuracy']:.1f}% of 4,000 test images, {teacher['seconds']:.0f} s" in page
    seconds = mean(record.seconds for record in records)
    steps = 6000 // 64 * 5
    assert f"| {seconds:.1f} (eight side by side, {steps} steps" in page
    assert f"took {1000 * seconds / steps:.1f} ms a step" in page
    assert f"the teacher took {1000 * teacher['seconds'] / (6000 // 64 * 40):.1f} ms" in page
