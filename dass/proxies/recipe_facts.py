"""What proxies depend on of a recipe, without anything that computes."""

from typing import Any

from dass.config import DistillationRecipe


def recipe_facts(recipe: DistillationRecipe) -> dict[str, Any]:
    """What of a recipe proxies depend on: all but how long it is, how often it is looked at, and the precision."""
    return recipe.model_dump(mode="json", exclude={"epochs", "min_steps", "evaluations", "precision"})
