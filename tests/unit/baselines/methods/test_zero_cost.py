"""Each proxy against its value worked out in another way, in double precision on a tiny network."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.baselines.methods.probes import probe_batch, random_network
from dass.baselines.methods.zero_cost import PROXIES, ZeroCost, fisher, grad_norm, grasp, naswot, plain, snip, synflow
from dass.errors import UsageError
from dass.networks import elastic_resnet
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

CPU = torch.device("cpu")
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])


@pytest.fixture
def network() -> ElasticResNet:
    made = random_network(Architecture(((2, 3), (4,), (2, 4), (5,))), 3, 0, CPU).double().eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12  # so that scale invariance holds to rounding
    return made


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def loss(network: ElasticResNet, images: Tensor) -> float:
    return F.cross_entropy(copy.deepcopy(network).train()(images), LABELS).item()


def weights(network: ElasticResNet) -> list[nn.Parameter]:
    """Convolutions and classifier; only these have more than one dimension."""
    return [parameter for parameter in network.parameters() if parameter.ndim > 1]


def gradients(network: ElasticResNet, images: Tensor) -> list[Tensor]:
    used = copy.deepcopy(network).train()
    F.cross_entropy(used(images), LABELS).backward()
    return [weight.grad for weight in weights(used) if weight.grad is not None]


def moved(network: ElasticResNet, directions: list[Tensor], step: float) -> ElasticResNet:
    result = copy.deepcopy(network)
    with torch.no_grad():
        for weight, direction in zip(weights(result), directions, strict=True):
            weight.add_(step * direction)
    return result


def with_convolutions_scaled(network: ElasticResNet, factor: float) -> ElasticResNet:
    result = copy.deepcopy(network)
    with torch.no_grad():
        for weight in weights(result)[:-1]:
            weight.mul_(factor)
    return result


def test_grad_norm_and_snip(network: ElasticResNet, images: Tensor) -> None:
    found = [gradient.numpy() for gradient in gradients(network, images)]
    values = [weight.detach().numpy() for weight in weights(network)]
    assert len(found) == 14  # stem, twice six blocks, classifier
    norms = sum(math.sqrt((gradient**2).sum()) for gradient in found)
    assert grad_norm(network, images, LABELS) == pytest.approx(norms)
    changes = sum(np.abs(value * gradient).sum() for value, gradient in zip(values, found, strict=True))
    assert snip(network, images, LABELS) == pytest.approx(changes)


def test_plain_is_the_change_of_the_loss_when_all_weights_grow(network: ElasticResNet, images: Tensor) -> None:
    own = [weight.detach() for weight in weights(network)]
    up, down = (loss(moved(network, own, step), images) for step in (1e-5, -1e-5))
    value = plain(network, images, LABELS)
    assert value == pytest.approx((up - down) / 2e-5, rel=1e-4)
    assert abs(value) > 1e-3


def test_plain_is_the_classifiers_alone_before_batch_norms(network: ElasticResNet, images: Tensor) -> None:
    classifier = float((network.classifier.weight.detach() * gradients(network, images)[-1]).sum())
    assert plain(network, images, LABELS) == pytest.approx(classifier, rel=1e-6)


def test_grasp_by_finite_differences_of_the_gradient(network: ElasticResNet, images: Tensor) -> None:
    along = gradients(network, images)
    up, down = (gradients(moved(network, along, step), images) for step in (1e-5, -1e-5))
    products = [(above - below) / 2e-5 for above, below in zip(up, down, strict=True)]
    expected = -sum(float((w.detach() * p).sum()) for w, p in zip(weights(network), products, strict=True))
    assert grasp(network, images, LABELS) == pytest.approx(expected, rel=1e-4)


def test_fisher_by_gates_on_channels(network: ElasticResNet, images: Tensor) -> None:
    used = copy.deepcopy(network).train()
    gates: list[Tensor] = []
    counts: list[int] = []

    def gate(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
        gates.append(torch.ones(*output.shape[:2], *[1] * (output.ndim - 2), dtype=torch.float64, requires_grad=True))
        counts.append(next(layer.parameters())[0].numel())
        return output * gates[-1]

    for module in used.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(gate)
    F.cross_entropy(used(images), LABELS).backward()
    # A gate on one channel of one image has the gradient sum over space of a dL/da.
    expected = sum(
        count * float((g.grad.flatten(1) ** 2).mean(0).sum()) / 2
        for g, count in zip(gates, counts, strict=True)
        if g.grad is not None
    )
    assert len(gates) == 14
    assert fisher(network, images, LABELS) == pytest.approx(expected)


def test_synflow_is_what_layers_carry(network: ElasticResNet, images: Tensor) -> None:
    linear = copy.deepcopy(network)
    for module in list(linear.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
        ones = torch.ones(1, 3, 16, 16, dtype=torch.float64)
        once = linear(ones).sum()
        total = 0.0
        for weight in weights(linear):  # nothing is negative, so the output is linear in each layer
            weight.mul_(2)
            total += float(linear(ones).sum() - once)
            weight.div_(2)
    assert synflow(network, images, LABELS) == pytest.approx(math.log(total))
    assert synflow(network, torch.zeros_like(images), LABELS.flip(0)) == pytest.approx(math.log(total))


def test_synflow_of_a_large_network_is_finite() -> None:
    large = random_network(Architecture(((16,) * 5, (32,) * 5, (64,) * 5, (128,) * 5)), 10, 0, CPU)
    with torch.no_grad():
        for parameter in large.parameters():
            parameter.mul_(100)
    value = synflow(large, torch.empty(1, 3, 8, 8), LABELS)
    assert math.isfinite(value)
    assert value > 60 * math.log(10)


def test_naswot_counts_agreeing_relus(network: ElasticResNet, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[np.ndarray] = []

    class Recording:
        def __getattr__(self, name: str) -> Callable[..., Tensor]:
            return getattr(F, name)

        def relu(self, inputs: Tensor) -> Tensor:
            entered.append(inputs.detach().numpy() > 0)
            return F.relu(inputs)

    monkeypatch.setattr(elastic_resnet, "F", Recording())
    copy.deepcopy(network).train()(images)
    monkeypatch.undo()
    assert len(entered) == 13  # stem, twice six blocks
    kernel = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            kernel[i, j] = sum((codes[i] == codes[j]).sum() for codes in entered)
    sign, expected = np.linalg.slogdet(kernel)
    assert sign == 1
    assert naswot(network, images, LABELS) == pytest.approx(expected)


def test_naswot_has_no_value_where_two_images_are_equal(network: ElasticResNet, images: Tensor) -> None:
    assert math.isnan(naswot(network, torch.cat([images[:5], images[:1]]), LABELS))


def test_rescaling_convolutions_before_batch_norms(network: ElasticResNet, images: Tensor) -> None:
    scaled = with_convolutions_scaled(network, 4.0)
    for invariant in (snip, plain, fisher, naswot):
        assert invariant(scaled, images, LABELS) == pytest.approx(invariant(network, images, LABELS), rel=1e-6)
    norms = [float(gradient.norm()) for gradient in gradients(network, images)]
    assert grad_norm(scaled, images, LABELS) == pytest.approx(sum(norms[:-1]) / 4 + norms[-1], rel=1e-6)


def test_synflow_grows_by_the_scale_of_the_classifier(network: ElasticResNet, images: Tensor) -> None:
    scaled = copy.deepcopy(network)
    with torch.no_grad():
        scaled.classifier.weight *= -3
    assert synflow(scaled, images, LABELS) == pytest.approx(synflow(network, images, LABELS) + math.log(3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", PROXIES)
def test_the_network_is_left_alone(name: str, training: bool, network: ElasticResNet, images: Tensor) -> None:
    network.train(training)
    network.stem_conv.weight.requires_grad_(False)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    first = PROXIES[name](network, images, LABELS)
    assert PROXIES[name](network, images, LABELS) == first
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training == training for module in network.modules())
    assert all(not module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.stem_conv.weight.requires_grad


def test_scores_follow_the_stated_batch_and_seed(target: RankingTask) -> None:
    some = target.architectures[:3]
    batch = probe_batch(target.data, 16, 5, CPU)
    assert batch.images.shape == (16, 3, 16, 16)
    expected = [snip(random_network(a, 3, 5, CPU), batch.images, batch.labels) for a in some]
    np.testing.assert_array_equal(ZeroCost("snip", batch_size=16, seed=5).score(target, some), expected)
    assert (ZeroCost("snip", batch_size=16, seed=6).score(target, some) != expected).all()


def test_an_unknown_proxy_is_refused(target: RankingTask) -> None:
    with pytest.raises(UsageError, match=r"'jacob_cov': .*grad_norm"):
        ZeroCost("jacob_cov").score(target, target.architectures)
