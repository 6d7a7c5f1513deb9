"""Our race beside Optuna's successive halving: `python -m experiments.rivals.halving SETTING CLOCK`.

Both train the same draws of candidates on the study's learning curves. Optuna's pruner is asynchronous: students come
one after the other, and one goes on if it is among the better half of those that came as far. The result goes to
`docs/study/SETTING/optuna.json`.
"""

from pathlib import Path
from statistics import mean
from typing import Annotated

import numpy as np
import typer

from dass.files import write_json
from dass.params_file import find_root
from experiments.curves.methods import Delivery, Indices, race
from experiments.curves.replay import table_of
from experiments.curves.setting import SETTINGS, setting_of
from experiments.curves.table import Clock, Table
from experiments.curves.tasks import Study
from flows.infrastructure.exits import exit_with_line

DRAWS = 50
FIRST = 10
SIZES = (8, 16)


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    clock: Annotated[Path, typer.Argument(help="File of experiments.curves.clock.")],
) -> None:
    """Replay both on all targets and limits."""
    chosen, watch = setting_of(setting), Clock.read(clock)
    study = Study(find_root(), chosen)
    rows = []
    for table in filter(None, (table_of(study, task) for task in chosen.targets)):
        for limit in chosen.limits:
            within = table.within(limit * table.teacher_macs)
            for count in (size for size in SIZES if size <= len(within)):
                ours, theirs = [], []
                for draw in range(DRAWS):
                    ours.append(race(table, watch, within, np.random.default_rng([draw]), count=count))
                    theirs.append(optuna_halving(table, watch, within, np.random.default_rng([draw]), count=count))
                rows.append(
                    {
                        "target": table.task,
                        "limit": limit,
                        "count": count,
                        "draws": DRAWS,
                        "race": _summary(table, ours),
                        "optuna": _summary(table, theirs),
                    }
                )
                print(rows[-1], flush=True)
    write_json(study.folder / "optuna.json", rows)


def optuna_halving(
    table: Table, clock: Clock, candidates: Indices, rng: np.random.Generator, *, count: int
) -> Delivery:
    """What `SuccessiveHalvingPruner` delivers: of the students that it lets finish, the best by held-out images."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST, reduction_factor=2)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    seconds = clock.teacher_step * table.total
    finished = []
    for student in rng.choice(candidates, min(count, len(candidates)), replace=False):
        trial = study.ask()
        pruned, before = False, 0
        for reading, steps in enumerate(map(int, table.steps[:-1])):
            if steps != FIRST * 2 ** max(0, round(np.log2(steps / FIRST))):
                continue  # readings between two rungs
            seconds += clock.training(table.macs[[student]], steps - before) + clock.looking(table.macs[[student]])
            before = steps
            trial.report(float(table.losses[student, reading]), steps)
            if pruned := trial.should_prune():
                break
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        seconds += clock.training(table.macs[[student]], table.total - before)
        seconds += clock.looking(table.macs[[student]])
        finished.append(int(student))
        study.tell(trial, float(table.losses[student, -1]))
    best = max(finished, key=lambda one: (table.validation[one], -table.losses[one, -1]))
    return Delivery(best, seconds)


def _summary(table: Table, delivered: list[Delivery]) -> dict[str, float]:
    return {
        "accuracy": mean(float(table.test[one.student]) for one in delivered),
        "seconds": mean(one.seconds for one in delivered),
    }


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
