"""DaSS, its ablations, and the gradient-based meta-learners it builds on: one predictor with parts left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dass.baselines.ranker import Ranker, Settings, not_fitted
from dass.config import Predictor
from dass.errors import UsageError
from dass.predictor.meta import MetaLearner, Variant
from dass.predictor.meta_run import Validation
from dass.predictor.scorer import MetaPredictor, score_candidates
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

# Tables 2 and 3: MAML and Meta-SGD see the architecture code alone, and adapt to the same teacher-accuracy pair.
VARIANTS = {
    "dass": Variant(),
    "dass_unguided": Variant(inner_steps=0),
    "maml": Variant(use_student=False, use_teacher=False, fixed_rates=True),
    "meta_sgd": Variant(use_student=False, use_teacher=False),
    "dass_without_student": Variant(use_student=False),
    "dass_without_teacher": Variant(use_teacher=False),
    "dass_without_code": Variant(use_code=False),
    "dass_fixed_rates": Variant(fixed_rates=True),
    "dass_first_order": Variant(first_order=True),
    "dass_2_steps": Variant(inner_steps=2),
    "dass_5_steps": Variant(inner_steps=5),
}


class MetaPredictorRanker(Ranker):
    """Meta-learns one variant (Eq. 7) and scores students after the guide (Eq. 6).

    MAML (Finn et al., 2017) learns the start alone, Meta-SGD (Li et al., 2017) a rate for every weight beside it.

    Attributes:
        predictor_: what was meta-learned, after `fit`.
        best_: where in training it was taken, after `fit`.
    """

    predictor_: MetaPredictor | None = None
    best_: Validation | None = None

    def __init__(
        self,
        settings: Predictor,
        variant: str = "dass",
        *,
        shots: int | None = None,
        seed: int = 0,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
        checkpoint: Path | None = None,
    ) -> None:
        """Stores the settings.

        Args:
            settings: settings of the meta-training, and statistics of the batch norms that give embeddings.
            variant: a key of `VARIANTS`.
            shots: as in `MetaLearner`, and so are seed, precision and device.
            seed: random seed of initial weights and queries.
            precision: number format of embeddings and encoders.
            device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.
            checkpoint: a file to go on from after a stop.
        """
        self.settings = settings
        self.variant = variant
        self.shots = shots
        self.seed = seed
        self.precision = precision
        self.device = device
        self.checkpoint = checkpoint

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(
            settings.predictor, **options, seed=settings.seed, device=settings.device, checkpoint=settings.checkpoint
        )

    def arguments(self) -> dict[str, Any]:
        """See `Ranker.arguments`: each of the settings by its own name."""
        own = super().arguments()
        return own.pop("settings").model_dump() | own

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Meta-trains on the tasks' embeddings.

        Raises:
            UsageError: the variant is unknown, or what `MetaLearner.fit` refuses.
        """
        if self.variant not in VARIANTS:
            raise UsageError(f"unknown variant {self.variant!r}: one of {', '.join(VARIANTS)}")
        learner = MetaLearner(
            self.settings, VARIANTS[self.variant], shots=self.shots, seed=self.seed, precision=self.precision,
            device=self.device,
        )  # fmt: skip
        tasks = [[task.tensors(self.settings.statistics) for task in tasks] for tasks in (training, validation)]
        learner.fit(*tasks, checkpoint=self.checkpoint)
        self.predictor_, self.best_ = learner.result_, learner.best_
        return self

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Predicted accuracies in percent."""
        if self.predictor_ is None:
            raise not_fitted(self)
        tensors = task.tensors(self.predictor_.statistics)
        adapted = self.predictor_.adapt(tensors.teacher_embedding, tensors.teacher_code, task.teacher_accuracy)
        return score_candidates(adapted, task.teacher, architectures, task.space, task.noise, dtype=task.dtype)
