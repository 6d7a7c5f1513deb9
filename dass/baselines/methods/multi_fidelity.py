"""The multi-fidelity predictor as methods of the comparison, one for each fidelity: what each kind of proxy adds."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from dass.baselines.ranker import Ranker, Settings, not_fitted
from dass.config import DistillationRecipe
from dass.device import resolve_device
from dass.fidelity import Fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask, Prediction, gather
from dass.proxies.collector import Collector
from dass.proxies.store import ProxyStore
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.workers import Workers, usual_count


class MultiFidelityRanker(Ranker):
    """Predicts from the proxies up to a fidelity, which it collects.

    Attributes:
        predictor_: what was learned, after `fit`.
        seconds_: what an architecture took, after `predict`: its proxies, whenever that was made, and the prediction.
    """

    predictor_: MultiFidelityPredictor | None = None
    seconds_: float = 0.0

    def __init__(
        self,
        fidelity: Fidelity,
        recipe: DistillationRecipe,
        *,
        seed: int = 0,
        device: str = "auto",
        store: Path | None = None,
        workers: int | None = None,
    ) -> None:
        """Stores the settings.

        Args:
            fidelity: up to which proxies are collected.
            recipe: recipe of the distillation to be predicted.
            seed: random seed of the batches that proxies are taken on.
            device: where proxies are taken: `auto`, `cpu` or `cuda`.
            store: a folder where proxies are kept; None for nowhere.
            workers: processes, 0 for this one; None for one per core, or one on a GPU.
        """
        self.fidelity = fidelity
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.store = store
        self.workers = workers

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(
            **options,
            recipe=settings.distillation,
            seed=settings.seed,
            device=settings.device,
            store=settings.proxies,
            workers=settings.workers,
        )

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Learns from the proxies and the accuracies of all source tasks: nothing is left for validation to choose."""
        tasks = [*training, *validation]
        with self._workers() as workers:
            learned = [
                MultiFidelityTask.of(task, gather(self._collector(task, workers), task.architectures, self.fidelity))
                for task in tasks
            ]
        self.predictor_ = MultiFidelityPredictor(alpha=self.recipe.alpha, temperature=self.recipe.temperature).fit(
            learned, [self.fidelity]
        )
        return self

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Predicted accuracies in percent; NaN where a measurement broke down.

        Raises:
            UsageError: not fitted.
            DassError: workers died while they measured.
        """
        return self.predict(task, architectures).mean

    def predict(self, task: RankingTask, architectures: Sequence[Architecture], confidence: float = 80.0) -> Prediction:
        """Predicted accuracies with their intervals.

        Raises:
            UsageError: not fitted.
            DassError: workers died while they measured.
        """
        if self.predictor_ is None:
            raise not_fitted(self)
        with self._workers() as workers:
            proxies = gather(self._collector(task, workers), architectures, self.fidelity)
        started = time.perf_counter()
        made = self.predictor_.predict(
            proxies, self.fidelity, teacher_accuracy=task.teacher_accuracy, classes=len(task.data.classes),
            test_images=task.test_images, confidence=confidence,
        )  # fmt: skip
        self.seconds_ = proxies.seconds + (time.perf_counter() - started) / max(1, len(architectures))
        return made

    def _collector(self, task: RankingTask, workers: Workers) -> Collector:
        return Collector.of(
            task, self.recipe, workers=workers, store=ProxyStore(self.store), device=self._place, seed=self.seed
        )

    def _workers(self) -> Workers:
        return Workers(usual_count(self._place) if self.workers is None else self.workers)

    @property
    def _place(self) -> torch.device:
        return resolve_device(self.device)
