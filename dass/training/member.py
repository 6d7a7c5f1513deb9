"""One network in training, with its optimizer and what was seen of it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dass.config import Recipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.batches import Batch
from dass.training.evaluation import evaluate, forward
from dass.training.sgd import Sgd

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits [b, classes], labels [b], teacher's logits [b, classes] or None) -> scalar."""


@dataclass(frozen=True)
class EpochEvaluation:
    """A test evaluation during training.

    Attributes:
        epoch: epochs done, 1-based.
        accuracy: accuracy on the test images, in percent (0..100).
        loss: mean cross entropy on the test images.
    """

    epoch: int
    accuracy: float
    loss: float


@dataclass(eq=False)
class Member:
    """One network of a group.

    Attributes:
        network: moved to `device`, channels-last, train mode.
        recipe: recipe with the optimizer's settings.
        device: device that it trains on.
        evaluations: evaluations, in the order of their epochs.
        losses: mean training loss of each finished epoch.
        failure: empty, or why its training stopped.
    """

    network: ElasticResNet
    recipe: Recipe
    device: torch.device
    evaluations: list[EpochEvaluation] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    failure: str = ""

    def __post_init__(self) -> None:
        self.network.to(self.device).to(memory_format=torch.channels_last).train()
        self.optimizer = Sgd(
            self.network.parameters(),
            rate=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )
        self._epoch_losses: list[Tensor] = []

    def step(
        self, batch: Batch, teacher_logits: Tensor | None, loss: Loss, rate: float | Tensor, precision: str
    ) -> Tensor:
        """Takes one step and gives its loss, a scalar that no one has waited for.

        Args:
            batch: batch to learn from.
            teacher_logits: teacher's outputs of the batch, if the loss asks for them.
            loss: loss that is minimised.
            rate: the learning rate; a scalar on the device where steps are recorded.
            precision: `float32` or `bfloat16`, of the convolutions.
        """
        self.optimizer.rate = rate
        value = loss(forward(self.network, batch.images, precision), batch.labels, teacher_logits)
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()
        return value.detach()

    def keep(self, loss: Tensor) -> None:
        """Files the loss of a step until the epoch ends."""
        self._epoch_losses.append(loss)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Undoes what steps within do to weights, statistics and momentum."""
        tensors = list(self.network.state_dict().values())
        copies = [tensor.clone() for tensor in tensors]
        momenta = {parameter: buffer.clone() for parameter, buffer in self._momenta()}
        yield
        with torch.no_grad():
            for tensor, value in zip(tensors, copies, strict=True):
                tensor.copy_(value)
            for parameter, buffer in self._momenta():
                if parameter in momenta:
                    buffer.copy_(momenta[parameter])
                else:
                    buffer.zero_()  # from which the first step goes as from none

    def end_epoch(self, epoch: int, data: TaskData | None, precision: str) -> None:
        """Looks at the epoch's losses (only now, so that a GPU never waits) and evaluates where there is data.

        Args:
            epoch: number of the epoch, from 1.
            data: whose test images to evaluate on; None for not now.
            precision: number format of the computation, `float32` or `bfloat16`.
        """
        losses = torch.stack(self._epoch_losses).cpu()
        self._epoch_losses.clear()
        wrong = (~losses.isfinite()).nonzero()
        if len(wrong):
            step = int(wrong[0])
            self.failure = f"loss became {losses[step].item()} in epoch {epoch}, step {step + 1}"
            return
        self.losses.append(losses.double().mean().item())
        if data is None:
            return
        result = evaluate(self.network, data.test_images, data.test_labels, precision)
        if not math.isfinite(result.loss):
            self.failure = f"test loss became {result.loss} after epoch {epoch}"
            return
        self.evaluations.append(EpochEvaluation(epoch, result.accuracy, result.loss))

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "evaluations": [(point.epoch, point.accuracy, point.loss) for point in self.evaluations],
            "losses": self.losses,
            "failure": self.failure,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.evaluations = [EpochEvaluation(*point) for point in state["evaluations"]]
        self.losses = list(state["losses"])
        self.failure = state["failure"]

    def _momenta(self) -> Iterator[tuple[Tensor, Tensor]]:
        for parameter, buffer in zip(self.optimizer.parameters, self.optimizer.momenta, strict=True):
            if buffer is not None:
                yield parameter, buffer
