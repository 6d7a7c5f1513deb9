"""The front of `dass shrink` in the terminal: how small can the student be?"""

from rich.table import Table

from dass.evaluation.answers import share_interval
from dass.search.candidates import MILLION
from dass.search.target_task import TargetTask
from dass.shrink.shrink import Request, Shrunk


def front_table(task: TargetTask, request: Request, shrunk: Shrunk) -> Table:
    """The search's front by ascending cost, then what was distilled, then the teacher.

    Args:
        task: the teacher.
        request: the limits.
        shrunk: what came out.
    """
    table = Table(title=f"{task.card.task}: within {request.budget}")
    for column in ("", "depths / widths", "accuracy %", "interval", "of", "M MACs", "M parameters"):
        table.add_column(column, justify="left" if column in ("", "depths / widths", "of") else "right")

    def add(what: str, label: str, percent: float, ends: tuple[float, float], of: str, macs: int, weights: int) -> None:
        table.add_row(
            what, label, f"{percent:.2f}", f"{ends[0]:.1f}-{ends[1]:.1f}", of, f"{macs / MILLION:.3f}",
            f"{weights / MILLION:.4f}",
        )  # fmt: skip

    for one in shrunk.search.front:
        ends = (one.low or 0.0, one.high or 100.0)
        label = one.architecture.stage_label
        of = f"held-out images, {one.rung} (80%)"
        add("searched", label, one.predicted, ends, of, one.cost.macs, one.cost.parameters)
    table.add_section()
    for each in sorted(shrunk.distilled, key=lambda one: one.student.macs):
        student, what = each.student, "pick" if each is shrunk.distilled[0] else "distilled"
        ends = each.interval(shrunk.held_out)
        label = student.architecture.stage_label
        add(what, label, student.final_accuracy, ends, "held-out images (95%)", student.macs, student.params)
    table.add_section()
    spent, test = task.teacher_cost, task.card.accuracy
    count = len(task.data.test_labels)
    ends = share_interval(round(test / 100 * count), count)
    add("teacher", task.teacher.architecture.stage_label, test, ends, "test images (95%)", spent.macs, spent.parameters)
    return table
