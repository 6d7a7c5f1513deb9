"""A trained network as plain weights for inference: batch norm folded, any prefix usable without copies."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.networks.elastic_resnet import BasicBlock, ElasticResNet
from dass.networks.winograd import TILE, WinogradConv

WINOGRAD_CHANNELS = 64 * 64  # in times out; below, a direct convolution is as fast


class FoldedConv:
    """A 3x3 convolution with the batch norm behind it folded in.

    Folding scales each output channel by itself, so a prefix slice of the folded weights is the folding of
    the sliced weights: one preparation at full width serves every remapped student. Features are
    [n, h, w, c] here, which is how channels-last lies in memory: a row of students is then one block of bytes.

    Args:
        conv: the convolution, without bias.
        norm: the batch norm.
        dtype: of weights and features; folding itself is done in double precision.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype) -> None:
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = (conv.weight.double() * scale[:, None, None, None]).to(dtype)
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = (norm.bias.double() - norm.running_mean.double() * scale).to(dtype)
        self._stride = conv.stride[0]
        # Elsewhere the library's own convolution is the fastest: CUDA has this method, bfloat16 CPUs have tiles.
        many = conv.in_channels * conv.out_channels >= WINOGRAD_CHANNELS
        suited = many and self._stride == 1 and dtype == torch.float32 and weight.device.type == "cpu"
        self._winograd = WinogradConv(weight, self._bias) if suited else None

    def __call__(self, features: Tensor, width: int) -> Tensor:
        """The first `width` output channels, from as many input channels as there are.

        Args:
            features: [n, h, w, c], contiguous.
            width: output channels.

        Returns:
            [n, h / stride, w / stride, width], contiguous.
        """
        _, height, breadth, channels = features.shape
        many = channels * width >= WINOGRAD_CHANNELS
        if self._winograd is not None and many and height % TILE == breadth % TILE == 0:
            return self._winograd(features, width)
        weight = self._weight[:width, :channels]
        output = F.conv2d(features.permute(0, 3, 1, 2), weight, self._bias[:width], stride=self._stride, padding=1)
        return output.permute(0, 2, 3, 1)


class FoldedBlock:
    """A residual block of which every narrower one is a part.

    Args:
        block: the teacher's.
        dtype: of weights and features.
    """

    def __init__(self, block: BasicBlock, dtype: torch.dtype) -> None:
        self.stride = block.stride
        self._conv1 = FoldedConv(block.conv1, block.bn1, dtype)
        self._conv2 = FoldedConv(block.conv2, block.bn2, dtype)

    def __call__(self, features: Tensor, out: Tensor) -> None:
        """Computes a student's block.

        Args:
            features: [n, h, w, c], contiguous; c is the student's width before the block.
            out: filled with the result, [n, h / stride, w / stride, the student's width after it].
        """
        width = out.shape[-1]
        output = self._conv2(self._conv1(features, width).relu_(), width)
        common = features[..., :width]
        if self.stride == 2:
            common = F.max_pool2d(common.permute(0, 3, 1, 2), 2, ceil_mode=True).permute(0, 2, 3, 1)
        output[..., : common.shape[-1]] += common
        torch.clamp_min(output, 0, out=out)


class FoldedNetwork:
    """The teacher's weights from which all remapped students are computed, in eval mode.

    Args:
        network: the teacher.
        dtype: of weights and features.

    Attributes:
        blocks: the blocks of each stage.
    """

    def __init__(self, network: ElasticResNet, dtype: torch.dtype) -> None:
        with torch.no_grad():
            self._stem = FoldedConv(network.stem_conv, network.stem_bn, dtype)
            self.blocks = [
                [FoldedBlock(block, dtype) for block in stage.children() if isinstance(block, BasicBlock)]
                for stage in network.stages
            ]
        self._stem_width = network.stem_conv.out_channels

    def stem(self, images: Tensor) -> Tensor:
        """The stem at full width, of which a student takes the first channels: [n, h, w, 3] to [n, h, w, c]."""
        return self._stem(images, self._stem_width).relu_()
