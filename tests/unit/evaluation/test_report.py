"""Methods held against the truth, on records whose accuracies are chosen."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from dass.errors import DassError
from dass.evaluation.correlation import spearman
from dass.evaluation.intervals import bootstrap
from dass.evaluation.report import Truth, compare, estimate_of
from dass.evaluation.tables import MEAN
from dass.students.record import StudentRecord

RECORD = StudentRecord(
    task="dtd", arch_id="", architecture="", seed=0, recipe_id="r", teacher_id="t", data_id="d", init_accuracy=10.0,
    best_accuracy=99.0, final_accuracy=0.0, final_loss=1.0, kd_loss_at_start=3.0, macs=0, params=0, seconds=0.0,
    device="cpu", torch_version="2", finished_at="", failure="",
)  # fmt: skip
METRICS = ("src", "kendall", "pearson", "partial_src", "regret", "precision_at_5")
Floats = NDArray[np.float64]


def records(accuracies: Sequence[float], seed: int = 0) -> list[StudentRecord]:
    """Students whose size rises with their number, in the order of their ids."""
    return [
        replace(RECORD, arch_id=f"a{i:02}", seed=seed, final_accuracy=float(a), macs=1000 + i * i, params=500 + i)
        for i, a in enumerate(accuracies)
    ]


def truth(accuracies: Sequence[float], target: str = "dtd", test_images: int = 10_000) -> Truth:
    return Truth.of(target, records(accuracies), 0, test_images)


@pytest.fixture
def accuracies() -> Floats:
    return np.random.default_rng(0).uniform(20, 60, size=30)


def test_records_are_sorted_and_second_seeds_put_beside_them(accuracies: Floats) -> None:
    first, second, other = records(accuracies), records(accuracies[:4] + 1, seed=1), records([50.0], seed=7)
    shuffled = [*second, *reversed(first), *other]
    found = Truth.of("dtd", shuffled, 0, 100)
    assert found.records == tuple(first)
    assert found.accuracies.tolist() == accuracies.tolist()
    assert found.repeats[:4].tolist() == (accuracies[:4] + 1).tolist()
    assert np.isnan(found.repeats[4:]).all()
    assert found.sizes.tolist() == [[record.macs, record.params] for record in first]


def test_a_target_without_students_is_named() -> None:
    for none in ([], records([50.0, 60.0], seed=1)):
        with pytest.raises(DassError, match=r"dtd has no distilled student .*run its target_students stage"):
            Truth.of("dtd", none, 0, 100)


def test_a_ranking_counts_if_students_differ_more_than_the_test_set_errs() -> None:
    # 50% of 100 images: the standard error is 5 points.
    assert truth([39.9, 60.1], test_images=100).counts
    assert not truth([40.1, 59.9], test_images=100).counts
    assert truth([40.1, 59.9], test_images=400).counts
    assert truth([40.0, 60.0], test_images=100).spread.error == pytest.approx(5)


def test_the_ceiling_needs_three_second_seeds(accuracies: Floats) -> None:
    ends = {}
    for count in (0, 2, 3, 30):
        both = records(accuracies) + records(accuracies[:count] ** 2 / 60, seed=1)
        ends[count] = Truth.of("dtd", both, 0, 100).ceiling(resamples=50, confidence=95, seed=0)
    assert ends[0] is None
    assert ends[2] is None
    assert ends[3] is not None and ends[3].reliability.n == 3
    assert ends[30] is not None and ends[30].single.value == pytest.approx(1)


def test_every_statistic_of_every_method_on_every_target(accuracies: Floats) -> None:
    truths = [truth(accuracies), truth(accuracies[::-1], "cub")]
    noise = np.random.default_rng(1).normal(scale=8, size=30)
    scores = {
        "ours": {"dtd": accuracies + noise, "cub": accuracies[::-1] ** 3},
        "MACs": {t.target: t.sizes[:, 0] for t in truths},
    }
    rows = compare(truths, scores, resamples=300, confidence=90, seed=0)
    keys = [(row.method, row.target, row.metric) for row in rows]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {(m, t, s) for m in scores for t in ("dtd", "cub") for s in METRICS} | {
        (m, MEAN, "src") for m in scores
    }
    for row in rows:
        assert row.low <= row.value <= row.high or row.metric in ("regret", "precision_at_5")
        assert (row.n, row.invalid, row.constant) == (30, 0, False)

    def value(method: str, target: str, metric: str) -> float:
        return estimate_of(rows, method, target, metric).value

    ours = scores["ours"]["dtd"]
    assert value("ours", "dtd", "src") == pytest.approx(scipy.stats.spearmanr(ours, accuracies).statistic)
    assert value("ours", "dtd", "kendall") == pytest.approx(scipy.stats.kendalltau(ours, accuracies).statistic)
    assert value("ours", "dtd", "pearson") == pytest.approx(scipy.stats.pearsonr(ours, accuracies).statistic)
    assert value("ours", "dtd", "regret") == pytest.approx(accuracies.max() - accuracies[ours.argmax()])
    best = set(np.argsort(accuracies)[-5:])
    assert value("ours", "dtd", "precision_at_5") == pytest.approx(len(best & set(np.argsort(ours)[-5:])) / 5)
    assert [value("ours", "cub", metric) for metric in ("src", "kendall", "regret", "precision_at_5")] == [1, 1, 0, 1]
    assert value("MACs", "dtd", "partial_src") == 0  # at equal size, size says nothing
    mean = (value("ours", "dtd", "src") + value("ours", "cub", "src")) / 2
    assert value("ours", MEAN, "src") == pytest.approx(mean)


def test_methods_share_the_resamples(accuracies: Floats) -> None:
    """So that the interval of a method does not depend on which others are there."""
    one, two = accuracies * 2, accuracies + np.arange(30)
    rows = compare([truth(accuracies)], {"a": {"dtd": one}, "b": {"dtd": two}}, resamples=200, confidence=95, seed=3)
    [alone, *_] = compare([truth(accuracies)], {"b": {"dtd": two}}, resamples=200, confidence=95, seed=3)
    assert alone == next(row for row in rows if row.method == "b")
    expected = bootstrap(spearman, two, accuracies, resamples=200, seed=3).estimate(95)
    assert estimate_of(rows, "b", "dtd") == expected


def test_a_target_whose_students_are_alike_stays_out_of_the_mean(accuracies: Floats) -> None:
    alike = truth(50 + accuracies / 1000, "alike", test_images=300)
    truths = [truth(accuracies), alike]
    scores = {"ours": {"dtd": accuracies, "alike": -accuracies}}
    rows = compare(truths, scores, resamples=100, confidence=95, seed=0)
    assert estimate_of(rows, "ours", "alike").value == -1
    assert estimate_of(rows, "ours", MEAN).value == 1
    rows = compare([alike], {"ours": {"alike": -accuracies}}, resamples=100, confidence=95, seed=0)
    assert MEAN not in {row.target for row in rows}


def test_bad_and_constant_scores_are_told(accuracies: Floats) -> None:
    bad = accuracies.copy()
    bad[[3, 5]] = math.nan, math.inf
    scores = {"bad": {"dtd": bad}, "none": {"dtd": np.zeros(30)}}
    rows = compare([truth(accuracies)], scores, resamples=100, confidence=95, seed=0)
    assert estimate_of(rows, "bad", "dtd").invalid == 2
    none = estimate_of(rows, "none", "dtd")
    assert (none.value, none.constant) == (0, True)


def test_fewer_students_than_five() -> None:
    rows = compare([truth([50.0, 60.0])], {"ours": {"dtd": np.array([1.0, 2.0])}}, resamples=20, confidence=95, seed=0)
    assert estimate_of(rows, "ours", "dtd", "precision_at_5").value == 1
    assert estimate_of(rows, "ours", "dtd").n == 2
