"""What each method delivers in how many seconds: `python -m experiments.curves.replay SETTING CLOCK`.

Each method is replayed with many draws of its candidates. A row has the mean over the draws, and the range that nine
of ten users get. The source side's cost is not in the seconds of learned methods; the page says it beside them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Annotated

import numpy as np
import typer

from dass.files import write_json
from dass.networks.checkpoint import load_card
from dass.params_file import find_root
from experiments.curves.learned import LearnedScore
from experiments.curves.methods import Method, Score, race, ranked, screened, usual_methods
from experiments.curves.picks import Pick, read_picks
from experiments.curves.record import CurveRecord, read_curves
from experiments.curves.report import write_report
from experiments.curves.rows import Row
from experiments.curves.scores import Scores, read_scores, scores_file
from experiments.curves.searched import search_seconds
from experiments.curves.setting import SETTINGS, setting_of
from experiments.curves.table import Clock, Floats, Table
from experiments.curves.tasks import SEED, Study
from flows.infrastructure.exits import exit_with_line

DRAWS = 1000
FEWEST = 6  # students within a limit, or nothing is said of it
RANKED = 16  # candidates of a ranking without training, or all where there are fewer
SCREEN = "one batch, loss"  # what halves the students before a screened race
Methods = Mapping[str, list[tuple[str, Method]]]


@dataclass(frozen=True, eq=False)
class Target:
    """What is replayed on one target.

    Attributes:
        table: of the students drawn at random.
        scores: of rankings without a student's own curve.
        picks: what rules have picked.
        named: learning curves of these.
    """

    table: Table
    scores: list[Scores]
    picks: list[Pick]
    named: list[CurveRecord]


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    clock: Annotated[Path, typer.Argument(help="File of experiments.curves.clock.")],
    draws: Annotated[int, typer.Option(help="Of each method's candidates.")] = DRAWS,
) -> None:
    """Replay all methods on all targets that have students; rows, tables and pictures go to the study's folder."""
    chosen, watch = setting_of(setting), Clock.read(clock)
    study = Study(find_root(), chosen)
    sources = [table for task in chosen.sources if (table := table_of(study, task)) is not None]
    score = LearnedScore(sources) if len(sources) > 1 else None
    scores = read_scores(scores_file(study))
    targets = [
        Target(
            table,
            [one for one in scores if one.task == task],
            read_picks(study.picks_file(task)),
            read_curves(study.named_file(task)),
        )
        for task in chosen.targets
        if (table := table_of(study, task)) is not None
    ]
    rows = [
        row
        for target in targets
        for limit in chosen.limits
        for row in (
            *replayed(target, watch, limit, score, draws),
            *ruled(target, watch, limit),
        )
    ]
    write_json(study.folder / "rows.json", [asdict(row) for row in rows])
    tables = [target.table for target in targets]
    write_report(study.folder, rows, tables, sources, scores, score, draws, clock)


def methods_of(target: Target, clock: Clock, most: int, score: Score | None) -> Methods:
    """The usual methods, and those that follow a ranking without training.

    Args:
        target: whose rankings.
        clock: what a candidate's score costs.
        most: students that can be drawn.
        score: as in `usual_methods`.
    """
    found, count = usual_methods(most, score), min(RANKED, most)
    for one in target.scores:
        values = target.table.students(one.values)
        if np.isnan(values).any():
            continue  # students that came after the scores
        price = float(getattr(clock, one.price)) if one.price else 0.0
        found[one.ranking] = [
            (
                f"best {finished} of {count}",
                partial(ranked, scores=values, count=count, seconds_each=price, steps=one.steps, finished=finished),
            )
            for finished in (1, 2, 3)
        ]
        if one.ranking == SCREEN:
            found["one batch, then race, last 1"] = [
                (
                    f"race of {size} of {2 * size}",
                    partial(screened, scores=values, seconds_each=price, count=size, then=partial(race, count=size)),
                )
                for size in (4, 8, 16)
                if 2 * size <= most
            ]
    return found


def replayed(target: Target, clock: Clock, limit: float, score: Score | None, draws: int) -> Iterator[Row]:
    """Every method under a limit on one target.

    Args:
        target: its students and rankings.
        clock: what a step costs.
        limit: most multiply-accumulates, as a share of the teacher's.
        score: as in `usual_methods`.
        draws: of each method's candidates.
    """
    table = target.table
    within = table.within(limit * table.teacher_macs)
    if len(within) < FEWEST:
        return
    for name, sizes in methods_of(target, clock, len(within), score).items():
        for size, method in sizes:
            seen = [method(table, clock, within, np.random.default_rng([draw])) for draw in range(draws)]
            students = [one.student for one in seen]
            yield _row(
                table, limit, len(within), name, size, mean(one.seconds for one in seen), table.test[students],
                table.best[students],
            )  # fmt: skip


def ruled(target: Target, clock: Clock, limit: float) -> Iterator[Row]:
    """What rules deliver under a limit on one target."""
    records = {(one.arch_id, one.alpha): one for one in target.named}
    table = target.table
    for pick in target.picks:
        record = records.get((pick.architecture.arch_id, pick.alpha))
        if record is None or pick.limit != limit:
            continue
        macs = np.array([float(record.macs)])
        seconds = clock.training(macs, record.steps) + clock.looking(macs)
        if pick.rule != "trained alone":
            seconds += clock.teacher_step * record.steps
        if pick.rule == "searched":
            seconds += search_seconds(clock, float(record.macs))
        reached, best = np.array([record.test_accuracy]), np.array([max(record.test_accuracies)])
        yield _row(table, limit, 1, pick.rule, "one student", seconds, reached, best)


def _row(
    table: Table, limit: float, students: int, method: str, size: str, seconds: float, reached: Floats, best: Floats
) -> Row:
    low, high = np.percentile(reached, [5, 95])
    return Row(
        target=table.task, limit=limit, students=students, method=method, size=size, seconds=seconds,
        accuracy=float(reached.mean()), low=float(low), high=float(high), best=float(best.mean()),
    )  # fmt: skip


def table_of(study: Study, task: str) -> Table | None:
    """The table of a task's students that were drawn at random; None where there are none."""
    records = [one for one in read_curves(study.curves_file(task)) if one.seed == SEED and one.alpha < 1]
    return Table.of(records, load_card(study.teacher_file(task))) if records else None


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
