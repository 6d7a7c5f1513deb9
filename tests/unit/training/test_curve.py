"""A learning curve beside its weights."""

from pathlib import Path

import pytest

from dass.errors import DassError
from dass.training.curve import Curve, curve_path, load_curve, save_curve
from dass.training.member import EpochEvaluation

CURVE = Curve((EpochEvaluation(2, 31.25, 1.5), EpochEvaluation(4, 50.0, 1.1)), (1.9, 1.6, 1.4, 1.25))


def test_it_comes_back_from_beside_the_weights(tmp_path: Path) -> None:
    weights = tmp_path / "split0.safetensors"
    save_curve(weights, CURVE)
    assert curve_path(weights) == tmp_path / "split0.curve.json"
    assert load_curve(weights) == CURVE


def test_an_imported_teacher_has_none(tmp_path: Path) -> None:
    assert load_curve(tmp_path / "mine.safetensors") == Curve((), ())


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"evaluations": 3, "losses": []}', '{"evaluations": [[1, 2, 3]], "losses": []}']
)
def test_something_else_is_named(tmp_path: Path, content: str) -> None:
    weights = tmp_path / "split0.safetensors"
    curve_path(weights).write_text(content)
    with pytest.raises(DassError, match=r"split0\.curve\.json") as caught:
        load_curve(weights)
    assert "\n" not in str(caught.value)
