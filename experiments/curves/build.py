"""Makes a study's teachers and learning curves: `python -m experiments.curves.build SETTING`; goes on after a kill.

The current folder is a project with preset and images: `dass preset use small`, `dass data import` of each. Teachers
and records go to `docs/study/SETTING`, from where the command goes on.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from dass.params_file import find_root
from dass.training.workers import Workers
from experiments.curves.picks import Pick, Rule, pick_job
from experiments.curves.record import append_curves, read_curves
from experiments.curves.setting import SETTINGS, pool, setting_of
from experiments.curves.tasks import Study, distil_job, soft_labels_job, train_teacher_job
from flows.infrastructure.exits import exit_with_line

Job = tuple[Any, ...]  # the arguments of a job


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    workers: Annotated[int, typer.Option(help="Processes, each with one thread.")] = 2,
    checkpoints: Annotated[Path | None, typer.Option(help="Folder of teachers from elsewhere.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Just this target; may be repeated.")] = None,
) -> None:
    """Targets first, a few students of each at a time, so that there is something to say whenever it is stopped."""
    study = Study(find_root(), setting_of(setting), checkpoints)
    targets, sources = study.setting.targets, study.setting.sources
    if only:
        if unknown := set(only) - set(targets):
            raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the targets are {', '.join(targets)}")
        targets, sources = tuple(only), ()
    with Workers(workers) as processes:
        run = _Runs(study, processes)
        run.teachers(targets)
        for count in (8, 12):
            run.students(targets, count)
        run.named(targets)
        run.students(targets, 16)
        run.teachers(sources)
        for part in (1, 2, 3, 4):
            run.students(sources, 4 * part)
            run.students(targets, 16 + 6 * part)
        run.students(sources, None)
        run.students(targets, None)


class _Runs:
    def __init__(self, study: Study, processes: Workers) -> None:
        self._study = study
        self._processes = processes

    def teachers(self, tasks: Iterable[str]) -> None:
        jobs = [(self._study, task) for task in tasks]
        for outcome in self._processes.run(train_teacher_job, jobs):
            _say(f"teacher of {outcome.value.task}: {outcome.value.accuracy:.1f} %")
        for outcome in self._processes.run(soft_labels_job, jobs):
            _say(f"soft labels of {jobs[outcome.index][1]}")

    def students(self, tasks: Iterable[str], count: int | None) -> None:
        jobs: list[Job] = []
        for task in tasks:
            data = self._study.data(task)
            have = {record.arch_id for record in read_curves(self._study.curves_file(task))}
            space = self._study.space(task)
            members = pool(self._study.setting, task, space, data.resolution, len(data.classes))[:count]
            jobs += [(self._study, task, one) for one in members if one.arch_id not in have]
        self._distil(jobs, self._study.curves_file)

    def named(self, tasks: Sequence[str]) -> None:
        """What rules pick under each limit, and the best drawn student under each limit trained on labels alone."""
        for limit in reversed(self._study.setting.limits):
            outcomes = self._processes.run(pick_job, [(self._study, task, limit) for task in tasks])
            self._distil_picks(tasks, [one for outcome in outcomes for one in outcome.value])

    def _distil_picks(self, tasks: Sequence[str], picks: Sequence[Pick]) -> None:
        have = {
            (one.task, one.arch_id, one.alpha) for task in tasks for one in read_curves(self._study.named_file(task))
        }
        by_rule = sorted(picks, key=lambda one: get_args(Rule).index(one.rule))
        missing = dict.fromkeys((one.task, one.architecture, one.alpha) for one in by_rule)
        jobs = [
            (self._study, task, architecture, alpha)
            for task, architecture, alpha in missing
            if (task, architecture.arch_id, alpha) not in have
        ]
        self._distil(jobs, self._study.named_file)

    def _distil(self, jobs: Sequence[Job], file: Callable[[str], Path]) -> None:
        for outcome in self._processes.run(distil_job, jobs):
            if outcome.died:
                _say(f"a student of {jobs[outcome.index][1]} was lost: a worker {outcome.died}")
                continue
            record = outcome.value
            append_curves(file(record.task), [record])
            _say(f"{record.task} {record.macs / 1e6:.1f}M {record.test_accuracy:.1f} % {record.cpu_seconds:.0f} s")


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
