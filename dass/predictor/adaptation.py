"""The guide (Eq. 6): inner gradient steps with a learned rate per weight, for all tasks at once.

A layer computes Y = X W. The loss of the support pairs has the gradient P^T D by W, with the layer's inputs P in the
support pass and the loss's gradient D by its outputs. So after i steps with rates R (element by element)

    W' = W - R * (P_1^T D_1 + ... + P_i^T D_i)

where every P and D has few rows: 16 for one pair and an 8x8 embedding, 1 for 2x2. Keeping these factors instead of a
gradient per task and weight makes an episode several times faster, and leaves all of it differentiable: the
meta-gradient is exact, second order included.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dass.predictor.model import Batch, DassPredictor

# Weights of a task's own are formed where query and support make more pairs of rows than this, and than this many
# for each output of the layer; measured on a CPU, where it is the traffic of the formed weights that costs.
SMALL = 128
WORTH = 2
BLOCK = 2**17  # numbers of all tasks' weights at a time: half of a core's cache in float32, on GPUs a kernel's worth


class AdaptedLayers:
    """A predictor's layers after some inner steps, each task with its own.

    Args:
        weights: the shared start by layer, [inputs, outputs].
        rates: a learning rate for each weight, of the same shapes.
        factors: P [T, p, inputs] and D [T, p, outputs] by layer, the steps one after the other along p.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        rates: Mapping[str, Tensor],
        factors: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self._weights = weights
        self._rates = rates
        self._factors = dict(factors or {})

    def __call__(self, name: str, inputs: Tensor) -> Tensor:
        """A layer's outputs [T, m, outputs] for inputs [T, m, inputs], in the inputs' dtype."""
        weight, rate, dtype = self._weights[name], self._rates[name], inputs.dtype
        if name not in self._factors:
            return inputs @ weight.to(dtype)
        support, gradients = self._factors[name]
        if inputs.shape[1] * support.shape[1] > max(SMALL, WORTH * weight.shape[1]):
            return inputs @ _DescendedWeight.apply(weight, rate, support, gradients, dtype)
        # X (R * P^T D) without forming it: sum_p D_p * ((X * P_p) R), for each pair of rows.
        pairs = inputs[:, :, None] * support.to(dtype)[:, None]
        change = (pairs @ rate.to(dtype)) * gradients.to(dtype)[:, None]
        return inputs @ weight.to(dtype) - change.sum(2)

    def descend(self, inputs: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> "AdaptedLayers":
        """The layers after one more step.

        Args:
            inputs: each layer's inputs [T, p, inputs] in the support pass.
            gradients: the loss's gradient by each layer's outputs, [T, p, outputs].
        """
        factors = {name: (inputs[name], gradients[name]) for name in inputs}
        for name, (support, before) in self._factors.items():
            factors[name] = (torch.cat([support, inputs[name]], 1), torch.cat([before, gradients[name]], 1))
        return AdaptedLayers(self._weights, self._rates, factors)

    def weights(self) -> dict[str, Tensor]:
        """The adapted matrices, [T, inputs, outputs] (without T where no step was taken)."""
        adapted = dict(self._weights)
        for name, (support, gradients) in self._factors.items():
            adapted[name] = self._weights[name] - self._rates[name] * (support.mT @ gradients)
        return adapted


def adapt(
    predictor: DassPredictor,
    weights: Mapping[str, Tensor],
    rates: Mapping[str, Tensor],
    support: Batch,
    steps: int,
    *,
    first_order: bool = False,
    differentiable: bool = False,
) -> AdaptedLayers:
    """Takes the inner steps of Eq. 6 on the mean squared error of each task's support pairs.

    The guide's single pair is the teacher as its own student, with its accuracy as the target; students that were
    really distilled can stand in its place (Fig. 3).

    Args:
        predictor: predictor that gives the shape of the computation; its own weights are not used.
        weights: weights before the step, by layer, [inputs, outputs].
        rates: learning rate of each weight, by layer, [inputs, outputs].
        support: the pairs, in the weights' dtype: so few rows that reduced precision would save nothing.
        steps: number of inner steps; 0 gives back the start.
        first_order: treat the inner gradient as a constant in the outer one (first-order MAML).
        differentiable: whether to keep the graph for the meta-gradient.
    """
    layers = AdaptedLayers(weights, rates)
    for _ in range(steps):
        inputs: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}

        def record(
            name: str,
            rows: Tensor,
            layers: AdaptedLayers = layers,
            inputs: dict[str, Tensor] = inputs,
            outputs: dict[str, Tensor] = outputs,
        ) -> Tensor:
            result = layers(name, rows)
            inputs[name] = rows
            outputs[name] = result if result.requires_grad else result.requires_grad_()
            return outputs[name]

        with torch.enable_grad():
            errors = predictor(support, record) - support.targets
            loss = errors.square().mean(1).sum()  # each task's mean; tasks share no output, so the sum keeps them apart
            second_order = differentiable and not first_order
            slopes = torch.autograd.grad(loss, list(outputs.values()), create_graph=second_order)
        gradients = dict(zip(outputs, slopes, strict=True))
        if not second_order:
            inputs = {name: rows.detach() for name, rows in inputs.items()}
        layers = layers.descend(inputs, gradients)
    return layers


class _DescendedWeight(torch.autograd.Function):
    """W - R * P^T D for each task, [T, inputs, outputs], in another dtype.

    Written out so that no gradient of all tasks at once is ever formed in float32: some rows of all tasks' matrices at
    a time stay in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, rate: Tensor, support: Tensor, gradients: Tensor, dtype: torch.dtype
    ) -> Tensor:
        ctx.save_for_backward(rate, support, gradients)
        result = weight.new_empty((len(support), *weight.shape), dtype=dtype)
        for rows in _blocks(result):
            step = torch.bmm(support[:, :, rows].mT, gradients)
            result[:, rows] = torch.addcmul(weight[rows], rate[rows], step, value=-1, out=step)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_result: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor, None]:
        rate, support, gradients = ctx.saved_tensors
        by_weight, by_rate = torch.empty_like(rate), torch.empty_like(rate)
        by_gradients = torch.zeros_like(gradients)
        by_support = torch.empty_like(support) if ctx.needs_input_grad[2] else None  # a first layer's are constant
        for rows in _blocks(by_result):
            part = by_result[:, rows].to(rate.dtype, copy=True)
            torch.sum(part, 0, out=by_weight[rows])
            step = torch.bmm(support[:, :, rows].mT, gradients).mul_(part)
            torch.sum(step, 0, out=by_rate[rows])
            part *= rate[rows]
            by_gradients.baddbmm_(support[:, :, rows], part, alpha=-1)
            if by_support is not None:
                by_support[:, :, rows] = torch.bmm(gradients, part.mT)
        return by_weight, by_rate.neg_(), None if by_support is None else by_support.neg_(), by_gradients, None


def _blocks(matrices: Tensor) -> Iterator[slice]:
    """Rows of matrices [T, inputs, outputs], some at a time."""
    tasks, inputs, outputs = matrices.shape
    size = max(1, BLOCK // (tasks * outputs))
    return (slice(start, min(start + size, inputs)) for start in range(0, inputs, size))
