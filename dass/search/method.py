"""What every search does: rank candidates of a target within constraints."""

from collections.abc import Callable
from typing import Protocol

from dass.search.constraints import Constraints
from dass.search.result import SearchResult
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task

Progress = Callable[[int, int], None]


class SearchMethod(Protocol):
    """A method of a search with all of its settings."""

    @property
    def space(self) -> SearchSpace:
        """Search space of the candidates."""

    def rank(self, task: Task, constraints: Constraints, progress: Progress | None = None) -> SearchResult:
        """Ranks candidates of one target and picks one.

        Args:
            task: the target. Its test images measure the teacher alone.
            constraints: what candidates may cost, and what the pick has to keep.
            progress: called with what is done and all that there is to do, in the method's own unit.

        Raises:
            UsageError: nothing, or too little, keeps the constraints.
            DassError: the teacher is not of the search space, or no candidate has a finite score.
        """
