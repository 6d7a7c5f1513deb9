"""Results as typed rows, and those as CSV, Markdown and tables for a terminal."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from io import StringIO
from pathlib import Path

from rich.table import Table as RichTable

from dass.evaluation.intervals import Estimate
from dass.files import write_text

MEAN = "mean"  # the target name of a mean over targets


@dataclass(frozen=True)
class CorrelationRow:
    """One number of `reports/correlations.csv`.

    Attributes:
        method: what gave the scores.
        target: the task, or `mean` for a mean over targets.
        metric: such as `src`, `kendall`, `pearson`, `partial_src`, `regret`.
        value: over all students.
        low: lower end of the interval.
        high: upper end.
        n: students.
        invalid: scores that were NaN or infinite.
        constant: all scores were equal.
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

    @classmethod
    def of(cls, method: str, target: str, metric: str, estimate: Estimate) -> "CorrelationRow":
        """The row of an estimate."""
        return cls(method, target, metric, *astuple(estimate))


@dataclass(frozen=True)
class PickRow:
    """One distilled pick, a row of `reports/picks.csv`.

    Attributes:
        method: what picked it.
        target: the task.
        seed: of the distillation.
        accuracy: percent after distillation.
        macs: multiply-accumulates (conv + linear).
        parameters: trained weights.
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
class Table:
    """A table of text.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: cells, as many in each row as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As a Markdown table under its title; the first column to the left, the others to the right."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        escaped = (" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines)
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in escaped)]) + "\n"

    def rich(self) -> RichTable:
        """For a terminal."""
        table = RichTable(title=self.title)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


def write_csv(path: Path, rows: Sequence[CorrelationRow] | Sequence[PickRow]) -> None:
    """Writes rows with a heading, atomically; floats in full, so that nothing is lost by reading them back.

    Raises:
        DassError: the file cannot be written.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow([field.name for field in fields(rows[0])])
    writer.writerows(astuple(row) for row in rows)
    write_text(path, text.getvalue())


def correlation_table(rows: Sequence[CorrelationRow], metric: str, title: str) -> Table:
    """Methods against targets, as Tables 2 and 3 have them, each value with its interval.

    Methods and targets are in the order in which they first come; the mean is the last column. A value from scores
    that were all equal is marked `=`, one with scores that were not finite `*`; a value that is missing is a dash.
    """
    chosen = [row for row in rows if row.metric == metric]
    methods = list(dict.fromkeys(row.method for row in chosen))
    targets = list(dict.fromkeys(row.target for row in chosen if row.target != MEAN))
    targets += [MEAN] if any(row.target == MEAN for row in chosen) else []
    cells = {(row.method, row.target): _cell(row) for row in chosen}
    students = {target: {row.n for row in chosen if row.target == target} for target in targets}
    headings = [target if target == MEAN else f"{target} (n={_span(students[target])})" for target in targets]
    body = tuple((method, *(cells.get((method, target), "-") for target in targets)) for method in methods)
    return Table(title, ("method", *headings), body)


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
        body.append((target, method, accuracy, f"{macs:.2f}", f"{parameters:.3f}", architecture))
    columns = ("target", "method", "accuracy % (seeds)", "MACs (M)", "parameters (M)", "depths / widths")
    return Table(title, columns, tuple(body))


def _cell(row: CorrelationRow) -> str:
    marks = "=" * row.constant + "*" * bool(row.invalid)
    return f"{row.value:.2f}{marks} [{row.low:.2f}, {row.high:.2f}]"


def _span(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"
