"""A trained network as plain weights for inference: batch norm folded, ready for every remapped student."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.networks.convolution import FusedConv, SlicedConv, UnfoldedConv
from dass.networks.elastic_resnet import BasicBlock, ElasticResNet
from dass.networks.winograd import WinogradConv, Workspace


class FoldedBlock:
    """A residual block of which every narrower one is a part.

    Args:
        block: the teacher's.
        dtype: of weights and features.
        workspace: for intermediate results.
    """

    def __init__(self, block: BasicBlock, dtype: torch.dtype, workspace: Workspace) -> None:
        self.stride = block.stride
        self._conv1, self._bias1 = _fold(block.conv1, block.bn1, dtype, workspace)
        self._conv2, self._bias2 = _fold(block.conv2, block.bn2, dtype, workspace)

    def __call__(self, features: Tensor, out: Tensor) -> None:
        """Computes a student's block.

        Args:
            features: [n, h, w, c], contiguous; c is the student's width before the block.
            out: filled with the result [n, h / stride, w / stride, w'], contiguous; w' is its width after it.
        """
        width = out.shape[-1]
        kept = features[..., :width]
        if self.stride == 2:
            kept = F.max_pool2d(kept.permute(0, 3, 1, 2), 2, ceil_mode=True).permute(0, 2, 3, 1)
        inner = self._conv1.relu(features, self._bias1[:width])
        self._conv2.add_relu(inner, self._bias2[:width], kept, out)


class FoldedNetwork:
    """The teacher's weights, from which all remapped students are computed in eval mode.

    Args:
        network: the teacher.
        dtype: of weights and features.

    Attributes:
        blocks: the blocks of each stage.
    """

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        workspace = Workspace()
        with torch.no_grad():
            self._stem, self._stem_bias = _fold(network.stem_conv, network.stem_bn, dtype, workspace)
            self.blocks = [
                [FoldedBlock(block, dtype, workspace) for block in stage.children() if isinstance(block, BasicBlock)]
                for stage in network.stages
            ]

    def stem(self, images: Tensor) -> Tensor:
        """The stem at full width, of which a student takes the first channels: [n, h, w, 3] to [n, h, w, c]."""
        return self._stem.relu(images, self._stem_bias)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype, workspace: Workspace) -> tuple[SlicedConv, Tensor]:
    """Folds a batch norm into the convolution before it: the convolution and its bias.

    Each output channel is scaled by itself, so a prefix slice of the result is the folding of the slice.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = (norm.bias - norm.running_mean * scale).to(dtype)
    weight = (conv.weight * scale[:, None, None, None]).to(dtype)
    stride = conv.stride[0]
    if stride == 1 and WinogradConv.available(weight):
        return WinogradConv(weight, workspace), bias
    if weight.is_cuda:
        return UnfoldedConv(weight, stride), bias
    return (FusedConv if FusedConv.available(weight) else SlicedConv)(weight, stride), bias
