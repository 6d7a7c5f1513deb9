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
from dass.evaluation.report import GroundTruth, best_baseline, ceiling_rows, compare, estimate_of
from dass.evaluation.tables import MEAN
from dass.students.record import StudentRecord
from tests.factories import make_record

RECORD = make_record(task="dtd", best_accuracy=99.0)
METRICS = ("src", "kendall", "pearson", "partial_src", "src_loss", "src_best", "regret", "precision_at_5")
Floats = NDArray[np.float64]


def records(accuracies: Sequence[float], seed: int = 0) -> list[StudentRecord]:
    """Students whose size rises with their number, in the order of their ids."""
    return [
        replace(
            RECORD,
            arch_id=f"a{i:02}",
            seed=seed,
            final_accuracy=float(a),
            best_accuracy=float(a) + i % 3,
            final_loss=float((a - 40) ** 2),
            macs=1000 + i * i,
            params=500 + i,
        )
        for i, a in enumerate(accuracies)
    ]


def ground_truth(accuracies: Sequence[float], target: str = "dtd", test_images: int = 10_000) -> GroundTruth:
    return GroundTruth.of(target, records(accuracies), 0, test_images, 2000)


@pytest.fixture
def accuracies() -> Floats:
    return np.random.default_rng(0).uniform(20, 60, size=30)


def test_records_are_sorted_and_second_seeds_put_beside_them(accuracies: Floats) -> None:
    first, second, other = records(accuracies), records(accuracies[:4] + 1, seed=1), records([50.0], seed=7)
    shuffled = [*second, *reversed(first), *other]
    found = GroundTruth.of("dtd", shuffled, 0, 100, 2000)
    assert found.records == tuple(first)
    assert found.accuracies.tolist() == accuracies.tolist()
    assert found.repeats[:4].tolist() == (accuracies[:4] + 1).tolist()
    assert np.isnan(found.repeats[4:]).all()
    assert found.sizes.tolist() == [[record.macs, record.params] for record in first]


def test_a_target_without_students_is_named() -> None:
    for none in ([], records([50.0, 60.0], seed=1)):
        with pytest.raises(DassError, match=r"dtd .*target_students"):
            GroundTruth.of("dtd", none, 0, 100, 2000)


def test_a_ranking_counts_if_students_differ_more_than_the_test_set_errs() -> None:
    # 50% of 100 images: the standard error is 5 points.
    assert ground_truth([39.9, 60.1], test_images=100).counts
    assert not ground_truth([40.1, 59.9], test_images=100).counts
    assert ground_truth([40.1, 59.9], test_images=400).counts
    assert not ground_truth([100.0, 100.0], test_images=100).counts
    assert ground_truth([40.0, 60.0], test_images=100).spread.error == pytest.approx(5)


def test_two_seeds_decide_where_enough_students_have_them(accuracies: Floats) -> None:
    alike = 95 + accuracies / 300  # a deviation far below the error of 100 test images
    assert not ground_truth(alike, test_images=100).counts
    for second, counts in ((alike, True), (alike[::-1], False)):
        both = records(alike) + records(second, seed=1)
        assert GroundTruth.of("dtd", both, 0, 100, 2000).counts is counts
    few = records(alike) + records(alike[:9], seed=1)
    assert not GroundTruth.of("dtd", few, 0, 100, 2000).counts


def test_the_ceiling_needs_three_second_seeds(accuracies: Floats) -> None:
    ends = {}
    for count in (0, 2, 3, 30):
        both = records(accuracies) + records(accuracies[:count] ** 2 / 60, seed=1)
        ends[count] = GroundTruth.of("dtd", both, 0, 100, 2000).ceiling(resamples=50, confidence=95, seed=0)
    assert ends[0] is None
    assert ends[2] is None
    assert ends[3] is not None and ends[3].reliability.n == 3
    assert ends[30] is not None and ends[30].single.value == pytest.approx(1)


