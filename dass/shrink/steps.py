"""How a step of `dass shrink` is carried out: here and now, or as a task of a server that shows it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
Tell = Callable[[str], None]
Progress = Callable[[int, int], None]


class Step(Protocol):
    """Carries out a step."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """What `work` gives; `name` is for people."""


def at_once(name: str, work: Callable[[], T]) -> T:
    """Carries out a step here and now."""
    return work()
