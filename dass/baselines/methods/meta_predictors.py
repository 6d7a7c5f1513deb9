"""DaSS, its ablations, and the gradient-based meta-learners it builds on: one predictor with parts left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dass.baselines.ranker import Ranker, Settings, not_fitted
from dass.config import Statistics
from dass.errors import UsageError
from dass.predictor.meta import MetaLearner
from dass.predictor.meta_run import Validation
from dass.predictor.scorer import MetaPredictor, score_candidates
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask


@dataclass(frozen=True)
class Variant:
    """What a method leaves out of DaSS.

    Attributes:
        inner_steps: steps of the guide; None for as many as params.yaml says.
        use_student: the student's functional embedding is an input.
        use_teacher: the teacher's functional embedding is an input.
        use_code: the architecture code is an input.
        first_order: no second derivatives in the outer gradient.
        fixed_rates: the inner rates stay as they start.
    """

    inner_steps: int | None = None
    use_student: bool = True
    use_teacher: bool = True
    use_code: bool = True
    first_order: bool = False
    fixed_rates: bool = False


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
        variant: str = "dass",
        *,
        episodes: int,
        query: int,
        inner_steps: int = 1,
        inner_rate: float = 0.005,
        learning_rate: float = 5e-4,
        validate_every: int = 20,
        statistics: Statistics = "running",
        unit: float = 50.0,
        shots: int | None = None,
        seed: int = 0,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
        checkpoint: Path | None = None,
    ) -> None:
        """Stores the settings.

        Args:
            variant: a key of `VARIANTS`.
            episodes: as in `MetaLearner`, and so are the others.
            query: students of each task in an episode.
            inner_steps: steps of the guide where the variant does not say.
            inner_rate: initial value of the inner learning rates, above 0.
            learning_rate: learning rate of Adam, above 0.
            validate_every: episodes between looks at the validation tasks.
            statistics: statistics of the batch norms that give embeddings.
            unit: percent of accuracy that count as 1 in a target.
            shots: students that tasks adapt to in meta-training in place of the guide's pair; None for the guide.
            seed: random seed of initial weights and queries.
            precision: number format of embeddings and encoders, `float32` or `bfloat16`.
            device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.
            checkpoint: a file to go on from after a stop.
        """
        self.variant = variant
        self.episodes = episodes
        self.query = query
        self.inner_steps = inner_steps
        self.inner_rate = inner_rate
        self.learning_rate = learning_rate
        self.validate_every = validate_every
        self.statistics = statistics
        self.unit = unit
        self.shots = shots
        self.seed = seed
        self.precision = precision
        self.device = device
        self.checkpoint = checkpoint

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        block = settings.predictor
        return cls(
            **options,
            episodes=block.episodes,
            query=block.query,
            inner_steps=block.inner_steps,
            inner_rate=block.inner_rate,
            learning_rate=block.learning_rate,
            validate_every=block.validate_every,
            statistics=block.statistics,
            unit=block.unit,
            seed=settings.seed,
            device=settings.device,
            checkpoint=settings.checkpoint,
        )

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Meta-trains on the tasks' embeddings.

        Raises:
            UsageError: the variant is unknown, or what `MetaLearner.fit` refuses.
        """
        if self.variant not in VARIANTS:
            raise UsageError(f"unknown variant {self.variant!r}: one of {', '.join(VARIANTS)}")
        variant = VARIANTS[self.variant]
        learner = MetaLearner(
            episodes=self.episodes,
            query=self.query,
            inner_steps=self.inner_steps if variant.inner_steps is None else variant.inner_steps,
            inner_rate=self.inner_rate,
            learning_rate=self.learning_rate,
            validate_every=self.validate_every,
            unit=self.unit,
            shots=self.shots,
            seed=self.seed,
            use_student=variant.use_student,
            use_teacher=variant.use_teacher,
            use_code=variant.use_code,
            first_order=variant.first_order,
            fixed_rates=variant.fixed_rates,
            precision=self.precision,
            device=self.device,
        )
        tasks = [[task.tensors(self.statistics) for task in tasks] for tasks in (training, validation)]
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
