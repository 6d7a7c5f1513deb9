"""SGD with Nesterov momentum, as `torch.optim.SGD` has it.

That class imports all of `torch.compile` when it is made, a good second in each worker process; the function behind
it does not.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class Sgd:
    """Takes steps of fused SGD on parameters that have a gradient.

    Attributes:
        parameters: parameters, in order.
        rate: the learning rate of the next step; a scalar on the device where steps are recorded.
        momenta: momentum of each parameter, None before its first step.
    """

    def __init__(self, parameters: Iterable[Tensor], *, rate: float, momentum: float, weight_decay: float) -> None:
        self.parameters = list(parameters)
        self.rate: float | Tensor = rate
        self.momenta: list[Tensor | None] = [None] * len(self.parameters)
        self._momentum = momentum
        self._weight_decay = weight_decay

    def zero_grad(self) -> None:
        """Drops all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Takes a step."""
        moved = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        momenta = [self.momenta[index] for index in moved]
        sgd(
            [self.parameters[index] for index in moved],
            [gradient for index in moved if (gradient := self.parameters[index].grad) is not None],
            momenta,
            fused=True,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=self.rate,
            dampening=0.0,
            nesterov=self._momentum > 0,
            maximize=False,
        )
        for index, buffer in zip(moved, momenta, strict=True):
            self.momenta[index] = buffer

    def state_dict(self) -> dict[str, Any]:
        """What a step depends on beside parameters and settings, in torch's layout."""
        return {"state": {index: {"momentum_buffer": buffer} for index, buffer in enumerate(self.momenta)}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for index, values in state["state"].items():
            buffer = values["momentum_buffer"]
            self.momenta[index] = None if buffer is None else buffer.to(self.parameters[index].device)
