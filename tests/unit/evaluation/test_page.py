"""The page says what was compared, marks what does not count, and names the best baseline and every failure."""

import numpy as np
import pytest

from dass.evaluation.page import Findings, best_lines, page, pictures, tables
from dass.evaluation.report import GroundTruth, ceiling_rows, compare
from dass.evaluation.tables import COVERED, SECONDS, CorrelationRow, CurveRow, PickRow
from tests.unit.evaluation.test_report import records


@pytest.fixture(scope="module")
def found() -> Findings:
    accuracies = np.random.default_rng(0).uniform(20, 60, size=30)
    both = records(accuracies) + records(accuracies + 0.5, seed=1)
    ground_truths = [
        GroundTruth.of("dtd", both, 0, 10_000, 2000),
        GroundTruth.of("flat", records(50 + accuracies / 1000), 0, 300, 2000),
    ]
    noise = np.random.default_rng(1).normal(scale=20, size=30)
    scores = {
        "dass": {t.target: np.stack([accuracies, accuracies + noise / 9]) for t in ground_truths},
        "dass_first_order": {t.target: accuracies for t in ground_truths},
        "maml": {t.target: accuracies + noise for t in ground_truths},
        "naswot": {"dtd": noise},
        "parameters": {t.target: t.sizes[:, 1] for t in ground_truths},
        "multifidelity_size": {t.target: accuracies + noise / 3 for t in ground_truths},
        "multifidelity_one_batch": {t.target: accuracies + noise / 20 for t in ground_truths},
    }
    rows = compare(ground_truths, scores, resamples=100, confidence=95, seed=0, reference="dass", simple="parameters")
    rows += [CorrelationRow("multifidelity_one_batch", "dtd", COVERED, 0.8, 0.7, 0.9, 30)]
    rows += ceiling_rows(ground_truths, resamples=100, confidence=95, seed=0)
    rows += [CorrelationRow("naswot", "dtd", SECONDS, 0.0123, 0.0123, 0.0123, 30)]
    return Findings(
        ground_truths=ground_truths,
        teachers={"dtd": 44.4, "flat": 51.0},
        meta=["dass", "dass_first_order", "maml"],
        others=["naswot", "parameters"],
        multi_fidelity=["multifidelity_size", "multifidelity_one_batch"],
        reference="dass",
        variants=["dass_first_order"],
        rows=rows,
        curve=[CurveRow("dtd", 0, 0.5, 0.6, 0.0, 10, 15)],
        picks=[PickRow("dass", "dtd", 0, 45.0, 1_000_000, 1000, "a")],
        failures={("naswot", "flat"): "RuntimeError: no memory"},
    )


def test_methods_are_divided_between_the_tables(found: Findings) -> None:
    made = tables(found)
    assert list(made) == [
        "targets",
        "table-2",
        "table-3",
        "multi_fidelity",
        "multi-fidelity-means",
        "figure-3",
        "table-4",
    ]
    drawn = [name for name in made if name not in ("targets", "multi-fidelity-means")]
    assert {name.split("/")[1] for name in pictures(found)} == {f"{name}.png" for name in drawn}
    assert [row[0] for row in made["table-2"].rows] == ["DaSS", "DaSS, first order", "MAML", "noise ceiling"]
    assert [row[0] for row in made["table-3"].rows] == ["DaSS", "naswot", "parameters", "noise ceiling"]
    assert made["table-3"].columns == (
        "method", "dtd (n=30)", "flat† (n=30)", "mean", "mean difference to DaSS", "mean by best accuracy",
        "ms per architecture",
    )  # fmt: skip
    naswot = made["table-3"].rows[1]
    assert (naswot[2], naswot[-1]) == ("-", "12.3")
    assert naswot[3] == naswot[1]  # the target that it lacks does not count


def test_the_multi_fidelity_predictor_stands_beside_the_best_baseline(found: Findings) -> None:
    by_target = tables(found)["multi_fidelity"]
    assert [row[0] for row in by_target.rows] == [
        "DaSS",
        "multi-fidelity, size and shape",
        "multi-fidelity, one batch",
        "noise ceiling",
    ]
    assert by_target.columns[1:3] == ("dtd (n=30)", "flat† (n=30)")
    table = tables(found)["multi-fidelity-means"]
    assert [row[0] for row in table.rows] == [
        "multi-fidelity, size and shape",
        "multi-fidelity, one batch",
        "DaSS",
        "parameters",
        "MAML",
    ]
    start = dict(zip(table.columns, table.rows[1], strict=True))
    assert start["within 80% intervals"] == "80 %"
    assert abs(float(start["difference to DaSS"].split()[0])) < 0.05
    assert table.rows[2][table.columns.index("difference to DaSS")] == "-"
    assert [row[0] for row in tables(found)["table-3"].rows if "multi_fidelity" in row[0]] == []


def test_targets_that_do_not_count_are_marked(found: Findings) -> None:
    dtd, flat = tables(found)["targets"].rows
    assert (dtd[0], dtd[1], dtd[2], dtd[6]) == ("dtd", "30", "44.40", "yes")
    assert dtd[7].startswith("1.00 [") and dtd[7].endswith("(n=30)")
    assert (flat[0], flat[6], flat[7]) == ("flat†", "no", "-")


def test_the_best_baseline_is_named_and_held_against_the_reference(found: Findings) -> None:
    dtd, flat, mean = best_lines(found)
    assert dtd.startswith("dtd: MAML, SRC 0.")
    assert "; DaSS " in dtd and dtd.endswith(": worse")  # variants of DaSS are no baselines
    assert flat.startswith("flat†: MAML")
    assert mean.startswith("mean over targets: MAML")


def test_the_page_has_everything(found: Findings) -> None:
    text = page(found, "Preset demo")
    assert text.startswith("# Preset demo\n\n**Targets**\n")
    headings = [line for line in text.splitlines() if line.startswith("**")]
    assert [heading.strip("*").split(".")[0] for heading in headings] == [
        "Targets", "Table 2", "Table 3", "The best baseline on each target",
        "The multi-fidelity predictor: SRC on unseen targets",
        "The multi-fidelity predictor: what each proxy adds, on average",
        "Figure 3", "Tables 4, 5 and 7", "Without scores",
    ]  # fmt: skip
    assert text.endswith("- naswot on flat: RuntimeError: no memory\n")
    assert "\n\n\n" not in text
