"""Predicts students' accuracies, with intervals, from whatever proxies have been paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dass.errors import UsageError
from dass.fidelity import FIDELITIES, NOISE, ONE_BATCH, SIZE, Fidelity
from dass.multi_fidelity.features import anchored, by_thirds
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from dass.proxies.collector import Collector, Progress
from dass.proxies.registry import proxies_at
from dass.proxies.table import Column, ProxyTable, joined
from dass.space.architecture import Architecture
from dass.tasks.task import Task

Floats = NDArray[np.float64]
# What an untrained student says is joined with what its size and shape say: on source tasks left out that ranks the
# worst of them better. Short trainings say enough alone. Chosen there, see docs/multi_fidelity.md.
MEMBERS = {NOISE: (SIZE, NOISE), ONE_BATCH: (SIZE, ONE_BATCH)}


@dataclass(frozen=True, eq=False)
class MultiFidelityTask:
    """What a task gives the multi-fidelity predictor to learn from.

    Attributes:
        proxies: proxies of the task's students.
        accuracies: [n] percent of the test images, really reached.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        classes: number of classes of the task.
        test_images: number of test images that an accuracy is over.
    """

    proxies: ProxyTable
    accuracies: Floats
    teacher_accuracy: float
    classes: int
    test_images: int

    @classmethod
    def of(cls, task: Task, proxies: ProxyTable) -> "MultiFidelityTask":
        """A task with the proxies of its known students, in their order."""
        accuracies = np.array(task.accuracies)
        return cls(proxies, accuracies, task.teacher_accuracy, len(task.data.classes), task.test_images)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Accuracies as they are expected to be measured; NaN for a student whose proxies are not complete.

    Attributes:
        mean: [n] percent: the median of what is expected.
        low: lower ends of the intervals, [n], in percent.
        high: upper ends of the intervals, [n], in percent.
    """

    mean: Floats
    low: Floats
    high: Floats


