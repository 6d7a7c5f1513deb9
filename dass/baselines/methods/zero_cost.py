"""Zero-cost proxies: one batch through a randomly initialised network (Table 3).

Abdelfattah et al. (2021), "Zero-Cost Proxies for Lightweight NAS", for all but the last; Mellor et al. (2021), "Neural
Architecture Search without Training", for NASWOT in the version of the ReLU codes' kernel.

L is the mean cross entropy of one batch, W the weights of convolutions and classifier, biases and batch norms left
out. Conditions that change the scores and are held fixed here: the batch is 64 training images without augmentation,
the weights are random with a stated seed (He-normal convolutions, no trained weight enters), and batch norms are in
train mode, so that they use the batch's own statistics. Scores keep their sign.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dass.baselines.methods.probes import probe_batch, random_network, scratch_copy
from dass.baselines.ranker import Ranker, Settings
from dass.errors import UsageError
from dass.families.blocks import Conv
from dass.networks.elastic_resnet import ElasticResNet, Modules, Trunk
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

Layer = nn.Conv2d | nn.Linear
Proxy = Callable[[ElasticResNet, Tensor, Tensor], float]
"""(network, images float [b, 3, h, w], labels int64 [b]) -> score; the network is left as it was."""


def grad_norm(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Sum over layers of the Euclidean norm of dL/dW."""
    network = scratch_copy(network)
    gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), _weights(network))
    return sum(float(gradient.norm()) for gradient in gradients)


def snip(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Sum of |W dL/dW| (Lee et al., 2019): how much the loss would change by taking single weights away."""
    return sum(float(product.abs().sum()) for product in _products(network, images, labels))


def plain(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Sum of W dL/dW with its sign.

    A convolution before a batch norm adds nothing but rounding and the effect of the norm's epsilon, since no
    rescaling of its weights changes the loss: what is left is the classifier's share.
    """
    return sum(float(product.sum()) for product in _products(network, images, labels))


def grasp(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Sum of -W (H g), with the gradient g = dL/dW and the Hessian H (Wang et al., 2020)."""
    network = scratch_copy(network)
    weights = _weights(network)
    gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), weights, create_graph=True)
    along = torch.stack([(gradient * gradient.detach()).sum() for gradient in gradients]).sum()
    curvatures = torch.autograd.grad(along, weights)
    return -sum(float((weight.detach() * curved).sum()) for weight, curved in zip(weights, curvatures, strict=True))


def fisher(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Fisher information of channels (Theis et al., 2018; Turner et al., 2020).

    With a a layer's output before its batch norm, a channel's value is half the mean over images of (sum over space
    of a dL/da)^2. It counts once for each of the channel's weights.
    """
    network = scratch_copy(network)
    outputs: dict[Layer, Tensor] = {}
    for layer in _layers(network):
        layer.register_forward_hook(lambda layer, _, output: outputs.__setitem__(layer, output))
    loss = F.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, list(outputs.values()))
    score = 0.0
    for (layer, output), gradient in zip(outputs.items(), gradients, strict=True):
        by_image = (output * gradient).reshape(*output.shape[:2], -1).sum(-1)
        score += float(by_image.detach().square().mean(0).sum() / 2) * layer.weight[0].numel()
    return score


def synflow(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Natural logarithm of the sum of |W dR/dW| (Tanaka et al., 2020); needs no data.

    R is the sum of the outputs for an input of ones, without batch norms and with absolute parameters. The sum
    reaches 1e61, too much for float32; in the log, which keeps the order, differences can still be seen.

    Args:
        network: network in train or eval mode.
        images: images, float [b, 3, h, w]; only their size is used.
        labels: class of each image; not used.
    """
    network = scratch_copy(network).double()  # before abs, which is done on what doubles hold
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    weights = _weights(network)
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64, device=images.device)
    outputs = network.classify(Trunk.features(network, ones, _WithoutNorms(network)))
    gradients = torch.autograd.grad(outputs.sum(), weights)
    shares = [(weight.detach() * gradient).abs().sum() for weight, gradient in zip(weights, gradients, strict=True)]
    return float(torch.stack(shares).sum().log())


def naswot(network: ElasticResNet, images: Tensor, labels: Tensor) -> float:
    """Log-determinant of how often two images agree, summed over all ReLUs, on being active or not.

    NaN where two images agree everywhere, up to rounding: the kernel has no inverse.

    Args:
        network: network in train or eval mode.
        images: normalized images of the batch, float [b, 3, h, w].
        labels: class of each image; not used.
    """
    network = scratch_copy(network)
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(output: Tensor) -> None:
        signs = torch.where(output > 0, 1.0, -1.0).flatten(1)
        kernel.add_((signs @ signs.T + signs.shape[1]) / 2)  # agreements; whole numbers, exact in float32

    with torch.no_grad():
        network.features(images, _Watched(network, count))
    eigenvalues = torch.linalg.eigvalsh(kernel)
    smallest = eigenvalues.max() * len(images) * torch.finfo(torch.float64).eps
    return float(eigenvalues.log().sum()) if bool(eigenvalues.min() > smallest) else float("nan")


PROXIES: dict[str, Proxy] = {
    "grad_norm": grad_norm,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "plain": plain,
    "synflow": synflow,
    "naswot": naswot,
}


class ZeroCost(Ranker):
    """Scores students by a proxy of their random start; teacher and distillation play no part."""

    def __init__(self, proxy: str, *, batch_size: int = 64, seed: int = 0) -> None:
        """Stores the settings.

        Args:
            proxy: a key of `PROXIES`.
            batch_size: number of images in the batch.
            seed: random seed of weights and batch.
        """
        self.proxy = proxy
        self.batch_size = batch_size
        self.seed = seed

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """See `Ranker.of`."""
        return cls(**options, seed=settings.seed)

    def score(self, task: RankingTask, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """The proxy's values.

        Raises:
            UsageError: the proxy is unknown.
        """
        if self.proxy not in PROXIES:
            raise UsageError(f"unknown proxy {self.proxy!r}: one of {', '.join(PROXIES)}")
        proxy, device = PROXIES[self.proxy], task.teacher.device
        batch = probe_batch(task.data, self.batch_size, self.seed, device)
        networks = (random_network(a, len(task.data.classes), self.seed, device) for a in architectures)
        scores = (proxy(network, batch.images, batch.labels) for network in networks)
        return np.fromiter(scores, np.float64, len(architectures))


def _products(network: ElasticResNet, images: Tensor, labels: Tensor) -> list[Tensor]:
    """W dL/dW of each layer."""
    network = scratch_copy(network)
    weights = _weights(network)
    gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), weights)
    return [weight.detach() * gradient for weight, gradient in zip(weights, gradients, strict=True)]


def _weights(network: ElasticResNet) -> list[Tensor]:
    return [layer.weight for layer in _layers(network)]


def _layers(network: ElasticResNet) -> list[Layer]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


class _WithoutNorms(Modules):
    """Convolutions alone."""

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """The convolution."""
        outputs: Tensor = self.trunk.module(conv.name)(features)
        return outputs


class _Watched(Modules):
    """Shows the output of each ReLU, which is positive where what entered was."""

    def __init__(self, trunk: Trunk, show: Callable[[Tensor], None]) -> None:
        super().__init__(trunk)
        self._show = show

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Modules.relu`."""
        outputs = super().relu(conv, features)
        self._show(outputs)
        return outputs

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """See `Modules.add_relu`."""
        outputs = super().add_relu(conv, features, added)
        self._show(outputs)
        return outputs