def test_every_statistic_of_every_method_on_every_target(accuracies: Floats) -> None:
    ground_truths = [ground_truth(accuracies), ground_truth(accuracies[::-1], "cub")]
    noise = np.random.default_rng(1).normal(scale=8, size=30)
    scores = {
        "ours": {"dtd": accuracies + noise, "cub": accuracies[::-1] ** 3},
        "macs": {t.target: t.sizes[:, 0] for t in ground_truths},
    }
    rows = compare(ground_truths, scores, resamples=300, confidence=90, seed=0)
    keys = [(row.method, row.target, row.metric) for row in rows]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {(m, t, s) for m in scores for t in ("dtd", "cub", MEAN) for s in METRICS}
    for row in rows:
        if row.metric in ("regret", "precision_at_5"):
            assert np.isnan([row.low, row.high]).all()
        else:
            assert row.low <= row.value <= row.high or row.metric == "src_loss"
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
    losses = scipy.stats.spearmanr(ours, -((accuracies - 40) ** 2)).statistic
    assert value("ours", "dtd", "src_loss") == pytest.approx(losses)
    best_ever = scipy.stats.spearmanr(ours, accuracies + np.arange(30) % 3).statistic
    assert value("ours", "dtd", "src_best") == pytest.approx(best_ever)
    assert best_ever != pytest.approx(value("ours", "dtd", "src"))
    assert value("macs", "dtd", "partial_src") == 0  # at equal size, size says nothing
    mean = (value("ours", "dtd", "src") + value("ours", "cub", "src")) / 2
    assert value("ours", MEAN, "src") == pytest.approx(mean)


def test_methods_share_the_resamples(accuracies: Floats) -> None:
    """So that the interval of a method does not depend on which others are there."""
    one, two = accuracies * 2, accuracies + np.arange(30)
    rows = compare(
        [ground_truth(accuracies)], {"a": {"dtd": one}, "b": {"dtd": two}}, resamples=200, confidence=95, seed=3
    )
    [alone, *_] = compare([ground_truth(accuracies)], {"b": {"dtd": two}}, resamples=200, confidence=95, seed=3)
    assert alone == next(row for row in rows if row.method == "b")
    expected = bootstrap(spearman, two, accuracies, resamples=200, seed=3).estimate(95)
    assert estimate_of(rows, "b", "dtd") == expected


def test_a_target_whose_students_are_alike_stays_out_of_the_mean(accuracies: Floats) -> None:
    alike = ground_truth(50 + accuracies / 1000, "alike", test_images=300)
    ground_truths = [ground_truth(accuracies), alike]
    scores = {"ours": {"dtd": accuracies, "alike": -accuracies}}
    rows = compare(ground_truths, scores, resamples=100, confidence=95, seed=0)
    assert estimate_of(rows, "ours", "alike").value == -1
    assert estimate_of(rows, "ours", MEAN).value == 1
    rows = compare([alike], {"ours": {"alike": -accuracies}}, resamples=100, confidence=95, seed=0)
    assert MEAN not in {row.target for row in rows}


def test_bad_and_constant_scores_are_told(accuracies: Floats) -> None:
    bad = accuracies.copy()
    bad[[3, 5]] = math.nan, math.inf
    scores = {"bad": {"dtd": bad}, "none": {"dtd": np.zeros(30)}}
    rows = compare([ground_truth(accuracies)], scores, resamples=100, confidence=95, seed=0)
    assert estimate_of(rows, "bad", "dtd").invalid == 2
    none = estimate_of(rows, "none", "dtd")
    assert (none.value, none.constant) == (0, True)


def test_fewer_students_than_five() -> None:
    rows = compare(
        [ground_truth([50.0, 60.0])], {"ours": {"dtd": np.array([1.0, 2.0])}}, resamples=20, confidence=95, seed=0
    )
    assert estimate_of(rows, "ours", "dtd", "precision_at_5").value == 1
    assert estimate_of(rows, "ours", "dtd").n == 2


def test_budgets_are_shares_of_the_teachers_macs(accuracies: Floats) -> None:
    found = ground_truth(accuracies)  # 1000 + i * i of 2000 MACs
    scores = {"ours": {"dtd": np.random.default_rng(3).normal(size=30)}}
    rows = compare([found], scores, resamples=50, confidence=95, seed=0, budgets=(0.4, 0.501, 0.512, 0.7))
    ours = scores["ours"]["dtd"]
    assert not [row for row in rows if row.metric.endswith("within_0.4")]  # none is so small
    small = estimate_of(rows, "ours", "dtd", "regret_within_0.501")  # the first two: 1000 and 1001
    assert small.n == 2
    assert small.value == pytest.approx(accuracies[:2].max() - accuracies[ours[:2].argmax()])
    assert not [row for row in rows if row.metric == "precision_at_5_within_0.501"]  # five of two is no choice
    assert estimate_of(rows, "ours", "dtd", "regret_within_0.512").n == 5
    assert not [row for row in rows if row.metric == "precision_at_5_within_0.512"]
    large = estimate_of(rows, "ours", "dtd", "precision_at_5_within_0.7")  # up to 20 * 20
    best, chosen = (set(np.argsort(values[:21])[-5:]) for values in (accuracies, ours))
    assert (large.n, large.value) == (21, pytest.approx(len(best & chosen) / 5))


