"""The inner steps against plain gradient descent, and the meta-gradient against finite differences."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from dass.predictor import adaptation
from dass.predictor.adaptation import adapt
from dass.predictor.model import Batch, DassPredictor

Weights = dict[str, Tensor]


def make(
    side: int, pairs: int = 1, tasks: int = 3, students: int = 5
) -> tuple[DassPredictor, Weights, Weights, Batch, Batch]:
    """A tiny double-precision predictor with uneven rates, support pairs and a query."""
    torch.manual_seed(side)
    predictor = DassPredictor(4, 6, seed=1).double()
    weights = {name: p.detach().clone().requires_grad_() for name, p in predictor.layers.items()}
    rates = {name: (0.1 * torch.rand_like(p)).requires_grad_() for name, p in weights.items()}

    def batch(count: int) -> Batch:
        return Batch(
            predictor.patches(torch.randn(tasks, 4, side, side).double()),
            predictor.patches(torch.randn(tasks, count, 4, side, side).double()),
            torch.randn(tasks, count, 6).double(),
            torch.randn(tasks, count).double(),
        )

    support, query = batch(pairs), batch(students)
    return predictor, weights, rates, support, Batch(support.teachers, query.students, query.codes, query.targets)


def take(batch: Batch, task: int) -> Batch:
    where = slice(task, task + 1)
    return Batch(batch.teachers[where], batch.students[where], batch.codes[where], batch.targets[where])


def plain_adapt(predictor: DassPredictor, weights: Weights, rates: Weights, support: Batch, steps: int) -> Weights:
    """Eq. 6 as it is written, one task, a gradient for every weight."""
    for _ in range(steps):
        found = functional_call(predictor, {f"layers.{name}": w for name, w in weights.items()}, (support,))
        loss = (found - support.targets).square().mean()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {name: w - rates[name] * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
    return weights


def plain_meta_loss(
    predictor: DassPredictor, weights: Weights, rates: Weights, support: Batch, query: Batch, *, steps: int
) -> Tensor:
    losses = []
    for task in range(len(query.codes)):
        adapted = plain_adapt(predictor, weights, rates, take(support, task), steps)
        found = functional_call(predictor, {f"layers.{name}": w for name, w in adapted.items()}, (take(query, task),))
        losses.append((found - take(query, task).targets).square().mean())
    return torch.stack(losses).mean()


def meta_loss(
    predictor: DassPredictor, weights: Weights, rates: Weights, support: Batch, query: Batch, *, steps: int
) -> Tensor:
    layers = adapt(predictor, weights, rates, support, steps, differentiable=True)
    return (predictor(query, layers) - query.targets).square().mean()


@pytest.fixture(params=["implicit", "explicit"])
def either_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of applying adapted weights: never, or always, forming them (but for one row at a width of one)."""
    if request.param == "implicit":
        monkeypatch.setattr(adaptation, "SMALL", 10**9)
    else:
        monkeypatch.setattr(adaptation, "SMALL", 0)
        monkeypatch.setattr(adaptation, "WORTH", 0)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize(("side", "pairs"), [(2, 1), (5, 1), (4, 3)])
def test_equals_gradient_descent_task_by_task(side: int, pairs: int, steps: int) -> None:
    predictor, weights, rates, support, query = make(side, pairs)
    found = predictor(query, adapt(predictor, weights, rates, support, steps))
    for task in range(3):
        plain = plain_adapt(predictor, weights, rates, take(support, task), steps)
        expected = functional_call(predictor, {f"layers.{n}": w for n, w in plain.items()}, (take(query, task),))
        torch.testing.assert_close(found[task], expected[0])
        dense = adapt(predictor, weights, rates, support, steps).weights()
        if steps:
            for name, matrix in plain.items():
                torch.testing.assert_close(dense[name][task], matrix)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("steps", [1, 2])
def test_meta_gradient_equals_the_plain_one_second_order_included(steps: int) -> None:
    predictor, weights, rates, support, query = make(4)
    both = list(weights.values()) + list(rates.values())
    found = torch.autograd.grad(meta_loss(predictor, weights, rates, support, query, steps=steps), both)
    expected = torch.autograd.grad(plain_meta_loss(predictor, weights, rates, support, query, steps=steps), both)
    torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("steps", [1, 2])
def test_meta_gradient_equals_finite_differences(steps: int) -> None:
    predictor, weights, rates, support, query = make(2, tasks=2)

    def loss() -> Tensor:
        return meta_loss(predictor, weights, rates, support, query, steps=steps)

    for tensors in (weights, rates):
        gradients = dict(zip(tensors, torch.autograd.grad(loss(), list(tensors.values())), strict=True))
        for name, tensor in tensors.items():
            for place in torch.randperm(tensor.numel())[:3].tolist():
                assert gradients[name].flatten()[place].item() == pytest.approx(
                    central_difference(loss, tensor, place), rel=1e-5, abs=1e-9
                )


def central_difference(loss: Callable[[], Tensor], tensor: Tensor, place: int, step: float = 1e-5) -> float:
    flat = tensor.detach().flatten()  # shares memory
    middle = flat[place].item()
    flat[place] = middle + step
    above = loss().item()
    flat[place] = middle - step
    below = loss().item()
    flat[place] = middle
    return (above - below) / (2 * step)


def test_first_order_drops_just_the_second_derivatives() -> None:
    predictor, weights, rates, support, query = make(4)
    layers = adapt(predictor, weights, rates, support, 1, first_order=True, differentiable=True)
    loss = (predictor(query, layers) - query.targets).square().mean()
    found = torch.autograd.grad(loss, list(weights.values()) + list(rates.values()))

    losses = []
    for task in range(3):
        start = {name: w.detach().requires_grad_() for name, w in weights.items()}
        one = functional_call(predictor, {f"layers.{n}": w for n, w in start.items()}, (take(support, task),))
        inner = torch.autograd.grad((one - take(support, task).targets).square().mean(), list(start.values()))
        adapted = {f"layers.{n}": weights[n] - rates[n] * g for n, g in zip(weights, inner, strict=True)}
        predicted = functional_call(predictor, adapted, (take(query, task),))
        losses.append((predicted - take(query, task).targets).square().mean())
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(weights.values()) + list(rates.values()))
    torch.testing.assert_close(found, expected)
    exact = torch.autograd.grad(meta_loss(predictor, weights, rates, support, query, steps=1), list(weights.values()))
    assert not torch.allclose(found[0], exact[0])


def test_adapting_for_use_keeps_no_graph() -> None:
    predictor, weights, rates, support, query = make(4)
    fixed = {name: w.detach() for name, w in weights.items()}
    layers = adapt(predictor, fixed, {name: r.detach() for name, r in rates.items()}, support, 2)
    with torch.no_grad():
        assert not predictor(query, layers).requires_grad
    assert not any(w.requires_grad for w in layers.weights().values())
