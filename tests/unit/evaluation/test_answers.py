from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from dass.evaluation.answer_plots import confusion_matrix, mistakes_grid
from dass.evaluation.answers import Answers
from dass.evaluation.plots import save

CLASSES = ("ant", "bee", "c$a^t")
#                 truth, answer, probability
ROWS = [(0, 0, 0.9), (0, 1, 0.6), (0, 1, 0.95), (0, 2, 0.7), (1, 1, 0.8), (1, 1, 0.5)]


def _answers(classes: tuple[str, ...] = CLASSES) -> Answers:
    probabilities = np.zeros((len(ROWS), len(classes)))
    for row, (_, answer, probability) in enumerate(ROWS):
        probabilities[row] = (1 - probability) / (len(classes) - 1)
        probabilities[row, answer] = probability
    return Answers(classes, probabilities, np.array([truth for truth, _, _ in ROWS]))


def test_classes_confusions_and_mistakes() -> None:
    answers = _answers()
    assert answers.confusion.tolist() == [[1, 2, 1], [0, 2, 0], [0, 0, 0]]
    ant, bee = answers.per_class()  # no test image is a cat
    assert (ant.name, ant.images, ant.right, ant.precision, ant.confused) == ("ant", 4, 25, 100, "bee")
    assert (bee.name, bee.images, bee.right, bee.precision, bee.confused) == ("bee", 2, 100, 50, "")
    assert answers.surest_mistakes(9).tolist() == [2, 3, 1]
    assert answers.surest_mistakes(1).tolist() == [2]


@pytest.mark.parametrize(("right", "count"), [(3, 6), (0, 5), (7, 7), (931, 1000)])
def test_the_interval_is_wilsons(right: int, count: int) -> None:
    labels = (np.arange(count) >= right).astype(np.int64)
    found = Answers(("a", "b"), np.tile([1.0, 0.0], (count, 1)), labels).interval
    expected = binomtest(right, count).proportion_ci(0.95, "wilson")
    assert found == pytest.approx((100 * expected.low, 100 * expected.high), abs=0.01)


@pytest.mark.parametrize("classes", [3, 30, 300])
def test_pictures_of_few_and_many_classes(classes: int, tmp_path: Path) -> None:
    names = (*CLASSES, *(f"class {index}" for index in range(classes - 3)))
    save(confusion_matrix(_answers(names), "a_title$"), tmp_path / "confusion.png")
    images = np.random.default_rng(0).integers(0, 256, (len(ROWS), 8, 8, 3), dtype=np.uint8)
    save(mistakes_grid(_answers(names), images, "a_title$"), tmp_path / "mistakes.png")
    for name in ("confusion.png", "mistakes.png"):
        with Image.open(tmp_path / name) as picture:
            assert max(picture.size) < 4000
            assert np.asarray(picture.convert("L")).std() > 1


def test_a_student_without_mistakes_has_a_picture_too(tmp_path: Path) -> None:
    answers = Answers(("a", "b"), np.array([[1.0, 0.0]]), np.array([0]))
    save(mistakes_grid(answers, np.zeros((1, 8, 8, 3), np.uint8), "none"), tmp_path / "mistakes.png")
    assert (tmp_path / "mistakes.png").stat().st_size > 0
