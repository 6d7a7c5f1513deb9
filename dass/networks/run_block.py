"""The only statement of what a residual block computes; how a convolution is carried out is the caller's."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dass.families.blocks import Block, Conv, Shortcut


class Apply(Protocol):
    """How one convolution with its batch norm is carried out: trained, folded, with a batch's statistics, ..."""

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """ReLU of convolution and norm: [n, entering, h, w] to [n, leaving, h / stride, w / stride], rounded up."""
        ...

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """The same without ReLU."""
        ...

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """ReLU of convolution and norm plus `kept`, which may lack the last channels: they count as zeros."""
        ...


def run_block(block: Block, features: Tensor, apply: Apply) -> Tensor:
    """Carries out one block.

    Args:
        block: description of the block.
        features: [n, entering, h, w].
        apply: implementation of the block's convolutions.

    Returns:
        [n, leaving, h / stride, w / stride], sizes rounded up.
    """
    inner = features
    for conv in block.convs[:-1]:
        inner = apply.relu(conv, inner)
    if block.shortcut is not None and block.shortcut.kind == "behind_relu":
        return apply.relu(block.convs[-1], inner) + features
    if block.shortcut is not None:
        return apply.add_relu(block.convs[-1], inner, _kept(block.shortcut, features, block.leaving, apply))
    inner = apply.relu(block.convs[-1], inner)
    return F.max_pool2d(inner, 3, stride=2, padding=1) if block.max_pool else inner


def pad_channels(features: Tensor, channels: int) -> Tensor:
    """Adds channels of zeros behind [n, c, h, w] up to a number of channels."""
    missing = channels - features.shape[1]
    return F.pad(features, (0, 0, 0, 0, 0, missing)) if missing else features


def relu_(features: Tensor) -> Tensor:
    """ReLU in place, without a gradient.

    On a CPU numbers in bfloat16 are taken as whole ones of 16 bits, whose sign is the same bit: PyTorch would turn each
    into float32 and back, which takes several times as long. A negative NaN becomes 0 there, so the weights must be
    finite.
    """
    if _are_bits(features):
        features.view(torch.int16).clamp_min_(0)
        return features
    return features.relu_()


def _halve(features: Tensor) -> Tensor:
    """The largest of each 2x2 pixels of features >= 0: [n, c, h, w] to half of h and w, rounded up."""
    if _are_bits(features) and not (features.shape[2] % 2 or features.shape[3] % 2):
        bits = features.view(torch.int16)  # in the same order as the numbers, see `relu_`
        rows = torch.maximum(bits[:, :, ::2], bits[:, :, 1::2])
        return torch.maximum(rows[..., ::2], rows[..., 1::2]).view(features.dtype)
    return F.max_pool2d(features, 2, ceil_mode=True)


def _are_bits(features: Tensor) -> bool:
    """Whether features can be compared as whole numbers: bfloat16 on a CPU, and no gradient is wanted."""
    return features.dtype is torch.bfloat16 and features.device.type == "cpu" and not torch.is_grad_enabled()


def _kept(shortcut: Shortcut, features: Tensor, channels: int, apply: Apply) -> Tensor:
    """What a block adds to its output, [n, at most channels, h / stride, w / stride]."""
    if shortcut.kind == "pool_and_projection" and shortcut.stride > 1:
        features = F.avg_pool2d(features, shortcut.stride, ceil_mode=True)
    if shortcut.conv is not None:
        return apply.linear(shortcut.conv, features)
    if shortcut.kind == "crop_or_pad":
        features = features[:, :channels]
        return _halve(features) if shortcut.stride == 2 else features  # behind a ReLU
    missing = channels - features.shape[1]
    features = features[:, :, :: shortcut.stride, :: shortcut.stride]
    return F.pad(features, (0, 0, 0, 0, missing // 2, missing - missing // 2)) if missing else features
