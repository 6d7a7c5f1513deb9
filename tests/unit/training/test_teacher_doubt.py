from dataclasses import replace

import pytest

from dass.training.teacher_doubt import outdone
from tests.factories import make_card

CARD = make_card(classes=("a", "b"), accuracy=69.6, recipe_id="")  # trained elsewhere


@pytest.mark.parametrize(
    ("teacher", "reached", "images", "told"),
    [
        (69.6, 96.0, 360, True),
        (39.3, 90.0, 360, True),
        (0.0, 80.0, 360, True),
        (96.0, 97.0, 360, False),
        (90.0, 94.9, 10_000, False),
        (90.0, 96.0, 10_000, True),
        (50.0, 60.0, 40, False),
        (70.0, float("nan"), 360, False),
        (98.6, 60.0, 360, False),
    ],
)
def test_a_student_far_above_its_teacher_is_told(teacher: float, reached: float, images: int, told: bool) -> None:
    said = outdone(replace(CARD, accuracy=teacher), reached, images)
    assert (said is not None) == told
    if said:
        assert all(cause in said for cause in ("normalization", "order of its classes", "resolution"))


def test_a_teacher_that_was_trained_here_is_not_doubted() -> None:
    assert outdone(replace(CARD, recipe_id="r" * 12), 99.0, 360) is None
