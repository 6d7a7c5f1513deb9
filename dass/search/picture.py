"""The picture of a search: candidates by cost and accuracy, their front, the pick and the teacher."""

from matplotlib.figure import Figure

from dass.evaluation.plots import pareto
from dass.search.constraints import MILLION
from dass.search.result import SearchResult
from dass.space.architecture import Architecture
from dass.tasks.task import Task


def search_figure(task: Task, found: SearchResult, title: str, chosen: Architecture | None = None) -> Figure:
    """Draws a search.

    Args:
        task: the target, whose teacher is drawn too.
        found: result of the search.
        title: title of the picture.
        chosen: the architecture that is marked; None for the pick of the search.
    """
    ranking, picked = [one.architecture for one in found.ranking], chosen or found.pick.architecture
    return pareto(
        [candidate.cost.macs / MILLION for candidate in found.ranking],
        [candidate.predicted for candidate in found.ranking],
        [ranking.index(candidate.architecture) for candidate in found.front],
        title=title,
        picked=ranking.index(picked),
        max_macs=found.constraints.max_macs,
        teacher_macs=task.teacher_cost.macs / MILLION,
        teacher_accuracy=found.teacher_accuracy,
        ylabel=found.accuracy_label,
    )
