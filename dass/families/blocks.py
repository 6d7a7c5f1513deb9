"""A residual network as a description: convolutions with a batch norm each, and what a block adds to them.

Everything that runs, counts, slices or times a network is derived from these descriptions:
`dass.networks.run_block` carries one out, `dass.space.cost` counts it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

IMAGE_CHANNELS = 3

ShortcutKind = Literal["crop_or_pad", "subsample_and_pad", "projection", "pool_and_projection", "behind_relu"]


@dataclass(frozen=True, order=True)
class Conv:
    """A square convolution without bias, followed by a batch norm; padding keeps the resolution.

    Attributes:
        name: name of its module, dots between levels.
        norm: name of the batch norm's module.
        entering: number of channels of the input.
        leaving: number of channels of the output.
        kernel: side of the kernel in pixels, odd.
        stride: 1, or 2 to halve the resolution, rounding up.
    """

    name: str
    norm: str
    entering: int
    leaving: int
    kernel: int = 3
    stride: int = 1

    @property
    def weights(self) -> int:
        """Weights of the convolution, without its batch norm."""
        return self.entering * self.leaving * self.kernel**2


@dataclass(frozen=True, order=True)
class Shortcut:
    """What a block adds to the output of its convolutions.

    Attributes:
        kind: `crop_or_pad` drops trailing channels or adds channels of zeros, with a 2x2 max-pool at stride 2
            (the paper's released code); `subsample_and_pad` takes every second pixel and adds as many channels of
            zeros before as behind (option A of He et al. 2016); `projection` is a convolution with batch norm;
            `pool_and_projection` is one of stride 1 behind an average pool as wide as the stride (ResNet-D);
            `behind_relu` adds the input as it is, after the last ReLU instead of before it.
        stride: 1 or 2, as of the block.
        conv: the convolution of a projection.
    """

    kind: ShortcutKind
    stride: int = 1
    conv: Conv | None = None


@dataclass(frozen=True, order=True)
class Block:
    """One step of a network; equal blocks of remapped students have the same weights.

    Attributes:
        convs: one after the other, a ReLU behind each; the last ReLU comes after the shortcut is added.
        shortcut: None for a plain step, as a stem is.
        max_pool: whether a 3x3 max-pool of stride 2 follows.
    """

    convs: tuple[Conv, ...]
    shortcut: Shortcut | None = None
    max_pool: bool = False

    @property
    def entering(self) -> int:
        """Channels of the input."""
        return self.convs[0].entering

    @property
    def leaving(self) -> int:
        """Channels of the output."""
        return self.convs[-1].leaving

    @cached_property
    def stride(self) -> int:
        """How much smaller the output's sides are: 1, 2 or 4."""
        stride = 2 if self.max_pool else 1
        for conv in self.convs:
            stride *= conv.stride
        return stride

    @property
    def all_convs(self) -> tuple[Conv, ...]:
        """The convolutions with that of the shortcut, in the order in which their weights are kept."""
        projection = self.shortcut.conv if self.shortcut else None
        return (*self.convs, projection) if projection else self.convs


@dataclass(frozen=True, order=True)
class Normalization:
    """How a network wants its images: (p - mean) / std of pixels p in 0..1, for red, green and blue.

    Attributes:
        mean: mean of each channel, 0..1.
        std: standard deviation of each channel, above 0.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


HALF = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # pixels in -1..1, as all batches here come
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def side_behind(blocks: Iterable[Block], side: int) -> int:
    """Side in pixels of what the last of some blocks gives for a square input."""
    for block in blocks:
        side = halved(side, block.stride)
    return side


def halved(side: int, stride: int) -> int:
    """Side of an output in pixels, rounding up at each halving."""
    while stride > 1:
        side, stride = (side + 1) // 2, stride // 2
    return side
