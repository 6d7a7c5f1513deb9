"""Results as typed rows, and those as CSV, Markdown and tables for a terminal."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from io import StringIO
from pathlib import Path

from rich.table import Table as RichTable

from dass.evaluation.intervals import Estimate
from dass.files import write_text
from dass.method_names import method_label

MEAN = "mean"  # the target name of a mean over targets
SECONDS = "architecture_seconds"  # the metric that is the time of one score
COVERED = "covered_80"  # the metric that is the share of students within their 80% intervals


@dataclass(frozen=True)
class CorrelationRow:
    """One number of `reports/correlations.csv`.

    Attributes:
        method: method that gave the scores.
        target: the task, or `mean` for a mean over targets.
        metric: such as `src`, `kendall`, `pearson`, `partial_src`, `regret`.
        value: statistic over all students.
        low: lower end of the interval.
        high: upper end of the interval.
        n: number of students.
        invalid: scores that were NaN or infinite.
        constant: all scores were equal.
        counts: whether the target enters means: see `GroundTruth.counts`.
    """

    method: str
    target: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    invalid: int = 0
    constant: bool = False
    counts: bool = True

    @classmethod
    def of(cls, method: str, target: str, metric: str, estimate: Estimate, *, counts: bool = True) -> "CorrelationRow":
        """The row of an estimate."""
        return cls(method, target, metric, **asdict(estimate), counts=counts)


@dataclass(frozen=True)
class PickRow:
    """One distilled pick, a row of `reports/picks.csv`.

    Attributes:
        method: method that picked it.
        target: name of the target.
        seed: random seed of the distillation.
        accuracy: percent after distillation.
        macs: number of multiply-accumulates of convolutions and the linear layer.
        parameters: number of trained weights.
        architecture: depths and widths as the paper's tables write them.
    """

    method: str
    target: str
    seed: int
    accuracy: float
    macs: int
    parameters: int
    architecture: str


@dataclass(frozen=True)
class CurveRow:
    """One point of Fig. 3, a row of `reports/few_shot.csv`.

    Attributes:
        target: name of the target.
        shots: students of the target that were shown; 0 for the guide.
        seconds: seconds that collecting the students took, mean over draws.
        src: Spearman correlation over the students never shown, mean over draws and seeds.
        deviation: its standard deviation over draws and seeds.
        draws: number of draws times number of seeds.
        n: number of students that were ranked.
    """

    target: str
    shots: int
    seconds: float
    src: float
    deviation: float
    draws: int
    n: int


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: title that says what is shown.
        columns: headings of the columns.
        rows: cells, as many in each row as there are columns.
        notes: lines under the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As a Markdown table under its title; the first column to the left, the others to the right."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        escaped = (" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines)
        notes = [line for note in self.notes for line in ("", note)]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in escaped), *notes]) + "\n"

    def csv(self) -> str:
        """As CSV, the same cells."""
        return _csv([self.columns, *self.rows])

    def rich(self) -> RichTable:
        """For a terminal."""
        table = RichTable(title=self.title)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


def write_csv(
    path: Path,
    kind: type[CorrelationRow] | type[PickRow] | type[CurveRow],
    rows: Sequence[CorrelationRow] | Sequence[PickRow] | Sequence[CurveRow],
) -> None:
    """Writes rows of a kind under its heading, atomically; floats in full, so that reading them back loses nothing.

    Raises:
        DassError: the file cannot be written.
    """
    write_text(path, _csv([[field.name for field in fields(kind)], *(astuple(row) for row in rows)]))


def correlation_table(
    rows: Sequence[CorrelationRow],
    metric: str,
    title: str,
    *,
    methods: Sequence[str] | None = None,
    difference: str = "",
    best: str = "",
    seconds: str = "",
) -> Table:
    """Methods against targets, as Tables 2 and 3 have them, each value with its interval.

    Targets are in the order in which they first come; the mean is the last of them. A value from scores that were
    all equal is marked `=`, one with scores that were not finite `*`, a target that does not enter the mean `†`; a
    value that is missing is a dash.

    Args:
        rows: rows of `reports/correlations.csv`.
        metric: name of the metric.
        title: title of the table.
        methods: which, in this order; None for all as they first come.
        difference: a metric whose mean over targets is shown too, where there is one; empty for none.
        best: a metric against the students' best accuracies, whose mean is shown likewise; empty for none.
        seconds: a metric in seconds, whose mean is shown in milliseconds; empty for none.
    """
    chosen = [row for row in rows if row.metric == metric and (methods is None or row.method in methods)]
    names = list(dict.fromkeys(row.method for row in chosen)) if methods is None else list(methods)
    targets = list(dict.fromkeys(row.target for row in chosen if row.target != MEAN))
    targets += [MEAN] if any(row.target == MEAN for row in chosen) else []
    cells = {(row.method, row.target): _cell(row) for row in chosen}
    columns, extra = [_heading(chosen, target) for target in targets], []
    for shown, heading in ((difference, "mean difference to DaSS"), (best, "mean by best accuracy")):
        if shown and MEAN in targets:
            columns.append(heading)
            extra.append({row.method: _cell(row) for row in rows if (row.metric, row.target) == (shown, MEAN)})
    if seconds:
        columns.append("ms per architecture")
        times: dict[str, list[float]] = {}
        for row in rows:
            if row.metric == seconds:
                times.setdefault(row.method, []).append(1000 * row.value)
        extra.append({method: f"{sum(values) / len(values):.1f}" for method, values in times.items()})
    body = tuple(
        (
            method_label(name),
            *(cells.get((name, target), "-") for target in targets),
            *(column.get(name, "-") for column in extra),
        )
        for name in names
    )
    return Table(title, ("method", *columns), body)


def multi_fidelity_table(rows: Sequence[CorrelationRow], methods: Sequence[str], title: str) -> Table:
    """Methods against what they are worth and what they cost, each a mean over the targets that count.

    Args:
        rows: rows of `reports/correlations.csv`.
        methods: keys of the methods, in this order.
        title: title of the table.
    """
    metrics = {
        "src": "SRC",
        "src_difference": "difference to DaSS",
        "src_gain": "difference to parameters",
        "partial_src": "at equal size",
        "regret": "regret (points)",
    }
    means = {(row.method, row.metric): row for row in rows if row.target == MEAN}
    headings = {name: heading for name, heading in metrics.items() if any(metric == name for _, metric in means)}
    body = []
    for method in methods:
        cells = [_cell(means[method, name]) if (method, name) in means else "-" for name in headings]
        covered = [row.value for row in rows if (row.method, row.metric) == (method, COVERED) and row.counts]
        times = [1000 * row.value for row in rows if (row.method, row.metric) == (method, SECONDS)]
        last = [f"{100 * sum(covered) / len(covered):.0f} %" if covered else "-"]
        last.append(f"{sum(times) / len(times):.1f}" if times else "-")
        body.append((method_label(method), *cells, *last))
    return Table(title, ("method", *headings.values(), "within 80% intervals", "ms per architecture"), tuple(body))


def curve_table(rows: Sequence[CurveRow], title: str) -> Table:
    """The points of Fig. 3: what adapting to a few distilled students brings, and what it costs."""
    body = tuple(
        (
            row.target,
            "guide (teacher)" if row.shots == 0 else str(row.shots),
            f"{row.seconds:.2f}",
            f"{row.src:.2f} ± {row.deviation:.2f} ({row.draws})",
            str(row.n),
        )
        for row in rows
    )
    return Table(title, ("target", "students shown", "collecting (s)", "SRC (draws)", "students ranked"), body)


def pick_table(rows: Sequence[PickRow], title: str) -> Table:
    """Picks as Tables 4, 5 and 7 have them: mean and deviation of the accuracies over seeds, and what they cost."""
    groups: dict[tuple[str, str, str], list[PickRow]] = {}
    for row in rows:
        groups.setdefault((row.target, row.method, row.architecture), []).append(row)
    body = []
    for (target, method, architecture), group in groups.items():
        mean = sum(row.accuracy for row in group) / len(group)
        deviation = (sum((row.accuracy - mean) ** 2 for row in group) / max(1, len(group) - 1)) ** 0.5
        accuracy = f"{mean:.2f} ± {deviation:.2f} ({len(group)})" if len(group) > 1 else f"{mean:.2f} (1)"
        macs, parameters = group[0].macs / 1e6, group[0].parameters / 1e6
        body.append((target, method_label(method), accuracy, f"{macs:.2f}", f"{parameters:.3f}", architecture))
    columns = ("target", "method", "accuracy % (seeds)", "MACs (M)", "parameters (M)", "depths / widths")
    return Table(title, columns, tuple(body))


def _cell(row: CorrelationRow) -> str:
    marks = "=" * row.constant + "*" * bool(row.invalid)
    interval = f" [{row.low:.2f}, {row.high:.2f}]" if math.isfinite(row.low) else ""
    return f"{row.value:.2f}{marks}{interval}"


def _heading(rows: Sequence[CorrelationRow], target: str) -> str:
    if target == MEAN:
        return MEAN
    own = [row for row in rows if row.target == target]
    return f"{target}{'' if all(row.counts for row in own) else '†'} (n={_span({row.n for row in own})})"


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _span(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"
