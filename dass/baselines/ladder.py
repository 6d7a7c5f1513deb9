"""The ladder (`dass.ladder`) as a method of the comparison, one for each rung: what each kind of evidence adds."""

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from dass.baselines.ranker import Ranker, RankingTask, not_fitted
from dass.config import DistillationRecipe
from dass.device import resolve_device
from dass.evidence.collector import Collector
from dass.evidence.evidence import Evidence
from dass.evidence.store import EvidenceStore
from dass.ladder.ladder import Ladder, LadderTask, Prediction, Rung, gather
from dass.space.architecture import Architecture
from dass.training.workers import Workers, usual_count


def collector_of(
    task: RankingTask,
    recipe: DistillationRecipe,
    *,
    workers: Workers,
    store: EvidenceStore,
    device: torch.device,
    seed: int,
) -> Collector:
    """A collector of evidence about a task's students; arguments as in `Collector`."""
    teacher = copy.deepcopy(task.teacher).cpu()  # it may be on a GPU, and must stay there
    return Collector(teacher, task.data, task.noise, recipe, workers=workers, store=store, device=device, seed=seed)


def ladder_task(task: RankingTask, evidence: Evidence) -> LadderTask:
    """A task with evidence about its known students, for a ladder to learn from."""
    return LadderTask(
        evidence, np.array(task.accuracies), task.teacher_accuracy, len(task.data.classes), task.test_images
    )


class LadderRanker(Ranker):
    """Predicts from the evidence up to a rung, which it collects.

    Attributes:
        ladder_: what was learned, after `fit`.
        seconds_: what an architecture took, after `predict`: its evidence, whenever that was made, and the prediction.
    """

    ladder_: Ladder | None = None
    seconds_: float = 0.0

    def __init__(
        self,
        rung: Rung,
        recipe: DistillationRecipe,
        *,
        seed: int = 0,
        device: str = "auto",
        store: Path | None = None,
        workers: int | None = None,
    ) -> None:
        """Stores the settings.

        Args:
            rung: up to which evidence is collected.
            recipe: of the distillation to be predicted.
            seed: of the batches that evidence is taken on.
            device: where evidence is taken: `auto`, `cpu` or `cuda`.
            store: a folder where evidence is kept; None for nowhere.
            workers: processes, 0 for this one; None for one per core, or one on a GPU.
        """
        self.rung = rung
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.store = store
        self.workers = workers

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Learns from the evidence and the accuracies of all source tasks: nothing is left for validation to choose."""
        tasks = [*training, *validation]
        with self._workers() as workers:
            learned = [
                ladder_task(task, gather(self._collector(task, workers), task.architectures, self.rung))
                for task in tasks
            ]
        self.ladder_ = Ladder(alpha=self.recipe.alpha, temperature=self.recipe.temperature).fit(learned, [self.rung])
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
        if self.ladder_ is None:
            raise not_fitted(self)
        with self._workers() as workers:
            evidence = gather(self._collector(task, workers), architectures, self.rung)
        started = time.perf_counter()
        made = self.ladder_.predict(
            evidence, self.rung, guide=task.teacher_accuracy, classes=len(task.data.classes),
            test_images=task.test_images, confidence=confidence,
        )  # fmt: skip
        self.seconds_ = evidence.seconds + (time.perf_counter() - started) / max(1, len(architectures))
        return made

    def _collector(self, task: RankingTask, workers: Workers) -> Collector:
        return collector_of(
            task, self.recipe, workers=workers, store=EvidenceStore(self.store), device=self._place, seed=self.seed
        )

    def _workers(self) -> Workers:
        return Workers(usual_count(self._place) if self.workers is None else self.workers)

    @property
    def _place(self) -> torch.device:
        return resolve_device(self.device)
