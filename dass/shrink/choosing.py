"""Which students `dass shrink` distils, and which of them it chooses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dass.errors import UsageError
from dass.evaluation.answers import share_interval
from dass.files import read_json
from dass.search.fitting import Fitting
from dass.search.select import MEASURED
from dass.space.architecture import Architecture
from dass.students.trained import TrainedStudent


@dataclass(frozen=True)
class Distilled:
    """One of the students that were distilled.

    Attributes:
        student: what it is; accuracies are those of the held-out training images.
        path: path of the student's weights.
    """

    student: TrainedStudent
    path: Path

    def interval(self, images: int) -> tuple[float, float]:
        """Ends of the 95 % interval of its accuracy, in percent.

        Args:
            images: number of held-out images.
        """
        return share_interval(round(self.student.final_accuracy / 100 * images), images)


@dataclass(frozen=True)
class Plan:
    """What is distilled.

    Attributes:
        students: largest number of students.
        epochs: number of epochs of each.
        names: their arch_ids; more than `students` where the smallest is looked for that is accurate enough.
        latencies: milliseconds by arch_id as measured, where there is a limit.
    """

    students: int
    epochs: int
    names: tuple[str, ...]
    latencies: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Plan | None":
        """A plan of a file; None for one of an earlier version, which is made again."""
        value: Any = read_json(path)
        try:
            return cls(value["students"], value["epochs"], tuple(value["names"]), value["latencies"])
        except (KeyError, TypeError):
            return None


@dataclass(frozen=True)
class FloorCheck:
    """How a student stands to the accuracy that was asked for.

    Attributes:
        floor: percent that was asked for.
        predicted: percent of the held-out training images.
        probability: that a student of which so many held-out images are right reaches the floor or more, 0..1.
        asked: the probability that was asked for.
    """

    floor: float
    predicted: float
    probability: float
    asked: float

    @property
    def likely(self) -> bool:
        """Whether it reaches the floor with the probability that was asked for."""
        return self.probability >= self.asked

    @classmethod
    def of(cls, student: TrainedStudent, floor: float, images: int, asked: float) -> "FloorCheck":
        """What held-out images say, by Jeffreys' rule for shares.

        Args:
            student: its accuracy is that of the held-out images.
            floor: percent.
            images: number of held-out images.
            asked: the probability that was asked for.
        """
        from scipy.stats import beta

        right = round(student.final_accuracy / 100 * images)
        probability = float(beta.sf(min(max(floor, 0.0), 100.0) / 100, right + 0.5, images - right + 0.5))
        return cls(floor, student.final_accuracy, probability, asked)


def in_time(
    architectures: Sequence[Architecture], count: int, fitting: Fitting | None
) -> tuple[list[Architecture], dict[str, float]]:
    """The first that keep a limit on latency when they are measured.

    Args:
        architectures: in the order in which they are wanted.
        count: largest number that is wanted.
        fitting: measures; None where there is no limit.

    Returns:
        They, and their milliseconds by arch_id.

    Raises:
        UsageError: all that were measured are too slow.
    """
    if fitting is None:
        return list(architectures[:count]), {}
    trained: list[Architecture] = []
    latencies: dict[str, float] = {}
    for architecture in architectures[:MEASURED]:
        latency = fitting.latency(architecture)
        if len(trained) < count and fitting.holds(latency):
            trained.append(architecture)
            latencies |= {} if latency is None else {architecture.arch_id: latency}
        if len(trained) == count:
            break
    if not trained:
        raise UsageError("every student of the search is slower than the limit when measured: widen --max-latency")
    return trained, latencies


def best_first(distilled: Sequence[Distilled]) -> list[Distilled]:
    """By accuracy on the held-out images, then by loss there, then by cost."""
    return sorted(distilled, key=_place)


def smallest_keeping(
    architectures: Sequence[Architecture],
    tries: int,
    keeps: Callable[[TrainedStudent], bool],
    distil: Callable[[Architecture], Distilled],
) -> list[Distilled]:
    """Looks for the smallest student that is accurate enough, by halving the range of sizes.

    Args:
        architectures: by ascending cost; accuracy is taken to rise with it.
        tries: students that are distilled at most, at least 1.
        keeps: function that tells whether a student is accurate enough.
        distil: function that distils an architecture.

    Returns:
        Those that were distilled: the cheapest that is accurate enough first, else the most accurate.
    """
    low, high = 0, len(architectures) - 1
    done: list[Distilled] = []
    while low <= high and len(done) < tries:
        middle = (low + high) // 2 if tries > 1 else high  # a single try is for the likeliest
        done.append(distil(architectures[middle]))
        if keeps(done[-1].student):
            high = middle - 1
        else:
            low = middle + 1
    return sorted(done, key=lambda one: (0, one.student.macs) if keeps(one.student) else (1, *_place(one)))


def _place(one: Distilled) -> tuple[float, float, int]:
    return -one.student.final_accuracy, one.student.final_loss, one.student.macs
