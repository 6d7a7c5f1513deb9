"""Tables and pictures of a replay."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from dass.evaluation.correlation import spearman
from dass.evaluation.plots import save
from dass.files import read_json, write_text
from experiments.curves.methods import ALL, Score, by_loss
from experiments.curves.rows import Row
from experiments.curves.scores import Scores
from experiments.curves.table import Floats, Table

READ = (5, 10, 20, 40, 80, 160, 320)  # steps of which correlations are shown
REFERENCE = ("random", ALL)  # the user with time
DRAWN = ("random", "race, last 1", "learned race, last 1", "one batch, then race, last 1")  # as lines of the picture
POINTS = ("searched", "multi-fidelity, 20 steps", "uniform", "threshold", "trained alone", "EagleEye", "DaSS")


def write_report(
    folder: Path,
    rows: Sequence[Row],
    tables: Sequence[Table],
    sources: Sequence[Table],
    scores: Sequence[Scores],
    learned: Score | None,
    draws: int,
    clock: Path,
) -> None:
    """Writes `tables.md` and a picture for each limit.

    Args:
        folder: of the study.
        rows: of the replay.
        tables: of the targets.
        sources: of the source tasks.
        scores: of rankings without a student's own curve.
        learned: the score that predictors give, or None.
        draws: of each method's candidates.
        clock: the file that says where the seconds were measured.
    """
    parts = [
        facts(tables, sources, draws, clock),
        equal_time(rows),
        methods(rows),
        correlations(tables, scores, learned),
    ]
    write_text(folder / "tables.md", "\n".join(line for part in parts for line in part) + "\n")
    for limit, within in groupby(sorted(rows, key=lambda row: row.limit), lambda row: row.limit):
        save(picture(list(within), limit), folder / f"seconds_{round(100 * limit)}.png")


def facts(tables: Sequence[Table], sources: Sequence[Table], draws: int, clock: Path) -> Iterator[str]:
    """What was measured on how many students, and where."""
    facts = read_json(clock)
    yield "# Tables of the study: which method at equal time"
    yield ""
    yield (
        f"Written by `python -m experiments.curves.replay`. Seconds: one thread of {facts['device']}, torch "
        f"{facts['torch']}, measured alone by `python -m experiments.curves.clock`. {draws} draws of the candidates; "
        "one seed a student. A range holds nine of ten draws: it covers which candidates are drawn, neither the noise "
        "of a distillation nor that of the test images."
    )
    yield ""
    yield "| task | n | steps | teacher (%) | students: least, median, most (%) | SRC of held-out and test accuracy |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for table in (*tables, *sources):
        low, middle, high = np.percentile(table.test, [0, 50, 100])
        yield (
            f"| {table.task} | {len(table.test)} | {table.total} | {table.teacher.accuracy:.1f} | {low:.1f}, "
            f"{middle:.1f}, {high:.1f} | {float(spearman(table.validation, table.test)):.2f} |"
        )
    yield ""


def equal_time(rows: Sequence[Row]) -> Iterator[str]:
    """Each method at the largest size that takes at most a quarter of the time of distilling all students."""
    yield "## At a quarter of the time of distilling all students within the limit"
    yield ""
    yield (
        "The largest size of each method that fits. The difference is to the student that held-out images choose among "
        "all, in points, the mean over targets."
    )
    yield ""
    limits = sorted({row.limit for row in rows})
    yield "| method | " + " | ".join(f"at most {100 * limit:.0f}% of the MACs" for limit in limits) + " |"
    yield "| --- |" + " --- |" * len(limits)
    for method in dict.fromkeys(row.method for row in rows):
        cells = [_difference([row for row in rows if row.limit == limit], method) for limit in limits]
        if any(cells):
            yield f"| {method} | " + " | ".join(cell or "-" for cell in cells) + " |"
    yield ""


def _difference(rows: Sequence[Row], method: str) -> str:
    differences, seconds, sizes = [], [], set()
    for target in sorted({row.target for row in rows}):
        mine = [row for row in rows if row.target == target]
        reference = next((row for row in mine if (row.method, row.size) == REFERENCE), None)
        fitting = [row for row in mine if row.method == method and reference and 4 * row.seconds <= reference.seconds]
        if not (reference and fitting):
            return ""
        chosen = max(fitting, key=lambda row: row.seconds)
        differences.append(chosen.accuracy - reference.accuracy)
        seconds.append(chosen.seconds)
        sizes.add(chosen.size)
    return f"{mean(differences):+.2f} ({', '.join(sorted(sizes))}; {mean(seconds):.0f} s)"


def methods(rows: Sequence[Row]) -> Iterator[str]:
    """Accuracy by method and by seconds, averaged over targets, one table a limit."""
    for limit in sorted({row.limit for row in rows}):
        mine = [row for row in rows if row.limit == limit]
        targets = sorted({row.target for row in mine})
        yield f"## At most {100 * limit:.0f}% of the teacher's multiply-accumulates"
        yield ""
        counts = ", ".join(
            f"{target} {max(row.students for row in mine if row.target == target)}" for target in targets
        )
        yield f"Mean test accuracy in percent; students drawn within the limit: {counts}."
        yield ""
        yield f"| method | size | seconds | mean | {' | '.join(targets)} | mean of the best evaluation |"
        yield f"| --- | --- | --- | --- |{' --- |' * len(targets)} --- |"
        for method, size in dict.fromkeys((row.method, row.size) for row in mine):
            its = {row.target: row for row in mine if (row.method, row.size) == (method, size)}
            if set(its) != set(targets):
                continue
            cells = " | ".join(f"{its[one].accuracy:.1f} [{its[one].low:.1f}, {its[one].high:.1f}]" for one in targets)
            seconds, accuracy = mean(row.seconds for row in its.values()), mean(row.accuracy for row in its.values())
            best = mean(row.best for row in its.values())
            yield f"| {method} | {size} | {seconds:.0f} | {accuracy:.2f} | {cells} | {best:.2f} |"
        yield ""


def correlations(tables: Sequence[Table], scores: Sequence[Scores], learned: Score | None) -> Iterator[str]:
    """Spearman correlation of what is seen beforehand with test accuracy, all students of a target."""
    yield "## Rank correlation (SRC) with the accuracy in the end"
    yield ""
    yield f"| seen | {' | '.join(f'{table.task} (n={len(table.test)})' for table in tables)} | mean |"
    yield f"| --- |{' --- |' * len(tables)} --- |"
    for ranking in dict.fromkeys(one.ranking for one in scores):
        known = {one.task: one.values for one in scores if one.ranking == ranking}
        yield _line(ranking, [table.students(known.get(table.task, {})) for table in tables], tables)
    rules: list[tuple[str, Score]] = [("held-out loss", by_loss), *([("learned", learned)] if learned else [])]
    for name, score in rules:
        for steps in READ:
            values = [score(table, np.arange(len(table.test)), table.reading(steps)) for table in tables]
            yield _line(f"{name} after {steps} steps", values, tables)
    yield _line("held-out accuracy in the end", [table.validation for table in tables], tables)
    yield ""


def _line(name: str, values: Sequence[Floats], tables: Sequence[Table]) -> str:
    found = [
        float(spearman(one[known], table.test[known])) if (known := np.isfinite(one)).sum() > 2 else np.nan
        for one, table in zip(values, tables, strict=True)
    ]
    return f"| {name} | {' | '.join(f'{one:.2f}' for one in found)} | {np.mean(found):.2f} |"


def picture(rows: Sequence[Row], limit: float) -> Figure:
    """Mean accuracy of the delivered student against the seconds spent, one line a method."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    targets = {row.target for row in rows}
    for method in dict.fromkeys(row.method for row in rows):
        points = []
        for size in dict.fromkeys(row.size for row in rows if row.method == method):
            its = [row for row in rows if (row.method, row.size) == (method, size)]
            if {row.target for row in its} == targets:
                points.append((mean(row.seconds for row in its), mean(row.accuracy for row in its)))
        if points and method in DRAWN:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=4, label=method)
        elif points and method in POINTS:
            axes.scatter(*zip(*points[:1], strict=True), marker="x", label=method)
    axes.set(
        xscale="log",
        xlabel="seconds of one thread, the last distillation included",
        ylabel="accuracy on test images (%), mean over targets",
        title=f"At most {100 * limit:.0f}% of the teacher's multiply-accumulates",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return figure
