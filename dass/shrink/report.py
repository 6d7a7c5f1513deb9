"""One page, without any file beside it, that says what was asked for and what came out."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from dass.evaluation.answer_plots import confusion_matrix, mistakes_grid
from dass.evaluation.answers import Answers
from dass.evaluation.plots import embedded
from dass.search.constraints import MILLION
from dass.shrink.files import Filed
from dass.shrink.front import front_figure
from dass.shrink.shrink import Request, Shrunk
from dass.space.cost import cost
from dass.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd; }
td { text-align: right; } td:first-child, th:first-child { text-align: left; } img { max-width: 100%; }
code, pre { background: #f4f4f4; } pre { padding: .8rem; white-space: pre-wrap; }
"""


def page(task: Task, request: Request, shrunk: Shrunk, filed: Filed, command: str, seconds: float) -> str:
    """The page as HTML.

    Args:
        task: task with its images and its teacher.
        request: request with limits and time.
        shrunk: result of the shrinking.
        filed: registered version.
        command: command line that makes the same again.
        seconds: that the last run of the command took.
    """
    chosen, test = shrunk.chosen, shrunk.test
    count = len(task.data.test_labels)
    probabilities = shrunk.logits.double().softmax(1).numpy()
    answers = Answers(task.data.classes, probabilities, task.data.test_labels.cpu().numpy())
    low, high = answers.interval
    teacher = cost(task.teacher.architecture, task.data.resolution, len(task.data.classes))
    parts = [
        f"<h1>A student of {escape(task.card.task)}</h1>",
        f"<p>The student reaches <b>{test.accuracy:.2f}%</b> of {count} test images (95% interval: {low:.1f} to "
        f"{high:.1f}%); its teacher reaches {task.card.accuracy:.2f}%. The student needs "
        f"{chosen.macs / teacher.macs:.0%} of the teacher's multiply-accumulates and "
        f"{chosen.params / teacher.parameters:.0%} of its parameters. Both say the same of {shrunk.agreement:.1f}% of "
        "the test images.</p>",
        _table(
            ("", "teacher", "student"),
            [
                ("family", task.teacher.architecture.family.name, chosen.architecture.family.name),
                ("depths / widths", task.teacher.architecture.stage_label, chosen.architecture.stage_label),
                ("test accuracy", f"{task.card.accuracy:.2f}%", f"{test.accuracy:.2f}%"),
                ("M MACs per image", f"{teacher.macs / MILLION:.2f}", f"{chosen.macs / MILLION:.2f}"),
                ("parameters", f"{teacher.parameters:,}", f"{chosen.params:,}"),
                ("ms per image, batch 1", f"{filed.teacher_latency[0]:.2f}", f"{filed.student_latency[0]:.2f}"),
                ("ms per batch of 32", f"{filed.teacher_latency[1]:.2f}", f"{filed.student_latency[1]:.2f}"),
            ],
        ),
        "<h2>What was asked for</h2>",
        f"<p>Limits: {escape(str(request.constraints))}. Time: {request.minutes:g} minutes, images of "
        f"{task.data.resolution}x{task.data.resolution} pixels, {len(task.data.classes)} classes. The last run of the "
        f"command took {seconds / 60:.1f} minutes. Latency was measured on {escape(filed.timed_on)}.</p>",
        *_asked(request, shrunk, filed),
        f"<pre>{escape(command)}</pre>",
        "<h2>The search</h2>",
        f"<p>{_took_part(len(shrunk.search.ranking))} The accuracies are of held-out training images after so "
        "many steps, not of finished students.</p>",
        _picture(front_figure(task, shrunk)),
        _table(
            ("depths / widths", "steps", "held-out accuracy", "80% interval", "M MACs"),
            [
                (
                    one.architecture.stage_label,
                    one.fidelity.label if one.fidelity else "",
                    f"{one.predicted:.1f}%",
                    "" if one.low is None else f"{one.low:.1f}% to {one.high:.1f}%",
                    f"{one.cost.macs / MILLION:.2f}",
                )
                for one in shrunk.search.ranking[:10]
            ],
        ),
        "<h2>The distilled students</h2>",
        f"<p>{_distilled(shrunk)} The test images were looked at once, for the chosen student.</p>",
        _table(
            ("depths / widths", "held-out accuracy", "95% interval", "M MACs", "parameters"),
            [
                (
                    one.student.architecture.stage_label,
                    f"{one.student.final_accuracy:.2f}%",
                    "{:.1f}% to {:.1f}%".format(*one.interval(shrunk.held_out)),
                    f"{one.student.macs / MILLION:.2f}",
                    f"{one.student.params:,}",
                )
                for one in shrunk.distilled
            ],
        ),
        "<h2>Mistakes</h2>",
        _mistakes(task, answers),
        "<h2>Files and how to use them</h2>",
        _table(("what", "where"), [(escape(name), escape(where)) for name, where in filed.places()]),
        f"<pre>{escape(filed.usage())}</pre>",
    ]
    title = f"A student of {escape(task.card.task)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _asked(request: Request, shrunk: Shrunk, filed: Filed) -> list[str]:
    """What was asked for beyond MACs and parameters, what was expected, and what was reached."""
    limits, rows = request.constraints, []
    if shrunk.floor_check is not None:
        check = shrunk.floor_check
        rows.append(
            (
                f"accuracy of at least {check.floor:.2f}% with a probability of {check.asked:.0%}",
                f"{check.predicted:.2f}% of held-out images, so with a probability of {check.probability:.0%}",
                f"{shrunk.test.accuracy:.2f}% of the test images",
            )
        )
    if shrunk.latency is not None:
        rows.append((f"{limits.max_latency:g} ms at batch {limits.latency_batch}", "", f"{shrunk.latency:.3g} ms"))
    if limits.max_size is not None:
        rows.append((f"{limits.max_size:g} MB", "", f"{filed.weights.stat().st_size / MILLION:.3f} MB"))
    return [_table(("asked for", "expected", "reached"), rows)] if rows else []


def _took_part(count: int) -> str:
    if count == 1:
        return "There was time for one student only: nothing was compared."
    return f"{count} students trained for some steps; the better half went on each time."


def _distilled(shrunk: Shrunk) -> str:
    epochs = "one epoch" if shrunk.epochs == 1 else f"{shrunk.epochs} epochs"
    if len(shrunk.distilled) == 1:
        return f"One student was distilled, for {epochs}."
    if shrunk.floor_check is not None:
        return (
            f"Each was distilled for {epochs}, and the next one was smaller or larger as held-out "
            "training images showed it accurate enough or not. The smallest that is accurate enough comes first."
        )
    return f"Each was distilled for {epochs}. Held-out training images chose the first of them."


def _mistakes(task: Task, answers: Answers) -> str:
    """Accuracy by class, the confusion matrix, and the mistakes that the student is surest of."""
    rows = [
        (escape(one.name), f"{one.right:.1f}%", str(one.images), escape(one.confused)) for one in answers.per_class()
    ]
    images = task.data.test_images.permute(0, 2, 3, 1).cpu().numpy()
    return (
        _table(("class", "accuracy", "test images", "mostly confused with"), rows)
        + _picture(confusion_matrix(answers, "confusion matrix (share of each row)"))
        + _picture(mistakes_grid(answers, images, "mistakes that the student is surest of"))
    )


def _picture(figure: "Figure") -> str:
    return f'<img alt="" src="{embedded(figure)}">'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
