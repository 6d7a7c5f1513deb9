"""What proxies depend on of a recipe, without anything that computes."""

from collections.abc import Mapping
from typing import Any

from dass.config import DistillationRecipe


def recipe_facts(recipe: DistillationRecipe) -> dict[str, Any]:
    """What of a recipe proxies depend on: all but how long it is, how often it is looked at, and the precision."""
    return recipe.model_dump(mode="json", exclude={"epochs", "min_steps", "evaluations", "precision"})


def other_settings(recipe: DistillationRecipe, others: Mapping[str, Any]) -> list[str]:
    """Names in params.yaml of what differs between a recipe and the facts of another.

    Args:
        recipe: recipe of the distillation to be predicted.
        others: facts of the other recipe, as `recipe_facts` gives them.
    """
    facts = recipe_facts(recipe)
    return [
        f"distillation.{name}" for name in sorted(facts.keys() | others.keys()) if facts.get(name) != others.get(name)
    ]
