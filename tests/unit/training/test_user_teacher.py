"""A teacher that is read otherwise than it was trained is refused, or confirmed, before anything is built on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dass.config import TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.families.blocks import Normalization
from dass.space.search_space import SearchSpace
from dass.training.recipes import train_teacher
from dass.training.user_teacher import AskedTeacher, TeacherFile, bring_in_teacher

CPU = torch.device("cpu")
CAUSES = ("normalization", "order of classes", "resolution")
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights(data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe) -> Weights:
    """Of a teacher that has learned its task."""
    recipe = teacher_recipe.model_copy(update={"epochs": 25})
    network, _ = train_teacher(data, space.largest, recipe, seed=0, device=CPU)
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def with_order(order: list[int]) -> Callable[[Weights], Weights]:
    def change(weights: Weights) -> Weights:
        return weights | {name: weights[name][order] for name in weights if name.startswith("classifier.")}

    return change


def dead(weights: Weights) -> Weights:
    """Variances so large that nothing of an image reaches the output."""
    return weights | {name: torch.full_like(one, 9e18) for name, one in weights.items() if name.endswith("running_var")}


def brought_in(weights: Weights, data: TaskData, folder: Path, **more: object) -> float:
    save_file({name: one.clone().contiguous() for name, one in weights.items()}, folder / "mine.safetensors")
    return bring_in_teacher(TeacherFile(folder / "mine.safetensors", **more), data, CPU)[1].accuracy


def test_as_it_was_trained(weights: Weights, data: TaskData, tmp_path: Path) -> None:
    assert brought_in(weights, data, tmp_path) > 90


@pytest.mark.parametrize(
    "change",
    [with_order([1, 2, 3, 0]), with_order([1, 0, 3, 2]), with_order([1, 2, 0, 3]), with_order([1, 0, 2, 3]), dead],
    ids=["all moved", "all swapped", "one in its place", "two in their place", "dead"],
)
def test_what_was_read_wrongly_is_refused_unless_confirmed(
    change: Callable[[Weights], Weights], weights: Weights, data: TaskData, tmp_path: Path
) -> None:
    with pytest.raises(DassError) as caught:
        brought_in(change(weights), data, tmp_path)
    assert all(cause in str(caught.value) for cause in CAUSES)
    reached = brought_in(change(weights), data, tmp_path, expect_accuracy=0)
    assert reached < 60
    assert brought_in(change(weights), data, tmp_path, expect_accuracy=max(1.5, reached)) == reached


def test_an_expectation_far_below_does_not_confirm_another_order(
    weights: Weights, data: TaskData, tmp_path: Path
) -> None:
    """Two classes are in their place: more than is expected, and far from what the right order would reach."""
    swapped = with_order([1, 0, 2, 3])(weights)
    reached = brought_in(swapped, data, tmp_path, expect_accuracy=0)
    assert 40 < reached < 60
    with pytest.raises(DassError, match="another order of classes"):
        brought_in(swapped, data, tmp_path, expect_accuracy=5)
    assert brought_in(weights, data, tmp_path, expect_accuracy=5) > 90


@pytest.mark.parametrize("text", ["stem_stride=1,stem_stride=2", "max_pool=no, max_pool=no"])
def test_a_layout_that_says_a_thing_twice_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        AskedTeacher("x.pth", layout=text).read()


def test_another_normalization_is_seen_against_what_is_expected(
    weights: Weights, data: TaskData, tmp_path: Path
) -> None:
    wrong = Normalization((5.0, 5.0, 5.0), (0.1, 0.1, 0.1))
    with pytest.raises(DassError) as caught:
        brought_in(weights, data, tmp_path, normalization=wrong, expect_accuracy=95)
    assert all(cause in str(caught.value) for cause in CAUSES)


@pytest.mark.parametrize("share", [0.93, 1.0, 0.01])
def test_a_share_in_place_of_percent_confirms_nothing(
    weights: Weights, data: TaskData, tmp_path: Path, share: float
) -> None:
    with pytest.raises(UsageError, match="percent"):
        brought_in(weights, data, tmp_path, expect_accuracy=share)


def test_channels_are_sorted_where_asked_and_answers_stay(weights: Weights, data: TaskData, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({name: one.clone().contiguous() for name, one in weights.items()}, path)
    kept, moved = (
        bring_in_teacher(TeacherFile(path, sort_channels=sort), data, CPU)[0].eval() for sort in (None, True)
    )
    images = torch.rand(4, 3, data.resolution, data.resolution) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(kept(images), moved(images), atol=1e-4, rtol=1e-4)
    differ = [name for name, one in kept.state_dict().items() if not torch.equal(one, moved.state_dict()[name])]
    assert differ