class MultiFidelityPredictor:
    """A Gaussian process for each fidelity: for each set of proxies that can have been paid for.

    Accuracies are log-odds relative to the teacher's (the guide), and proxies lie on the scale of
    `dass.multi_fidelity.features`, so neither a task's level nor its number of classes has to be learned.

    How far students of a dataset lie from their teacher on the whole is taken as a draw from N(0, tau^2), with tau^2
    the square of the mean over the source tasks. That is a heuristic: all source tasks are cut from one dataset, so
    there is one draw, which tells neither the center nor the spread of others. It makes intervals on other datasets
    wide and moves no student past another.

    Intervals are those of Student's t with one degree of freedom less than source tasks: variances are found on these
    few tasks, and intervals that take them as known are too narrow (docs/study/coverage.json).

    Attributes:
        processes_: by fidelity, the cheapest first, after `fit`.
    """

    processes_: dict[Fidelity, TaskProcess]

    def __init__(self, *, alpha: float, temperature: float) -> None:
        """Stores the settings.

        Args:
            alpha: weight of the labels in the distillation loss.
            temperature: temperature T of the distillation loss, above 0.
        """
        self.alpha = alpha
        self.temperature = temperature

    def fit(self, tasks: Sequence[MultiFidelityTask], fidelities: Sequence[Fidelity] = FIDELITIES) -> Self:
        """Learns from source tasks.

        Raises:
            UsageError: fewer than two tasks, or a fidelity's proxies are missing in one.
        """
        if len(tasks) < 2:
            raise UsageError(f"a multi-fidelity predictor learns from two tasks or more, found {len(tasks)}")
        needed = {member for fidelity in fidelities for member in MEMBERS.get(fidelity, (fidelity,))}
        self.processes_ = {fidelity: self._fit_one(tasks, fidelity) for fidelity in FIDELITIES if fidelity in needed}
        return self

    def predict(
        self,
        proxies: ProxyTable,
        fidelity: Fidelity,
        *,
        teacher_accuracy: float,
        classes: int,
        test_images: int,
        confidence: float = 80.0,
        source_dataset: bool = False,
    ) -> Prediction:
        """Predicts what students will be measured to reach.

        Args:
            proxies: of the students; those of higher fidelities are not looked at.
            fidelity: costliest fidelity whose proxies are used.
            teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
            classes: number of classes of the task.
            test_images: number of test images that the accuracy will be measured on.
            confidence: confidence of the interval, in percent.
            source_dataset: whether the task is cut from the dataset of the source tasks.

        Raises:
            UsageError: the fidelity was not learned, or its proxies are missing.
        """
        from scipy.special import expit

        members = self.members(fidelity)
        mean, variance = self.relative(
            {one: self._features(proxies, one, classes)[0] for one in members}, source_dataset=source_dataset
        )
        middle = mean + _odds(np.array([teacher_accuracy]), test_images)
        share = expit(middle)
        spread = self.spread(confidence) * np.sqrt(variance + _sampling(share, test_images))
        return Prediction(100 * share, 100 * expit(middle - spread), 100 * expit(middle + spread))

    def members(self, fidelity: Fidelity) -> tuple[Fidelity, ...]:
        """The processes that predict together at a fidelity.

        Raises:
            UsageError: the fidelity was not learned.
        """
        if fidelity not in self.processes_:
            keys = ", ".join(one.key for one in self.processes_)
            raise UsageError(f"the multi-fidelity predictor has not learned {fidelity.key}: it knows {keys}")
        return MEMBERS.get(fidelity, (fidelity,))

    def relative(self, features: Mapping[Fidelity, Floats], *, source_dataset: bool) -> tuple[Floats, Floats]:
        """Log-odds of the accuracies of students of a task not seen, relative to their teacher's.

        Args:
            features: [n, f] of each process that predicts.
            source_dataset: as in `predict`.

        Returns:
            Mean and variance, [n] each, without the chance of the test images.
        """
        mean, variance = _pooled(
            *zip(*(self.processes_[one].predict(its) for one, its in features.items()), strict=True)
        )
        return mean, variance if source_dataset else variance + self._between_datasets()

    def spread(self, confidence: float) -> float:
        """Half the width of an interval in standard deviations.

        Args:
            confidence: confidence of the interval, in percent (0..100).
        """
        from scipy.stats import t

        return float(t.ppf(0.5 + confidence / 200, self._tasks() - 1))

    def _tasks(self) -> int:
        """Source tasks that were learned from."""
        return len(np.unique(next(iter(self.processes_.values())).sample_.tasks))

    def _fit_one(self, tasks: Sequence[MultiFidelityTask], fidelity: Fidelity) -> TaskProcess:
        parts = [self._features(task.proxies, fidelity, task.classes) for task in tasks]
        targets = [
            _odds(task.accuracies, task.test_images) - _odds(np.array([task.teacher_accuracy]), task.test_images)
            for task in tasks
        ]
        features = np.concatenate([features for features, _ in parts])
        complete = np.isfinite(features).all(1)
        sample = Sample(
            features[complete],
            np.repeat(np.arange(len(tasks)), [len(task.accuracies) for task in tasks])[complete],
            np.concatenate(targets)[complete],
            np.concatenate([_sampling(task.accuracies / 100, task.test_images) for task in tasks])[complete],
        )
        return TaskProcess(parts[0][1]).fit(sample)

    def _between_datasets(self) -> float:
        """tau^2: the square of how far students lie from their teacher, as the mean over the source tasks."""
        sample = next(iter(self.processes_.values())).sample_
        return float(np.mean([sample.targets[sample.tasks == task].mean() for task in np.unique(sample.tasks)])) ** 2

    def _features(self, proxies: ProxyTable, fidelity: Fidelity, classes: int) -> tuple[Floats, list[int]]:
        """Features [n, f] of a fidelity, and the fidelity at which each of them is first seen."""
        proxies = by_thirds(proxies)
        part = proxies.select([index for index, column in enumerate(proxies.columns) if _used(column, fidelity)])
        groups = [column.fidelity.level for column in part.columns]
        if max(groups, default=-1) < fidelity.level:
            raise UsageError(f"proxies of fidelity {fidelity.key} are missing: found {', '.join(proxies.names)}")
        return anchored(part, classes, alpha=self.alpha, temperature=self.temperature), groups


def gather(
    collector: Collector, architectures: Sequence[Architecture], fidelity: Fidelity, progress: Progress | None = None
) -> ProxyTable:
    """Collects all proxies up to a fidelity.

    Args:
        collector: collector of the task's proxies.
        architectures: architectures of the students.
        fidelity: costliest fidelity that is collected.
        progress: called with students done and in all, by its own measurement where it takes long.
    """
    return joined(
        [
            collector.measure(proxy, architectures, progress if proxy.fidelity == fidelity else None)
            for proxy in proxies_at(fidelity)
        ]
    )


def _pooled(means: Sequence[Floats], variances: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean and variance [n] of a mixture of members' predictions, each weighted by its precision."""
    mean, variance = np.array(means), np.array(variances)
    weights = 1 / variance / (1 / variance).sum(0)
    middle = (weights * mean).sum(0)
    return middle, (weights * (variance + (mean - middle) ** 2)).sum(0)


def _used(column: Column, fidelity: Fidelity) -> bool:
    """Whether a fidelity looks at a column: of trainings at its own alone, which tells all that shorter ones do."""
    cheaper = column.fidelity.kind != "steps" and column.fidelity.level < fidelity.level
    return column.fidelity == fidelity or cheaper


def _odds(accuracies: Floats, images: int) -> Floats:
    """Log-odds of accuracies in percent; half an image more of either kind keeps them finite."""
    from scipy.special import logit

    right = accuracies / 100 * images
    return logit((right + 0.5) / (images + 1))


def _sampling(share: Floats, images: int) -> Floats:
    """Variance of log-odds that comes from the number of test images."""
    share = np.clip(share, 0.5 / images, 1 - 0.5 / images)
    return 1 / (images * share * (1 - share))
