from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import spearmanr, t

from dass.errors import UsageError
from dass.fidelity import NOISE, ONE_BATCH, SIZE, Fidelity
from dass.multi_fidelity.features import THIRDS, anchored, by_thirds
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask
from dass.proxies.registry import columns_at, read_columns
from dass.proxies.table import ProxyTable

COLUMNS = columns_at(Fidelity("steps", 10), 4)
NAMES = [column.name for column in COLUMNS]
ALPHA, TEMPERATURE = 0.5, 6.0


def make_task(seed: int, students: int = 24, classes: int = 10, teacher_accuracy: float = 60.0) -> MultiFidelityTask:
    """Students whose quality shows dimly in the losses on one batch and clearly after 10 steps."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=students)
    values = rng.normal(size=(students, len(NAMES)))
    for blur, name in ((1.0, "one_batch_loss"), (0.1, "steps10_loss")):
        values[:, NAMES.index(name)] = 1.0 - 0.3 * (quality + blur * rng.normal(size=students))
    teacher = np.array([3.0 if name.startswith("depth_") else 0.0 for name in NAMES])
    accuracies = 100 * expit(logit(teacher_accuracy / 100) - 0.4 + 0.3 * quality + 0.05 * rng.normal(size=students))
    return MultiFidelityTask(ProxyTable(COLUMNS, values, teacher), accuracies, teacher_accuracy, classes, 2000)


@pytest.fixture(scope="module")
def predictor() -> MultiFidelityPredictor:
    tasks = [make_task(seed) for seed in range(6)]
    return MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE).fit(
        tasks, (SIZE, NOISE, ONE_BATCH, Fidelity("steps", 10))
    )


def test_each_rung_that_is_paid_for_ranks_better(predictor: MultiFidelityPredictor) -> None:
    found = {SIZE: [], ONE_BATCH: [], Fidelity("steps", 10): []}
    for seed in range(100, 106):
        task = make_task(seed, teacher_accuracy=85.0)
        for fidelity, values in found.items():
            made = predictor.predict(task.proxies, fidelity, teacher_accuracy=85.0, classes=10, test_images=2000)
            values.append(spearmanr(made.mean, task.accuracies).statistic)
    assert np.mean(found[SIZE]) < np.mean(found[ONE_BATCH]) - 0.2 < np.mean(found[Fidelity("steps", 10)]) - 0.3


def test_a_level_never_seen_is_met_through_the_guide_and_intervals_hold_it(predictor: MultiFidelityPredictor) -> None:
    task = make_task(200, students=200, teacher_accuracy=92.0)
    made = predictor.predict(task.proxies, Fidelity("steps", 10), teacher_accuracy=92.0, classes=10, test_images=2000)
    assert abs(np.mean(made.mean - task.accuracies)) < 1.5
    assert 0.8 < np.mean((made.low < task.accuracies) & (task.accuracies < made.high)) <= 1
    assert ((made.low > 0) & (made.low < made.mean) & (made.mean < made.high) & (made.high < 100)).all()


def test_a_wider_confidence_and_a_smaller_test_set_widen_intervals(predictor: MultiFidelityPredictor) -> None:
    proxies = make_task(300).proxies
    widths = [
        float(np.mean(made.high - made.low))
        for made in (
            predictor.predict(proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=2000),
            predictor.predict(proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=2000, confidence=95),
            predictor.predict(proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=50),
        )
    ]
    assert widths[0] < min(widths[1:])


def test_another_dataset_is_less_certain_by_how_far_students_lie_from_their_teachers_and_ranks_alike(
    predictor: MultiFidelityPredictor,
) -> None:
    proxies = make_task(300).proxies
    same, other = (
        predictor.predict(proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=2000, source_dataset=known)
        for known in (True, False)
    )
    np.testing.assert_array_equal(same.mean, other.mean)
    variance = [((logit(made.high / 100) - logit(made.low / 100)) / 2 / t.ppf(0.9, 5)) ** 2 for made in (same, other)]
    gaps = [np.mean(logit(task.accuracies / 100)) - logit(0.6) for task in (make_task(seed) for seed in range(6))]
    np.testing.assert_allclose(variance[1] - variance[0], np.mean(gaps) ** 2, rtol=0.02)


def test_an_untrained_student_is_predicted_by_two_members_and_doubted_where_they_differ(
    predictor: MultiFidelityPredictor,
) -> None:
    task = make_task(500)
    made = predictor.predict(
        task.proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=10**6, source_dataset=True
    )
    alone = MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE)
    means, widths = [], []
    for fidelity in (SIZE, ONE_BATCH):
        alone.processes_ = {fidelity: predictor.processes_[fidelity]}
        mean, variance = predictor.processes_[fidelity].predict(alone._features(task.proxies, fidelity, 10)[0])
        means.append(mean + logit(0.6))
        widths.append(variance)
    middle = logit(made.mean / 100)
    assert ((np.minimum(*means) - 1e-3 < middle) & (middle < np.maximum(*means) + 1e-3)).all()
    weights = 1 / np.array(widths) / (1 / np.array(widths)).sum(0)
    np.testing.assert_allclose(middle, (weights * np.array(means)).sum(0), atol=1e-3)
    apart = np.abs(means[0] - means[1])
    width = logit(made.high / 100) - logit(made.low / 100)
    assert spearmanr(width, apart).statistic > 0.8


def test_a_prediction_depends_on_no_other_student(predictor: MultiFidelityPredictor) -> None:
    proxies = make_task(400).proxies
    one = replace(proxies, values=proxies.values[3:4])
    pair = [
        predictor.predict(e, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=100).mean for e in (proxies, one)
    ]
    assert pair[0][3] == pytest.approx(pair[1][0])


def test_proxies_that_were_not_paid_for_are_named(predictor: MultiFidelityPredictor) -> None:
    proxies = make_task(1).proxies
    cheap = proxies.select(range(10))
    with pytest.raises(UsageError, match="one_batch are missing"):
        predictor.predict(cheap, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=100)
    with pytest.raises(UsageError, match="has not learned steps50"):
        predictor.predict(proxies, Fidelity("steps", 50), teacher_accuracy=60.0, classes=10, test_images=100)


def test_the_teacher_lies_at_zero_and_ignorance_at_one() -> None:
    teacher = np.array([0.9, 0.5, 12.0, 3.0])
    ignorant = np.array([0.1, np.log(10), (0.5 + 0.5 * 36) * np.log(10), 4.0])
    columns = read_columns(["one_batch_accuracy", "one_batch_loss", "one_batch_kd_loss", "log_macs"])
    proxies = ProxyTable(columns, np.array([teacher, ignorant]), teacher)
    found = anchored(proxies, 10, alpha=ALPHA, temperature=TEMPERATURE)
    np.testing.assert_allclose(found, [[0, 0, 0, 0], [1, 1, 1, 1]])


def test_a_student_whose_measurement_broke_down_has_no_prediction_and_is_not_learned_from(
    predictor: MultiFidelityPredictor,
) -> None:
    tasks = [make_task(seed) for seed in range(3)]
    tasks[0].proxies.values[4, NAMES.index("one_batch_loss")] = np.inf
    made = MultiFidelityPredictor(alpha=ALPHA, temperature=TEMPERATURE).fit(tasks, (ONE_BATCH,))
    found = made.predict(tasks[0].proxies, ONE_BATCH, teacher_accuracy=60.0, classes=10, test_images=100)
    assert np.isnan(found.mean).nonzero()[0].tolist() == [4]


def test_stages_become_thirds_of_the_teachers_depth() -> None:
    names = ("log_macs", "depth_1", "depth_2", "width_1", "width_2", "noise_cosine")
    teacher = np.array([5.0, 2.0, 4.0, 1.0, 1.0, 1.0])  # the first stage is the first third, the second the rest
    found = by_thirds(ProxyTable(read_columns(names), np.array([[4.0, 1.0, 3.0, 0.25, 0.5, 0.9], teacher]), teacher))
    thirds = {f"{kind}_{third}" for kind in ("depth", "width") for third in THIRDS}
    assert set(found.names) == {"log_macs", "noise_cosine", *thirds}
    rows = dict(zip(found.names, found.values.T, strict=True))
    expected = {"depth_early": 0.5, "depth_middle": 0.75, "depth_late": 0.75, "width_early": 0.25, "width_late": 0.5}
    assert {name: rows[name][0] for name in expected} == pytest.approx(expected)
    np.testing.assert_allclose(found.values[1], found.teacher)
    assert rows["log_macs"].tolist() == [4.0, 5.0] and rows["noise_cosine"].tolist() == [0.9, 1.0]


def test_families_with_other_stages_have_the_same_columns_and_the_same_values_for_the_same_shape() -> None:
    def shape(depths: list[int], widths: list[float], teacher: list[int]) -> ProxyTable:
        columns = read_columns([f"{kind}_{s + 1}" for kind in ("depth", "width") for s in range(len(depths))])
        whole = np.array([*teacher, *([1.0] * len(widths))])
        return by_thirds(ProxyTable(columns, np.array([[*depths, *widths]]), whole))

    three = shape([3, 3, 3], [0.5, 0.5, 0.5], [9, 9, 9])
    five = shape([1, 1, 2, 4, 1], [0.5] * 5, [3, 3, 6, 12, 3])
    assert three.names == five.names
    np.testing.assert_allclose(three.values, five.values)
    np.testing.assert_allclose(three.values[0], [1 / 3] * 3 + [0.5] * 3)
