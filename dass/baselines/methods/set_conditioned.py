"""Meta-predictors that look at a task through its images: what MetaD2A and TANS have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dass.baselines.methods.image_features import ClassFeatures, class_features
from dass.baselines.ranker import Ranker, Settings, not_fitted
from dass.config import Predictor
from dass.device import resolve_device, resolve_precision
from dass.errors import DassError, UsageError
from dass.evaluation.correlation import spearman
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.meta_run import Validation
from dass.predictor.tasks import TargetScale
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

Extractor = Literal["source", "teacher"]
PER_CLASS = 60  # images of each class from which samples are drawn
DRAWS = 10  # samples of a task's images over which its predictions are averaged, as MetaD2A does


class SetConditionedNetwork(nn.Module, ABC):
    """Predicts accuracies from a sample of images and descriptions of students.

    T: tasks; n: students; c: features of an image; d: size of a task's encoding; m: length of a description.
    """

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """A task's encoding [..., d] from features [..., classes, samples, c], whatever the order of the images."""

    @abstractmethod
    def forward(self, tasks: Tensor, students: Tensor) -> Tensor:
        """Predictions [T, n] on the network's scale, from encodings [T, d] and descriptions [T, n, m]."""

    def loss(self, tasks: Tensor, students: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error, a scalar; targets are [T, n]."""
        return F.mse_loss(self(tasks, students), targets)


@dataclass(frozen=True)
class _SetTask:
    """A source task in memory: features of images, descriptions [n, m], accuracies [n] in percent."""

    features: ClassFeatures
    students: Tensor
    accuracies: Tensor


class SetConditionedRanker(Ranker):
    """Trains such a network on all source tasks at once by Adam; keeps the weights with the best validation SRC.

    An episode draws a sample of every task's images and `query` of its students. Accuracies are standardised by mean
    and deviation over all source students.

    Attributes:
        published_rate: learning rate of Adam that the authors publish, above 0.
        network_: what was learned, after `fit`.
        extractor_: what looks at images of all tasks, after `fit`; None where each task's teacher does.
        scale_: scale of the predictions, after `fit`.
        history_: all looks at the validation tasks.
        best_: the look at which the weights were taken.
    """

    published_rate: ClassVar[float]
    network_: SetConditionedNetwork | None = None
    extractor_: ElasticResNet | None = None
    scale_: TargetScale
    history_: tuple[Validation, ...]
    best_: Validation

    def __init__(
        self,
        settings: Predictor,
        *,
        learning_rate: float = 1e-4,
        samples: int = 20,
        extractor: Extractor = "source",
        seed: int = 0,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
    ) -> None:
        """Stores the settings.

        Args:
            settings: episodes, students of each task in an episode (at most as many as the task with the fewest has),
                and episodes between looks at the validation tasks. Nothing else of the block is used.
            learning_rate: learning rate of Adam, above 0, in place of that of the block.
            samples: images of each class in a sample, at least 1.
            extractor: what gives features of images: `source`, the teacher of the first training task for all tasks, so
                that nothing of a target's teacher is known; or `teacher`, each task's own.
            seed: random seed of initial weights, images and queries.
            precision: number format of the convolutions that give the features; all else is float32.
            device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.
        """
        self.settings = settings
        self.learning_rate = learning_rate
        self.samples = samples
        self.extractor = extractor
        self.seed = seed
        self.precision = precision
        self.device = device

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`: with the authors' learning rate."""
        return cls(
            settings.predictor, **options, learning_rate=cls.published_rate, seed=settings.seed, device=settings.device
        )

    def arguments(self) -> dict[str, Any]:
        """See `Ranker.arguments`: those of the settings that are used, each by its own name."""
        own = super().arguments()
        used = own.pop("settings").model_dump(include={"episodes", "query", "validate_every"})
        return used | {"per_class": PER_CLASS} | own

    @abstractmethod
    def build(self, features: int, description: int) -> SetConditionedNetwork:
        """The untrained network, for that many features of an image and that length of a student's description."""

    def describe(self, task: RankingTask, architectures: Sequence[Architecture]) -> Tensor:
        """What the network is told of students, float32 [n, m]: their architecture codes."""
        return torch.from_numpy(task.space.encode(architectures))

    def fit(self, training: Sequence[RankingTask], validation: Sequence[RankingTask]) -> Self:
        """Trains on source tasks with known students.

        Raises:
            UsageError: no training or validation task, or one with fewer than two students.
            DassError: training diverged.
        """
        if not training or not validation:
            raise UsageError("meta-training needs at least one training and one validation task")
        for task in (*training, *validation):
            if len(task.accuracies) < 2:
                raise UsageError(f"task {task.name} has {len(task.accuracies)} known students: two are needed")
        device = resolve_device(self.device)
        self.extractor_ = training[0].teacher if self.extractor == "source" else None
        source, held_out = ([self._prepare(task, device) for task in tasks] for tasks in (training, validation))
        scale = TargetScale.of(torch.cat([task.accuracies for task in source]))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            network = self.build(source[0].features.classes[0].shape[1], source[0].students.shape[1]).to(device)
        self._train(network, source, held_out, scale)
        self.network_, self.scale_ = network.eval().requires_grad_(False), scale
        return self

    @torch.no_grad()
    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Predicted accuracies in percent."""
        if self.network_ is None:
            raise not_fitted(self)
        device = next(self.network_.parameters()).device
        features = self._features(task, device)
        return self._predict(self.network_, self.scale_, features, self.describe(task, architectures).to(device))

    def _train(
        self,
        network: SetConditionedNetwork,
        source: Sequence[_SetTask],
        held_out: Sequence[_SetTask],
        scale: TargetScale,
    ) -> None:
        """Trains in place; the network ends with the best weights."""
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        query = min(self.settings.query, *(len(task.accuracies) for task in source))
        history: list[Validation] = []
        losses: list[Tensor] = []
        best: dict[str, Tensor] = {}
        for episode in range(1, self.settings.episodes + 1):
            rng = np.random.default_rng([self.seed, episode])
            sets = [task.features.draw(self.samples, rng) for task in source]
            picks = [torch.from_numpy(rng.permutation(len(task.accuracies))[:query]) for task in source]
            chosen = list(zip(source, picks, strict=True))
            students = torch.stack([task.students[pick] for task, pick in chosen])
            targets = scale.to_target(torch.stack([task.accuracies[pick] for task, pick in chosen]))
            loss = network.loss(_encode(network, sets), students, targets.to(students.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            if episode % self.settings.validate_every == 0 or episode == self.settings.episodes:
                mean_loss = float(torch.stack(losses).mean())
                losses.clear()
                if not np.isfinite(mean_loss):
                    raise DassError(f"{type(self).__name__} diverged before episode {episode}: lower learning_rate")
                history.append(Validation(episode, mean_loss, self._mean_src(network, held_out, scale)))
                if history[-1].src > max((look.src for look in history[:-1]), default=-np.inf):
                    best = {name: weight.clone() for name, weight in network.state_dict().items()}
        network.load_state_dict(best)
        self.history_ = tuple(history)
        self.best_ = max(history, key=lambda look: look.src)

    @torch.no_grad()
    def _mean_src(self, network: SetConditionedNetwork, tasks: Sequence[_SetTask], scale: TargetScale) -> float:
        predicted = [self._predict(network, scale, task.features, task.students) for task in tasks]
        return float(np.mean([spearman(p, task.accuracies) for p, task in zip(predicted, tasks, strict=True)]))

    def _predict(
        self, network: SetConditionedNetwork, scale: TargetScale, features: ClassFeatures, students: Tensor
    ) -> NDArray[np.float64]:
        rng = np.random.default_rng(self.seed)  # the same samples at every look and for every student
        encodings = network.encode(torch.stack([features.draw(self.samples, rng) for _ in range(DRAWS)]))
        outputs = network(encodings, students.expand(DRAWS, *students.shape))
        return scale.to_percent(outputs.mean(0)).cpu().numpy()

    def _prepare(self, task: RankingTask, device: torch.device) -> _SetTask:
        students = self.describe(task, task.architectures).to(device)
        return _SetTask(self._features(task, device), students, torch.tensor(task.accuracies, dtype=torch.float64))

    def _features(self, task: RankingTask, device: torch.device) -> ClassFeatures:
        precision = resolve_precision(self.precision, task.teacher.device)
        found = class_features(task, self.extractor_ or task.teacher, PER_CLASS, self.seed, precision)
        return ClassFeatures(tuple(features.to(device) for features in found.classes))


def _encode(network: SetConditionedNetwork, sets: Sequence[Tensor]) -> Tensor:
    """Encodings [T, d] of samples [classes, samples, c], in one pass where the tasks have equally many classes."""
    if len({images.shape for images in sets}) == 1:
        return network.encode(torch.stack(list(sets)))
    return torch.stack([network.encode(images) for images in sets])
