"""Makes a method of the comparison from its entry in `dass.method_names`."""

from importlib import import_module

from dass.baselines.ranker import Ranker, Settings
from dass.errors import UsageError
from dass.method_names import METHODS


def make_ranker(key: str, settings: Settings) -> Ranker:
    """Makes a method, unfitted.

    Args:
        key: key of the method in `METHODS`.
        settings: what methods need of params.yaml.

    Raises:
        UsageError: there is no such method.
    """
    if key not in METHODS:
        raise UsageError(f"there is no method {key!r:.60}: see docs/evaluation.md")
    method = METHODS[key]
    module, name = method.ranker.split(":")
    ranker: type[Ranker] = getattr(import_module(f"dass.baselines.methods.{module}"), name)
    return ranker.of(settings, **method.options)
