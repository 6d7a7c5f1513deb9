"""The predictor against the convolutions it stands for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dass.errors import UsageError
from dass.predictor.model import Batch, DassPredictor


def make_batch(tasks: int, students: int, channels: int, side: int, code: int) -> Batch:
    predictor = DassPredictor(channels, code)
    return Batch(
        predictor.patches(torch.randn(tasks, channels, side, side)),
        predictor.patches(torch.randn(tasks, students, channels, side, side)),
        torch.randn(tasks, students, code),
        torch.randn(tasks, students),
    )


def as_convolution(matrix: Tensor) -> Tensor:
    """[9 in, out] -> [out, in, 3, 3]."""
    return matrix.unflatten(0, (3, 3, -1)).permute(3, 2, 0, 1)


def test_has_the_papers_weights() -> None:
    predictor = DassPredictor(256, 181)
    encoder = 9 * 256 * 128 * 2
    assert (
        sum(p.numel() for p in predictor.parameters()) == 2 * encoder + 181 * 64 + (576 + 1) * 64 + 64 + 1 == 1_228_225
    )


@pytest.mark.parametrize("side", [2, 3, 4, 7, 8])
def test_equals_the_convolutional_network(side: int) -> None:
    torch.manual_seed(0)
    predictor = DassPredictor(6, 5, seed=1).double()
    teacher, students = torch.randn(6, side, side).double(), torch.randn(4, 6, side, side).double()
    codes = torch.randn(4, 5).double()

    def encode(name: str, embeddings: Tensor) -> Tensor:
        first = F.conv2d(embeddings, as_convolution(predictor.layers[f"{name}_first"]), stride=2, padding=1).relu()
        second = F.conv2d(first, as_convolution(predictor.layers[f"{name}_second"]), stride=2, padding=1).relu()
        return second.mean((2, 3))

    joined = torch.cat(
        [encode("student", students), encode("teacher", teacher[None]).expand(4, -1), codes @ predictor.layers["code"]],
        1,
    )
    hidden = torch.tanh(joined @ predictor.layers["hidden"][:-1] + predictor.layers["hidden"][-1])
    expected = (hidden @ predictor.layers["output"][:-1] + predictor.layers["output"][-1])[:, 0]

    batch = Batch(predictor.patches(teacher[None]), predictor.patches(students[None]), codes[None], torch.zeros(1, 4))
    torch.testing.assert_close(predictor(batch)[0], expected)


@pytest.mark.parametrize(
    ("side", "first", "second"), [(1, 1, 1), (2, 4, 1), (3, 9, 4), (4, 9, 4), (5, 9, 9), (8, 9, 9)]
)
def test_rows_that_meet_only_padding_are_left_out(side: int, first: int, second: int) -> None:
    torch.manual_seed(0)
    predictor = DassPredictor(6, 5, seed=1).double()
    narrow = predictor.for_side(side)
    assert narrow.layers["student_first"].shape == (first * 6, 3)
    assert narrow.layers["teacher_second"].shape == (second * 3, 6)
    teachers, students = torch.randn(2, 6, side, side).double(), torch.randn(2, 4, 6, side, side).double()
    predicted = [
        one(Batch(one.patches(teachers), one.patches(students), torch.ones(2, 4, 5).double(), torch.zeros(2, 4)))
        for one in (predictor, narrow)
    ]
    torch.testing.assert_close(*predicted)
    for name, matrix in narrow.layers.items():
        assert torch.equal(matrix, predictor.layers[name][predictor.rows(name, side)])


def test_tasks_do_not_touch_one_another() -> None:
    torch.manual_seed(0)
    predictor = DassPredictor(4, 3)
    batch = make_batch(3, 5, 4, 4, 3)
    alone = Batch(batch.teachers[1:2], batch.students[1:2], batch.codes[1:2], batch.targets[1:2])
    torch.testing.assert_close(predictor(batch)[1:2], predictor(alone))


@pytest.mark.parametrize("used", ["use_student", "use_teacher", "use_code"])
def test_each_input_can_stand_alone_and_only_it_matters(used: str) -> None:
    torch.manual_seed(0)
    flags = {name: name == used for name in ("use_student", "use_teacher", "use_code")}
    predictor = DassPredictor(4, 3, **flags)
    batch, other = make_batch(2, 5, 4, 4, 3), make_batch(2, 5, 4, 4, 3)
    swapped = {
        "use_student": Batch(other.teachers, batch.students, other.codes, batch.targets),
        "use_teacher": Batch(batch.teachers, other.students, other.codes, batch.targets),
        "use_code": Batch(other.teachers, other.students, batch.codes, batch.targets),
    }[used]
    assert torch.equal(predictor(batch), predictor(swapped))
    assert not torch.equal(predictor(batch), predictor(other))


def test_nothing_to_predict_from_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        DassPredictor(4, 3, use_student=False, use_teacher=False, use_code=False)


def test_the_seed_makes_the_weights_and_leaves_the_global_state_alone() -> None:
    state = torch.get_rng_state()
    first, same, other = DassPredictor(4, 3, seed=5), DassPredictor(4, 3, seed=5), DassPredictor(4, 3, seed=6)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.layers["code"], same.layers["code"])
    assert not torch.equal(first.layers["code"], other.layers["code"])


def test_bfloat16_embeddings_predict_nearly_the_same() -> None:
    torch.manual_seed(0)
    predictor = DassPredictor(32, 9)
    batch = make_batch(1, 50, 32, 4, 9)
    low = Batch(batch.teachers.bfloat16(), batch.students.bfloat16(), batch.codes, batch.targets)
    assert predictor(low).dtype == torch.float32
    assert torch.corrcoef(torch.cat([predictor(batch), predictor(low)]))[0, 1] > 0.999
