"""Recipes of training: epochs for small datasets, and the id of a recipe."""

from hypothesis import given
from hypothesis import strategies as st

from dass.config import Augmentation, recipe_id
from tests.samples import RECIPE


@given(count=st.integers(0, 10**6), min_steps=st.integers(0, 10**6))
def test_a_small_dataset_gets_the_fewest_epochs_that_make_min_steps(count: int, min_steps: int) -> None:
    recipe = RECIPE.model_copy(update={"min_steps": min_steps})
    resolved = recipe.for_images(count)
    steps = max(count // recipe.batch_size, 1)
    assert resolved.epochs >= recipe.epochs
    assert resolved.epochs * steps >= min_steps
    assert resolved.epochs == recipe.epochs or (resolved.epochs - 1) * steps < min_steps
    assert resolved.model_copy(update={"epochs": 3, "min_steps": min_steps}) == recipe
    assert resolved.for_images(count) == resolved


def test_a_recipes_id_names_everything_that_can_change_a_result() -> None:
    names = {recipe_id(RECIPE, precision) for precision in ("float32", "bfloat16")}
    for change in ({"epochs": 4}, {"temperature": 4.0}, {"augmentation": Augmentation(flip=True, crop_padding=2)}):
        names.add(recipe_id(RECIPE.model_copy(update=change), "float32"))
    assert len(names) == 5
    assert recipe_id(RECIPE.model_copy(), "float32") in names
    # What min_steps came to counts, not how it was written.
    written = [RECIPE.model_copy(update={"min_steps": steps}).for_images(16) for steps in (0, 2, 3)]
    assert len({recipe_id(recipe, "float32") for recipe in written}) == 1
