"""A trained network as plain weights, ready for every remapped student of it."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dass.config import Statistics
from dass.errors import UsageError
from dass.families.blocks import Block, Conv
from dass.networks.convolution import FusedConv, SlicedConv, UnfoldedConv
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.run_block import Apply, run_block


class SlicedNetwork(ABC):
    """The teacher's weights, from which all remapped students are computed.

    Args:
        network: network of the teacher.
        dtype: number format of weights and features.

    Attributes:
        blocks: descriptions of the teacher's blocks, the stem first.
    """

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        self.blocks = network.blocks
        self._network = network
        self._dtype = dtype

    def run(self, block: Block, features: Tensor, out: Tensor | None = None) -> Tensor:
        """Computes a student's block.

        Args:
            block: the student's, no wider than the teacher's of the same name.
            features: [n, h, w, c], contiguous; c is the student's width before the block.
            out: filled with the result where given; contiguous. Only for blocks with a shortcut.

        Returns:
            The result [n, h / stride, w / stride, leaving], contiguous.
        """
        return run_block(block, features.permute(0, 3, 1, 2), self._apply(out)).permute(0, 2, 3, 1)

    @abstractmethod
    def _apply(self, out: Tensor | None) -> Apply:
        """How convolutions are carried out; `out` takes the sum with the shortcut, None for memory of its own."""

    def _modules(self, conv: Conv) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        module, norm = self._network.module(conv.name), self._network.module(conv.norm)
        assert isinstance(module, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        return module, norm


def sliced_network(network: ElasticResNet, dtype: torch.dtype, statistics: Statistics) -> SlicedNetwork:
    """The teacher's weights for one way of normalising.

    Args:
        network: network of the teacher.
        dtype: number format of weights and features.
        statistics: `running`: batch norms as in eval mode; `batch`: as in train mode on a batch of one image.
    """
    return FoldedNetwork(network, dtype) if statistics == "running" else OwnStatisticsNetwork(network, dtype)


class FoldedNetwork(SlicedNetwork):
    """In eval mode: batch norms are folded into the convolutions before them."""

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        super().__init__(network, dtype)
        self._folded: dict[str, tuple[SlicedConv, Tensor]] = {}
        with torch.no_grad():
            for block in network.blocks:
                for conv in block.all_convs:
                    self._folded[conv.name] = self._fold(conv)

    def _apply(self, out: Tensor | None) -> Apply:
        return _Folded(self._folded, out)

    def _fold(self, conv: Conv) -> tuple[SlicedConv, Tensor]:
        """Folds a batch norm into the convolution before it: the convolution and its bias.

        Each output channel is scaled by itself, so a prefix slice of the result is the folding of the slice.
        """
        module, norm = self._modules(conv)
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = (norm.bias - norm.running_mean * scale).to(self._dtype)
        weight = (module.weight * scale[:, None, None, None]).to(self._dtype)
        if weight.is_cuda:
            return UnfoldedConv(weight, conv.stride), bias
        return (FusedConv if FusedConv.available(weight) else SlicedConv)(weight, conv.stride), bias


class OwnStatisticsNetwork(SlicedNetwork):
    """In train mode on a batch of one image: each norm takes mean and variance of that image's own features.

    Students share no statistics then, so those with a common beginning can still be computed side by side.
    """

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        super().__init__(network, dtype)
        self._convs: dict[str, _Normalized] = {}
        with torch.no_grad():
            for block in network.blocks:
                for conv in block.all_convs:
                    module, norm = self._modules(conv)
                    weight = module.weight.to(dtype)
                    sliced = (UnfoldedConv if weight.is_cuda else SlicedConv)(weight, conv.stride)
                    self._convs[conv.name] = _Normalized(sliced, norm.weight.detach(), norm.bias.detach(), norm.eps)

    def _apply(self, out: Tensor | None) -> Apply:
        return _OwnStatistics(self._convs, out)


class _Normalized:
    """A convolution and the norm behind it, with the statistics of each image by itself.

    Args:
        conv: convolution at the teacher's width.
        scale: scale of the batch norm, [width].
        shift: shift of the batch norm, [width].
        eps: epsilon of the batch norm, above 0.
    """

    def __init__(self, conv: SlicedConv, scale: Tensor, shift: Tensor, eps: float) -> None:
        self._conv, self._scale, self._shift, self._eps = conv, scale, shift, eps

    def __call__(self, features: Tensor, width: int) -> Tensor:
        """[n, h, w, c] to [n, h / stride, w / stride, width], contiguous.

        Raises:
            UsageError: the output has one position, whose variance is zero.
        """
        output = self._conv.linear(features, features.new_zeros(width))
        if output.shape[1] * output.shape[2] < 2:
            raise UsageError(
                "predictor.statistics: batch needs features of more than one pixel, and this network leaves one: raise "
                "data.resolution, or take `running`"
            )
        exact = output.to(torch.promote_types(output.dtype, torch.float32))
        variance, mean = torch.var_mean(exact, (1, 2), correction=0, keepdim=True)
        scale = self._scale[:width] * torch.rsqrt(variance + self._eps)
        return torch.addcmul(self._shift[:width], exact - mean, scale).to(output.dtype)


class _Folded:
    """Folded convolutions as `dass.networks.run_block.Apply`; features are channels-last.

    Args:
        folded: convolution and bias by name.
        out: [n, h, w, c], takes the sum with the shortcut; None for memory of its own.
    """

    def __init__(self, folded: dict[str, tuple[SlicedConv, Tensor]], out: Tensor | None) -> None:
        self._folded = folded
        self._out = out

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.relu`."""
        convolution, bias = self._folded[conv.name]
        return convolution.relu(features.permute(0, 2, 3, 1), bias[: conv.leaving]).permute(0, 3, 1, 2)

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.linear`."""
        convolution, bias = self._folded[conv.name]
        return convolution.linear(features.permute(0, 2, 3, 1), bias[: conv.leaving]).permute(0, 3, 1, 2)

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """See `Apply.add_relu`."""
        convolution, bias = self._folded[conv.name]
        out = self._out
        if out is None:
            out = added.new_empty(added.shape[0], *added.shape[2:], conv.leaving)
        convolution.add_relu(features.permute(0, 2, 3, 1), bias[: conv.leaving], added.permute(0, 2, 3, 1), out)
        return out.permute(0, 3, 1, 2)


class _OwnStatistics:
    """Convolutions with norms of their own statistics as `dass.networks.run_block.Apply`; features are channels-last.

    Args:
        convs: convolutions, by name.
        out: [n, h, w, c], takes the sum with the shortcut; None for memory of its own.
    """

    def __init__(self, convs: dict[str, _Normalized], out: Tensor | None) -> None:
        self._convs = convs
        self._out = out

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.relu`."""
        return self.linear(conv, features).relu_()

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.linear`."""
        return self._convs[conv.name](features.permute(0, 2, 3, 1), conv.leaving).permute(0, 3, 1, 2)

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """See `Apply.add_relu`."""
        total = self.linear(conv, features)
        total[:, : added.shape[1]] += added
        if self._out is None:
            return total.relu_()
        return torch.clamp_min(total.permute(0, 2, 3, 1), 0, out=self._out).permute(0, 3, 1, 2)
