"""The only statement of what a residual block computes; how a convolution is carried out is the caller's."""

from typing import Protocol

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

    def add_relu(self, conv: Conv, features: Tensor, kept: Tensor) -> Tensor:
        """ReLU of convolution and norm plus `kept`, which may lack the last channels: they count as zeros."""
        ...


def run_block(block: Block, features: Tensor, apply: Apply) -> Tensor:
    """Carries out one block.

    Args:
        block: the description.
        features: [n, entering, h, w].
        apply: carries out its convolutions.

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


def _kept(shortcut: Shortcut, features: Tensor, channels: int, apply: Apply) -> Tensor:
    """What a block adds to its output, [n, at most channels, h / stride, w / stride]."""
    if shortcut.kind == "pool_and_projection" and shortcut.stride > 1:
        features = F.avg_pool2d(features, shortcut.stride, ceil_mode=True)
    if shortcut.conv is not None:
        return apply.linear(shortcut.conv, features)
    if shortcut.kind == "crop_or_pad":
        features = features[:, :channels]
        return F.max_pool2d(features, 2, ceil_mode=True) if shortcut.stride == 2 else features
    missing = channels - features.shape[1]
    features = features[:, :, :: shortcut.stride, :: shortcut.stride]
    return F.pad(features, (0, 0, 0, 0, missing // 2, missing - missing // 2)) if missing else features
