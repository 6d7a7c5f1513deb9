"""Adam, as `torch.optim.Adam` has it.

That class imports all of `torch.compile` when it is made, a good second in each process, and looks anew at every step
for what never changes here; the function behind it does neither.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)  # of Kingma and Ba
EPS = 1e-8


class Adam:
    """Takes steps of fused Adam on parameters that have a gradient.

    Attributes:
        parameters: parameters, in order.
    """

    def __init__(self, parameters: Iterable[Tensor], rate: float) -> None:
        """Starts without moments.

        Args:
            parameters: leaves, float32.
            rate: the learning rate, above 0.
        """
        self.parameters = list(parameters)
        self._rate = rate
        self._means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    def zero_grad(self) -> None:
        """Drops all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Takes a step."""
        moved = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        adam(
            [self.parameters[index] for index in moved],
            [gradient for index in moved if (gradient := self.parameters[index].grad) is not None],
            [self._means[index] for index in moved],
            [self._squares[index] for index in moved],
            [],
            [self._steps[index] for index in moved],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._rate,
            weight_decay=0.0,
            eps=EPS,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """What a step depends on beside parameters and settings."""
        return {"means": self._means, "squares": self._squares, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name, mine in self.state_dict().items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)
