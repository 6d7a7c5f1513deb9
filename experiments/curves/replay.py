"""What each method delivers in how many seconds: `python -m experiments.curves.replay SETTING CLOCK OUT`.

Each method is replayed with many draws of its candidates. A row has the mean over the draws, and the range that nine
of ten users get. The source side's cost is not in the seconds of learned methods; the page says it beside them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Annotated

import numpy as np
import typer

from dass.files import write_json, write_text
from dass.networks.checkpoint import load_card
from dass.params_file import find_root
from experiments.curves.learned import LearnedScore
from experiments.curves.methods import Method, usual_methods
from experiments.curves.record import read_curves
from experiments.curves.setting import SETTINGS, Setting
from experiments.curves.table import Clock, Table
from experiments.curves.tasks import SEED, Study

DRAWS = 1000
FEWEST = 6  # students within a limit, or nothing is said of it


@dataclass(frozen=True)
class Row:
    """A method of one size on one target under one limit.

    Attributes:
        target: name of the target.
        limit: most multiply-accumulates, as a share of the teacher's.
        students: how many of the target's students are within the limit.
        method: name of the method.
        size: what of it, in words.
        seconds: mean over draws, the delivered student's distillation included.
        accuracy: mean percent of test images over draws.
        low: percent that one in twenty draws falls short of.
        high: percent that one in twenty draws surpasses.
        best: mean over draws of the maximum over test evaluations, as the paper reports.
    """

    target: str
    limit: float
    students: int
    method: str
    size: str
    seconds: float
    accuracy: float
    low: float
    high: float
    best: float


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    clock: Annotated[Path, typer.Argument(help="File of experiments.curves.clock.")],
    out: Annotated[Path, typer.Argument(help="Folder for rows.json and the table.")],
    draws: Annotated[int, typer.Option(help="Of each method's candidates.")] = DRAWS,
) -> None:
    """Replay all methods on all targets that have students."""
    chosen, watch = SETTINGS[setting], Clock.read(clock)
    study = Study(find_root(), chosen)
    tables = {task: _table(study, task) for task in (*chosen.targets, *chosen.sources)}
    sources = [table for task, table in tables.items() if table is not None and task in chosen.sources]
    targets = [table for task, table in tables.items() if table is not None and task in chosen.targets]
    score = LearnedScore(sources) if len(sources) > 1 else None
    rows = [row for table in targets for row in replayed(table, watch, chosen, usual_methods(score), draws)]
    write_json(out / "rows.json", [asdict(row) for row in rows])
    write_text(out / "methods.md", "\n".join(page(rows, draws)) + "\n")


def replayed(
    table: Table, clock: Clock, setting: Setting, methods: dict[str, list[tuple[str, Method]]], draws: int
) -> Iterator[Row]:
    """Every method under every limit on one target.

    Args:
        table: of the target.
        clock: what steps cost.
        setting: gives the limits.
        methods: by name, each at several sizes.
        draws: of each method's candidates.
    """
    for _, most, _ in setting.windows:
        within = table.within(most * table.teacher_macs)
        if len(within) < FEWEST:
            continue
        for name, sizes in methods.items():
            for size, method in sizes:
                seen = [method(table, clock, within, np.random.default_rng([draw])) for draw in range(draws)]
                reached = np.array([table.test[one.student] for one in seen])
                low, high = np.percentile(reached, [5, 95])
                yield Row(
                    target=table.task,
                    limit=most,
                    students=len(within),
                    method=name,
                    size=size,
                    seconds=mean(one.seconds for one in seen),
                    accuracy=float(reached.mean()),
                    low=float(low),
                    high=float(high),
                    best=float(np.mean([table.best[one.student] for one in seen])),
                )


def page(rows: list[Row], draws: int) -> Iterator[str]:
    """Accuracy by method and by seconds, averaged over targets, one table a limit."""
    for limit in sorted({row.limit for row in rows}):
        mine = [row for row in rows if row.limit == limit]
        targets = sorted({row.target for row in mine})
        yield f"## At most {100 * limit:.0f}% of the teacher's multiply-accumulates"
        yield ""
        counts = ", ".join(
            f"{target} {next(row.students for row in mine if row.target == target)}" for target in targets
        )
        yield f"Mean test accuracy in percent over {draws} draws of the candidates; students: {counts}."
        yield ""
        yield f"| method | size | seconds | mean | {' | '.join(targets)} |"
        yield f"| --- | --- | --- | --- |{' --- |' * len(targets)}"
        for method, size in dict.fromkeys((row.method, row.size) for row in mine):
            its = {row.target: row for row in mine if (row.method, row.size) == (method, size)}
            if set(its) != set(targets):
                continue
            cells = " | ".join(f"{its[one].accuracy:.1f} [{its[one].low:.1f}, {its[one].high:.1f}]" for one in targets)
            seconds, accuracy = mean(row.seconds for row in its.values()), mean(row.accuracy for row in its.values())
            yield f"| {method} | {size} | {seconds:.0f} | {accuracy:.2f} | {cells} |"
        yield ""


def _table(study: Study, task: str) -> Table | None:
    records = [one for one in read_curves(study.curves_file(task)) if one.seed == SEED and one.alpha < 1]
    return Table.of(records, load_card(study.teacher_file(task))) if records else None


if __name__ == "__main__":
    typer.run(main)
