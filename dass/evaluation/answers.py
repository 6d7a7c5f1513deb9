"""What a classifier answered for test images: accuracy with its interval, classes, confusions and sure mistakes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.96  # of a 95 % interval


@dataclass(frozen=True)
class ClassResult:
    """How one class fared.

    Attributes:
        name: name of the class.
        images: test images of the task.
        right: percent of them that were answered rightly.
        precision: percent of the answers with its name that were right; None where there were none.
        confused: the name that its wrong images were given most often; empty where none was wrong.
    """

    name: str
    images: int
    right: float
    precision: float | None
    confused: str


def share_interval(right: int, count: int, z: float = Z) -> tuple[float, float]:
    """Ends of an accuracy's interval in percent (Wilson's, which holds for few images too).

    Args:
        right: number of right answers.
        count: number of all answers, at least 1.
        z: half the interval's width in standard deviations of a normal distribution; by default of a 95 % interval.
    """
    share = right / count
    middle = share + z**2 / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = ((middle + sign * reach) / (1 + z**2 / count) for sign in (-1, 1))
    return 100 * max(0.0, low), 100 * min(1.0, high)


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities of test images, and the truth.

    Attributes:
        classes: class names, in label order.
        probabilities: float64 [n, classes], n at least 1.
        labels: class of each image, int64 [n].
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, [n]."""
        return self.probabilities.argmax(axis=1)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which answers are right, [n]."""
        return self.predicted == self.labels

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of the accuracy, in percent (Wilson's, which holds for few images too)."""
        return share_interval(int(self.correct.sum()), len(self.labels))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """[truth, answer]: how many images."""
        size = len(self.classes)
        return np.bincount(self.labels * size + self.predicted, minlength=size * size).reshape(size, size)

    def per_class(self) -> tuple[ClassResult, ...]:
        """Every class that has test images, the worst first."""
        counts = self.confusion
        wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
        results = [
            ClassResult(
                name,
                int(counts[label].sum()),
                100 * counts[label, label] / counts[label].sum(),
                100 * counts[label, label] / counts[:, label].sum() if counts[:, label].any() else None,
                self.classes[wrong[label].argmax()] if wrong[label].any() else "",
            )
            for label, name in enumerate(self.classes)
            if counts[label].any()
        ]
        return tuple(sorted(results, key=lambda result: result.right))

    def surest_mistakes(self, most: int) -> NDArray[np.int64]:
        """Indices of wrong answers, those of the highest probability first."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")][:most]
