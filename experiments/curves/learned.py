"""A predictor learned from other tasks' learning curves, as the score of a replayed method."""

from collections.abc import Sequence

import numpy as np

from dass.multi_fidelity.features import by_thirds
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from dass.proxies import size
from dass.proxies.table import ProxyTable
from experiments.curves.methods import Indices
from experiments.curves.table import Floats, Table

HALF = 0.5


class LearnedScore:
    """What a student is expected to come to, from its size, its shape and how it does after some steps.

    For each reading a Gaussian process over the source tasks' students: the log-odds of the final accuracy, relative
    to the mean of the task. Features name no family: sizes relative to the largest student, depth and width by thirds
    of the teacher's depth, and losses relative to that of a uniform guess.

    Args:
        sources: tables of the source tasks.
    """

    def __init__(self, sources: Sequence[Table]) -> None:
        self._sources = sources
        self._processes: dict[int, TaskProcess] = {}

    def __call__(self, table: Table, students: Indices, reading: int) -> Floats:
        """As `experiments.curves.methods.Score`."""
        steps = int(table.steps[reading])
        if steps not in self._processes:
            self._processes[steps] = self._learn(steps)
        mean, _ = self._processes[steps].predict(self._features(table, reading)[students])
        return mean

    def _learn(self, steps: int) -> TaskProcess:
        features = [self._features(table, table.reading(steps)) for table in self._sources]
        odds = [np.log((table.test + HALF) / (100 - table.test + HALF)) for table in self._sources]
        sample = Sample(
            np.concatenate(features),
            np.repeat(np.arange(len(features)), [len(part) for part in features]),
            np.concatenate([part - part.mean() for part in odds]),
            np.full(sum(map(len, features)), 1e-4),
        )
        shape = features[0].shape[1] - 3
        return TaskProcess([0] * shape + [1] * 3).fit(sample)

    def _features(self, table: Table, reading: int) -> Floats:
        teacher = table.teacher
        uniform = np.log(len(teacher.classes))
        full = [stage[-1] for stage in teacher.architecture.widths]
        members = [*table.architectures, teacher.architecture]
        rows = size.size_rows(members, teacher.resolution, len(teacher.classes), full)
        shape = by_thirds(ProxyTable(size.Size().columns(len(full)), rows[:-1], rows[-1]))
        seen = np.stack(
            [
                table.losses[:, reading] / uniform,
                table.accuracies[:, reading] / 100,
                table.kd_losses[:, reading] / uniform,
            ],
            axis=1,
        )
        return np.concatenate([shape.values - shape.teacher, seen], axis=1)
