"""Which students are distilled and chosen where an accuracy is to be kept."""

from pathlib import Path

import pytest

from dass.shrink.choosing import Distilled, FloorCheck, Plan, best_first, smallest_keeping
from dass.space.architecture import Architecture
from dass.students.trained import TrainedStudent

SIZES = [Architecture(((width,), (8,), (8,), (8,))) for width in range(1, 16)]


def made(architecture: Architecture, accuracy: float) -> Distilled:
    width = architecture.widths[0][0]
    student = TrainedStudent(
        task="t", architecture=architecture, classes=2, seed=0, data_id="d", teacher_id="t", recipe_id="r",
        init_accuracy=0.0, best_accuracy=accuracy, final_accuracy=accuracy, final_loss=1.0, macs=width, params=width,
    )  # fmt: skip
    return Distilled(student, Path("x"))


@pytest.mark.parametrize(
    ("tries", "floor", "size"), [(4, 8.5, 9), (4, 1.0, 1), (4, 14.5, 15), (2, 8.5, 12), (1, 3.0, 15)]
)
def test_the_smallest_that_is_accurate_enough(tries: int, floor: float, size: int) -> None:
    """A student of width w reaches w %."""
    tried: list[int] = []

    def distil(architecture: Architecture) -> Distilled:
        tried.append(architecture.widths[0][0])
        return made(architecture, float(tried[-1]))

    found = smallest_keeping(SIZES, tries, lambda student: student.final_accuracy >= floor, distil)
    assert found[0].student.macs == size
    assert len(found) == len(tried) <= tries


def test_where_none_is_accurate_enough_the_best_comes_first() -> None:
    found = smallest_keeping(SIZES, 3, lambda student: False, lambda one: made(one, float(one.widths[0][0])))
    assert found == best_first(found)
    assert found[0].student.macs == max(one.student.macs for one in found)


def test_the_probability_follows_from_the_held_out_images() -> None:
    few, many = (FloorCheck.of(made(SIZES[0], 92.0).student, 90.0, images, 0.8) for images in (25, 2500))
    assert not few.likely and many.likely  # so few images are no proof
    assert 0.5 < few.probability < 0.8
    assert many.probability > 0.999
    assert FloorCheck.of(made(SIZES[0], 88.0).student, 90.0, 2500, 0.8).probability < 0.01
    assert FloorCheck.of(made(SIZES[0], 50.0).student, -3.0, 10, 0.8).probability == 1.0


def test_a_plan_of_an_earlier_version_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"students": 2, "epochs": 10}')
    assert Plan.read(path) is None
