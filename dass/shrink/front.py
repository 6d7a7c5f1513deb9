"""How small can the student be: the search's front, what was distilled, and the teacher, as rows and as a picture."""

from typing import TYPE_CHECKING

from dass.evaluation.answers import share_interval
from dass.search.constraints import MILLION
from dass.search.picture import search_figure
from dass.shrink.shrink import Shrunk
from dass.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, str]


def front_rows(task: Task, shrunk: Shrunk) -> list[Row]:
    """Rows as people read them: the front by ascending cost, then the distilled students, then the teacher.

    Args:
        task: task of the teacher.
        shrunk: result of the shrinking.
    """
    rows = []
    for one in shrunk.search.front:
        ends = (one.low or 0.0, one.high or 100.0)
        of = f"held-out images, {one.fidelity.label if one.fidelity else ''} (80%)"
        cost = (one.cost.macs, one.cost.parameters)
        rows.append(_row("searched", one.architecture.stage_label, one.predicted, ends, of, *cost))
    for each in sorted(shrunk.distilled, key=lambda one: one.student.macs):
        student, what = each.student, "pick" if each is shrunk.distilled[0] else "distilled"
        ends, label = each.interval(shrunk.held_out), student.architecture.stage_label
        cost = (student.macs, student.params)
        rows.append(_row(what, label, student.final_accuracy, ends, "held-out images (95%)", *cost))
    teacher, count = task.card.accuracy, len(task.data.test_labels)
    ends, label = share_interval(round(teacher / 100 * count), count), task.teacher.architecture.stage_label
    price = task.teacher_cost
    return [*rows, _row("teacher", label, teacher, ends, "test images (95%)", price.macs, price.parameters)]


def _row(what: str, label: str, percent: float, ends: tuple[float, float], of: str, macs: int, weights: int) -> Row:
    return {
        "": what,
        "depths / widths": label,
        "accuracy %": f"{percent:.2f}",
        "interval": f"{ends[0]:.1f}-{ends[1]:.1f}",
        "of": of,
        "M MACs": f"{macs / MILLION:.3f}",
        "M parameters": f"{weights / MILLION:.4f}",
    }


def front_figure(task: Task, shrunk: Shrunk) -> "Figure":
    """The search's candidates with their front, the chosen one, the limit and the teacher.

    Args:
        task: task of the teacher.
        shrunk: result of the shrinking.
    """
    title = f"{shrunk.search.target}: students of the search"
    return search_figure(task, shrunk.search, title, shrunk.chosen.architecture)