def test_seeds_are_averaged_and_their_spread_told(accuracies: Floats) -> None:
    seeds = np.stack([accuracies, -accuracies, accuracies**3])
    rows = compare([ground_truth(accuracies)], {"ours": {"dtd": seeds}}, resamples=50, confidence=95, seed=0)
    assert estimate_of(rows, "ours", "dtd").value == pytest.approx(1 / 3)
    [spread] = [row for row in rows if row.metric == "src_seed_deviation"]
    assert (spread.value, spread.low, spread.high, spread.n) == (pytest.approx(np.std([1, -1, 1], ddof=1)), -1, 1, 3)


def test_differences_are_paired(accuracies: Floats) -> None:
    ground_truths = [ground_truth(accuracies), ground_truth(accuracies[::-1], "cub")]
    noise = np.random.default_rng(1).normal(scale=5, size=30)
    scores = {
        "ours": {"dtd": accuracies + noise, "cub": accuracies[::-1] + noise},
        "like ours": {"dtd": 2 * (accuracies + noise), "cub": accuracies[::-1] - noise},
    }
    rows = compare(ground_truths, scores, resamples=200, confidence=95, seed=0, reference="ours")
    assert not [row for row in rows if row.method == "ours" and "difference" in row.metric]
    for metric in ("src", "partial_src", "src_loss"):
        same = estimate_of(rows, "like ours", "dtd", f"{metric}_difference")
        assert (same.value, same.low, same.high) == (0, 0, 0)  # ranked alike in every resample
        gaps = [
            estimate_of(rows, "like ours", t, metric).value - estimate_of(rows, "ours", t, metric).value
            for t in ("dtd", "cub")
        ]
        assert estimate_of(rows, "like ours", "cub", f"{metric}_difference").value == pytest.approx(gaps[1])
        assert estimate_of(rows, "like ours", MEAN, f"{metric}_difference").value == pytest.approx(np.mean(gaps))


def test_a_method_that_lacks_a_target_has_no_mean(accuracies: Floats) -> None:
    alike = ground_truth(50 + accuracies / 1000, "alike", test_images=300)
    ground_truths = [ground_truth(accuracies), ground_truth(accuracies, "cub"), alike]
    scores = {
        "ours": {t.target: accuracies for t in ground_truths},
        "lacks cub": {"dtd": accuracies, "alike": accuracies},
        "lacks alike": {"dtd": accuracies, "cub": accuracies},
        "lacks all": {},
    }
    rows = compare(ground_truths, scores, resamples=50, confidence=95, seed=0, reference="ours")
    assert {row.method for row in rows if row.target == MEAN} == {"ours", "lacks alike"}
    assert {row.target for row in rows if row.method == "lacks cub"} == {"dtd", "alike"}
    assert {row.target for row in rows if not row.counts} == {"alike"}


def test_the_best_baseline_and_the_ceiling(accuracies: Floats) -> None:
    both = records(accuracies) + records(accuracies, seed=1)
    known = GroundTruth.of("dtd", both, 0, 10_000, 2000)
    scores = {"ours": {"dtd": accuracies}, "a": {"dtd": -accuracies}, "b": {"dtd": accuracies + np.arange(30)}}
    rows = compare([known], scores, resamples=50, confidence=95, seed=0)
    best = best_baseline(rows, "dtd", ["a", "b"])
    assert best is not None and best.method == "b"
    assert best_baseline(rows, "cub", ["a", "b"]) is None
    ceilings = ceiling_rows([known, ground_truth(accuracies, "cub")], resamples=50, confidence=95, seed=0)
    assert [(row.target, row.metric, row.value) for row in ceilings] == [
        ("dtd", "src", pytest.approx(1)), ("dtd", "reliability", pytest.approx(1)),
    ]  # fmt: skip
