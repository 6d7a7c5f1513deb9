"""`dass report`: the table that `make repro` ends with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

DIGITS = {
    "teacher_accuracy": 97.123, "pick": "2,1,2,2 / 4-8,16,24,40", "pick_predicted": 96.5, "pick_accuracy": 95.25,
    "pick_macs": 1_404_000, "pick_parameters": 43_210, "src": 0.714, "src_low": 0.5, "src_high": 0.86, "students": 20,
}  # fmt: skip


@pytest.fixture
def metrics(project: Path) -> Path:
    path = project / "reports" / "metrics.json"
    path.parent.mkdir()
    without = {key: DIGITS[key] for key in DIGITS if not key.startswith(("src", "students"))}
    path.write_text(json.dumps({"targets": {"digits": DIGITS, "cifar10": without}, "seed": 0}))
    return path


def test_nothing_is_cut_off(dass: Callable, metrics: Path) -> None:
    said = dass("report")
    assert said.code == 0
    [digits] = [line for line in said.out.splitlines() if "digits" in line]
    cells = [cell.strip() for cell in digits.strip("│").split("│")]
    assert cells == [
        "digits", "97.12", "2,1,2,2 / 4-8,16,24,40", "96.50", "95.25", "1.40 M", "43.2 k",
        "0.71 [0.50, 0.86], n=20",
    ]  # fmt: skip
    assert "SRC of DaSS [interval], students" in said.out
    [other] = [line for line in said.out.splitlines() if "cifar10" in line]
    assert other.strip("│").split("│")[-1].strip() == "-"


def test_an_undefined_interval_is_shown_too(dass: Callable, metrics: Path) -> None:
    metrics.write_text(json.dumps({"targets": {"digits": DIGITS | {"src_low": float("nan")}}}))
    assert "0.71 [nan, 0.86], n=20" in dass("report").out


def test_as_json(dass: Callable, metrics: Path) -> None:
    assert dass("report", "--json").out == metrics.read_text()


def test_before_the_first_run(refuses: Callable, project: Path) -> None:
    assert "reports/metrics.json" in refuses(2, "report")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"targets": []}', '{"targets": {"a": {}}}', '{"targets": {"a": {"pick": 1}}}']
)
def test_a_damaged_report_is_named(refuses: Callable, metrics: Path, content: str) -> None:
    metrics.write_text(content)
    assert "metrics.json is no" in refuses(1, "report")
