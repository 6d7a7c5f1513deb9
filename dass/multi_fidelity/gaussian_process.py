"""A small Gaussian process over students of several tasks (Rasmussen and Williams 2006, chapters 2 and 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dass.errors import DassError

Floats = NDArray[np.float64]
BOUNDS = (-12.0, 6.0)  # of the logarithms of variances
JITTER = 1e-8


@dataclass(frozen=True, eq=False)
class Sample:
    """Students of several tasks.

    Attributes:
        features: features of the n students, [n, f].
        tasks: [n], the number of each student's task.
        targets: [n].
        noise: [n], variance of each target that is known beforehand.
    """

    features: Floats
    tasks: NDArray[np.int64]
    targets: Floats
    noise: Floats


class TaskProcess:
    """Targets as a linear function of features, a smooth one beside it, and an offset and a slope of each task's own.

    The covariance of two students is

        bias + sum over groups g of linear_g <x_g, x'_g> + smooth exp(-|x - x'|^2 / 2 l^2)
             + [same task] (offset + slope <x, x'>)

    with l^2 the number of features, plus noise. The variances are those with the highest marginal likelihood, under
    a weak prior that keeps them finite. What all students of a task share goes into its offset, so the function is
    learned from differences between students of one task: their order. A new task has an offset and a slope as
    unknown as those of the tasks seen, and predictions are as much wider.

    Attributes:
        variances_: variance of each term, after `fit`.
        sample_: sample that it has learned from, after `fit`.
    """

    sample_: Sample
    variances_: dict[str, float]

    def __init__(self, groups: Sequence[int]) -> None:
        """Stores the settings.

        Args:
            groups: [f], the group of each feature; features of a group share a variance.
        """
        self.groups = tuple(groups)

    def fit(self, sample: Sample) -> "TaskProcess":
        """Finds the variances and keeps what prediction needs.

        Raises:
            DassError: a feature or a target is not finite, or no variances fit.
        """
        from scipy.optimize import minimize

        if not all(np.isfinite(part).all() for part in (sample.features, sample.targets, sample.noise)):
            raise DassError("proxies and accuracies must be finite to learn from")
        features, tasks, targets, noise = self._take(sample)
        start = self._start(sample)

        def objective(logs: Floats) -> tuple[float, Floats]:
            values = torch.tensor(logs, dtype=torch.float64, requires_grad=True)
            covariance = self._covariance(values.exp(), features, features, tasks, tasks)
            covariance = covariance + torch.diag(values[-1].exp() + noise + JITTER)
            factor, failed = torch.linalg.cholesky_ex(covariance)
            if failed:
                return 1e12, np.zeros_like(logs)
            solved = torch.cholesky_solve(targets[:, None], factor)[:, 0]
            loss = 0.5 * targets @ solved + factor.diagonal().log().sum()
            loss = loss + 0.5 * ((values - torch.from_numpy(start)) / 3).square().sum()
            loss.backward()
            assert values.grad is not None
            return float(loss.detach()), values.grad.numpy()

        optimum = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(start))
        if not np.isfinite(optimum.fun) or optimum.fun >= 1e12:
            raise DassError("no variances explain the students' accuracies: are there at least two tasks?")
        return self.condition(sample, dict(zip(self._names(), np.exp(optimum.x).tolist(), strict=True)))

    def condition(self, sample: Sample, variances: dict[str, float]) -> "TaskProcess":
        """Takes variances found before, and keeps what prediction needs.

        Args:
            sample: sample that the variances were found on.
            variances: variance of each term, as in `variances_`.

        Raises:
            KeyError: a variance is missing.
        """
        self.sample_, self.variances_ = sample, variances
        self._values = torch.tensor([variances[name] for name in self._names()], dtype=torch.float64)
        self._features, self._tasks, targets, noise = self._take(sample)
        covariance = self._covariance(self._values, self._features, self._features, self._tasks, self._tasks)
        self._factor = torch.linalg.cholesky(covariance + torch.diag(self._values[-1] + noise + JITTER))
        self._solved = torch.cholesky_solve(targets[:, None], self._factor)[:, 0]
        return self

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of the targets of students of a task not seen, without what noise is known beforehand.

        Args:
            features: features of the n students, [n, f].

        Returns:
            [n] and [n].
        """
        new = self._tensor(features)
        task = torch.full((len(new),), -1)
        across = self._covariance(self._values, new, self._features, task, self._tasks)
        mean = across @ self._solved + self._center
        own = self._prior(new)
        explained = torch.linalg.solve_triangular(self._factor, across.T, upper=False).square().sum(0)
        return mean.numpy(), (own - explained + self._values[-1]).clamp_min(JITTER).numpy()

    def _take(self, sample: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Standardised features, tasks, centered targets and their noise, as tensors; keeps how that is done."""
        self._mean, self._scale = sample.features.mean(0), sample.features.std(0)
        self._scale[self._scale < 1e-9] = 1.0
        self._center = float(sample.targets.mean())
        targets = torch.from_numpy(sample.targets - self._center)
        return self._tensor(sample.features), torch.from_numpy(sample.tasks), targets, torch.from_numpy(sample.noise)

    def _prior(self, features: Tensor) -> Tensor:
        """Variances of students of a task not seen before anything is known of them, [n]."""
        linear, (bias, smooth, offset, slope) = self._split(self._values)
        squares = features.square()
        return bias + squares @ linear + smooth + offset + slope * squares.sum(1)

    def _split(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The linear term's variance of each feature, and the four terms after it."""
        groups = sorted(set(self.groups))
        return values[[groups.index(group) for group in self.groups]], values[len(groups) : len(groups) + 4]

    def _tensor(self, features: Floats) -> Tensor:
        return torch.from_numpy((features - self._mean) / self._scale)

    def _names(self) -> list[str]:
        return [
            *(f"linear_{group}" for group in sorted(set(self.groups))),
            "bias",
            "smooth",
            "offset",
            "slope",
            "noise",
        ]

    def _start(self, sample: Sample) -> Floats:
        variance = max(float(sample.targets.var()), 1e-6)
        linear = [np.log(variance / self.groups.count(group)) for group in sorted(set(self.groups))]
        rest = [variance, variance / 10, variance / 10, variance / 10 / len(self.groups), variance / 10]
        return np.array([*linear, *np.log(rest)])

    def _covariance(self, values: Tensor, first: Tensor, second: Tensor, tasks: Tensor, others: Tensor) -> Tensor:
        weights, (bias, smooth, offset, slope) = self._split(values)
        together = (tasks[:, None] == others[None, :]).double()
        distance = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").square()
        whole = bias + (first * weights) @ second.T + smooth * torch.exp(-distance / (2 * first.shape[1]))
        return whole + together * (offset + slope * (first @ second.T))
