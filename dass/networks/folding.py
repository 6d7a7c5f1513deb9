"""A trained network as plain weights for inference: batch norm folded, ready for every remapped student."""

import torch
from torch import Tensor, nn

from dass.families.blocks import Block, Conv
from dass.networks.convolution import FusedConv, SlicedConv, UnfoldedConv
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.run_block import run_block
from dass.networks.winograd import WinogradConv, Workspace


class FoldedNetwork:
    """The teacher's weights, from which all remapped students are computed in eval mode.

    Args:
        network: the teacher.
        dtype: of weights and features.

    Attributes:
        blocks: the teacher's, the stem first.
    """

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        self.blocks = network.blocks
        self._workspace = Workspace()
        self._network = network
        self._dtype = dtype
        self._folded: dict[str, tuple[SlicedConv, Tensor]] = {}
        with torch.no_grad():
            for block in network.blocks:
                for conv in block.all_convs:
                    self._folded[conv.name] = self._fold(conv)

    def run(self, block: Block, features: Tensor, out: Tensor | None = None) -> Tensor:
        """Computes a student's block.

        Args:
            block: the student's, no wider than the teacher's of the same name.
            features: [n, h, w, c], contiguous; c is the student's width before the block.
            out: filled with the result where given; contiguous. Only for blocks with a shortcut.

        Returns:
            The result [n, h / stride, w / stride, leaving], contiguous.
        """
        apply = _Folded(self._folded, out)
        return run_block(block, features.permute(0, 3, 1, 2), apply).permute(0, 2, 3, 1)

    def _fold(self, conv: Conv) -> tuple[SlicedConv, Tensor]:
        """Folds a batch norm into the convolution before it: the convolution and its bias.

        Each output channel is scaled by itself, so a prefix slice of the result is the folding of the slice.
        """
        module, norm = self._network.module(conv.name), self._network.module(conv.norm)
        assert isinstance(module, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = (norm.bias - norm.running_mean * scale).to(self._dtype)
        weight = (module.weight * scale[:, None, None, None]).to(self._dtype)
        if conv.stride == 1 and WinogradConv.available(weight):
            return WinogradConv(weight, self._workspace), bias
        if weight.is_cuda:
            return UnfoldedConv(weight, conv.stride), bias
        return (FusedConv if FusedConv.available(weight) else SlicedConv)(weight, conv.stride), bias


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

    def add_relu(self, conv: Conv, features: Tensor, kept: Tensor) -> Tensor:
        """See `Apply.add_relu`."""
        convolution, bias = self._folded[conv.name]
        out = self._out
        if out is None:
            out = kept.new_empty(kept.shape[0], *kept.shape[2:], conv.leaving)
        convolution.add_relu(features.permute(0, 2, 3, 1), bias[: conv.leaving], kept.permute(0, 2, 3, 1), out)
        return out.permute(0, 3, 1, 2)
