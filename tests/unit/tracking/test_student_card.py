from collections.abc import Callable
from dataclasses import replace

import pytest

from dass.evaluation.answers import ClassResult
from dass.tracking.student_measures import Measures
from dass.training.calibration import Calibration
from tests.samples import RECIPE


def test_the_card_says_what_a_user_must_know(make_student: Callable) -> None:
    card = make_student(1)[1]
    assert card.standard_error == pytest.approx(100 * (0.34 * 0.66 / 100) ** 0.5)
    text = card.markdown("dass-student-pets")
    for fact in (
        "3 classes: ant, bee, cat",
        "content `0123456789ab`",
        "`abcdef012345`, 90.00 %",
        card.architecture.stage_label,
        f"{card.parameters:,} parameters, {card.macs / 1e6:.2f} M multiply-accumulates",
        "40.00 % by predictor `123456abcdef`",
        "-6.00 points",
        "34.00 % of 100 test images, standard error 4.74 points",
        f"3 epochs: batches of {RECIPE.batch_size}, SGD at 0.05",
        "temperature 6",
        "seed 7",
        'load_model("models:/dass-student-pets@champion")',
        "brought to 16x16",
        "base64",
        "Free for any use.",
    ):
        assert fact in text


def test_a_student_picked_by_hand_has_no_prediction(make_student: Callable) -> None:
    card = make_student(1, predicted_accuracy=None, predictor_id="")[1]
    assert "Predicted accuracy | not predicted |" in card.markdown("x")
    assert "predicted_accuracy" not in card.tags()
    assert card.tags()["distilled_accuracy"] == "34.0000"


def _measures(classes: int) -> Measures:
    worst = tuple(
        ClassResult(f"{index} | {'long ' * 12}", 100_000, index, None, "an|other " * 9) for index in range(classes)
    )
    return Measures(
        accuracy=93.1, interval=(91.4, 94.5), test_images=100, per_class=worst, calibration=Calibration(1.7, 60),
        calibration_errors=(9.0, 2.0), megabytes=1.25, device="cpu", latencies=(2.0, 20.0),
        teacher_latencies=(5.0, 80.0), agreement=91.5,
    )  # fmt: skip


def test_it_shows_what_was_measured(make_student: Callable) -> None:
    card = replace(make_student(1)[1], measures=_measures(3), pictures=(("confusion", "http://x/c.png"),))
    text = card.markdown("x")
    for fact in ("91.40 % to 94.50 %", "2.00 points", "9.00", "1.25 MB", "5.00 ms", "2.5 times", "4.0 times", "91.50 %",
                 "temperature 1.70", "60 training", "(http://x/c.png)"):  # fmt: skip
        assert fact in text
    rows = [line for line in text.splitlines() if "long" in line]
    assert len(rows) == 3 and all(line.replace("\\|", "").count("|") == 6 for line in rows)
    assert card.tags()["speed_up_batch32"] == "4.0000"
    assert card.tags()["temperature"] == "1.7000"
    assert card.identity == make_student(1)[1].tags()


def test_a_student_that_saw_the_images_says_so(make_student: Callable) -> None:
    texts = [
        replace(make_student(1)[1], measures=replace(_measures(3), calibration=fit)).markdown("x")
        for fit in (Calibration(1.2, 60), Calibration(1.2, 60, seen=True), Calibration())
    ]
    assert "held out" in texts[0] and "distilled on, too" in texts[1] and "not calibrated" in texts[2]


def test_a_card_of_many_long_class_names_fits_a_description(make_student: Callable) -> None:
    names = tuple(f"{index} {'x' * 240}" for index in range(300))
    pictures = tuple((what, f"http://127.0.0.1:5000/{'x' * 80}") for what in ("confusion matrix", "surest mistakes"))
    card = replace(make_student(1)[1], classes=names, measures=_measures(300), pictures=pictures)
    assert len(card.markdown("dass-student-pets")) < 5000
