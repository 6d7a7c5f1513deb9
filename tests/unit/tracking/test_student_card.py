from collections.abc import Callable

import pytest

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
