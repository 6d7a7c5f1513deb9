"""DaSS: distillation-aware student search (Lee, An et al., ICLR 2023).

The names below are the public interface; each is imported when it is first used, so that `import dass` is quick.
`examples/` shows them at work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dass.api import distill, evaluate, load_teacher, open_dataset, rank_students
    from dass.config import DistillationRecipe
    from dass.datasets.task_data import TaskData
    from dass.errors import DassError, UsageError
    from dass.multi_fidelity.predictor import MultiFidelityPredictor
    from dass.networks.elastic_resnet import ElasticResNet
    from dass.networks.remapping import remap
    from dass.search.result import SearchResult
    from dass.space.architecture import Architecture
    from dass.space.cost import cost
    from dass.space.search_space import SearchSpace

__version__ = "0.2.0"

_MODULES = {
    "Architecture": "dass.space.architecture",
    "DassError": "dass.errors",
    "DistillationRecipe": "dass.config",
    "ElasticResNet": "dass.networks.elastic_resnet",
    "MultiFidelityPredictor": "dass.multi_fidelity.predictor",
    "SearchResult": "dass.search.result",
    "SearchSpace": "dass.space.search_space",
    "TaskData": "dass.datasets.task_data",
    "UsageError": "dass.errors",
    "cost": "dass.space.cost",
    "distill": "dass.api",
    "evaluate": "dass.api",
    "load_teacher": "dass.api",
    "open_dataset": "dass.api",
    "remap": "dass.networks.remapping",
    "rank_students": "dass.api",
}

__all__ = [
    "Architecture",
    "DassError",
    "DistillationRecipe",
    "ElasticResNet",
    "MultiFidelityPredictor",
    "SearchResult",
    "SearchSpace",
    "TaskData",
    "UsageError",
    "cost",
    "distill",
    "evaluate",
    "load_teacher",
    "open_dataset",
    "rank_students",
    "remap",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'dass' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
