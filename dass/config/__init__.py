"""params.yaml as frozen, validated objects.

`params.yaml` is the only truth of a run. One class per block; a stage declares in `dvc.yaml` just the
blocks it reads. An unknown key, a wrong type or a value out of range is refused with one line that names
the key.
"""

from dass.config.evaluation import Evaluation
from dass.config.params import Params
from dass.config.predictor import Predictor, Statistics
from dass.config.recipes import Augmentation, DistillationRecipe, Recipe, TeacherRecipe, recipe_id, recipe_ids
from dass.config.search import Search, SearchKind, Target
from dass.config.source import Data, Source, Students
from dass.config.space import SPACE_TAGS, AnySpace, ElasticSpace, NamedSpace, Space
from dass.config.values import Block

__all__ = [
    "SPACE_TAGS",
    "AnySpace",
    "Augmentation",
    "Block",
    "Data",
    "DistillationRecipe",
    "ElasticSpace",
    "Evaluation",
    "NamedSpace",
    "Params",
    "Predictor",
    "Recipe",
    "Search",
    "SearchKind",
    "Source",
    "Space",
    "Statistics",
    "Students",
    "Target",
    "TeacherRecipe",
    "recipe_id",
    "recipe_ids",
]
