"""What an architecture costs: parameters and multiply-accumulates, in closed form (no network is built)."""

from dataclasses import dataclass

from dass.errors import UsageError
from dass.space.architecture import Architecture

KERNEL = 9  # every convolution is 3x3
IMAGE_CHANNELS = 3


@dataclass(frozen=True)
class Cost:
    """Cost of one network on one image.

    Attributes:
        parameters: trained weights (convolutions, batch-norm affine, linear).
        macs: multiply-accumulates of convolutions and the linear layer.
        macs_bn1: `macs` plus 1 per batch-norm output element, the counter behind Table 7.
        macs_bn3_pool: `macs` plus 3 per batch-norm output element plus 1 per input element of the global pool,
            the counter behind Table 5.
    """

    parameters: int
    macs: int
    macs_bn1: int
    macs_bn3_pool: int


@dataclass(frozen=True)
class StageCost:
    """What one stage adds to `Cost`; stages are independent, since each is left at its full width.

    Attributes:
        parameters: trained weights.
        macs: multiply-accumulates of its convolutions.
        bn_elements: output elements of its batch norms.
    """

    parameters: int
    macs: int
    bn_elements: int


def cost(architecture: Architecture, resolution: int, classes: int) -> Cost:
    """Counts the cost of a network, whatever space it comes from.

    Args:
        architecture: the network.
        resolution: side of the square input in pixels, at least 1.
        classes: outputs of the linear layer, at least 1.

    Raises:
        UsageError: resolution or classes below 1.
    """
    if resolution < 1 or classes < 1:
        raise UsageError(f"resolution and classes must be at least 1, found {resolution} and {classes}")
    stages = []
    entering = 0
    for index, blocks in enumerate(architecture.widths):
        stages.append(stage_cost(index, blocks, entering, resolution))
        entering = blocks[-1]
    linear = entering * classes
    pooled = entering * stage_resolution(len(stages) - 1, resolution) ** 2
    macs = sum(stage.macs for stage in stages) + linear
    elements = sum(stage.bn_elements for stage in stages)
    return Cost(
        parameters=sum(stage.parameters for stage in stages) + linear + classes,
        macs=macs,
        macs_bn1=macs + elements,
        macs_bn3_pool=macs + 3 * elements + pooled,
    )


def stage_cost(index: int, blocks: tuple[int, ...], entering: int, resolution: int) -> StageCost:
    """Counts one stage; the first takes the stem with it, as the stem has the width of the first block.

    Args:
        index: 0..3.
        blocks: output channels of its blocks.
        entering: channels of its input; not used for the first stage.
        resolution: side of the network's square input in pixels.
    """
    area = stage_resolution(index, resolution) ** 2
    channels = entering
    weights = elements = affine = macs = 0
    if index == 0:
        channels = blocks[0]
        weights, affine = KERNEL * IMAGE_CHANNELS * channels, 2 * channels
        macs, elements = weights * area, channels * area
    for width in blocks:
        kernel = KERNEL * width * (channels + width)
        weights += kernel
        affine += 4 * width
        macs += kernel * area
        elements += 2 * width * area
        channels = width
    return StageCost(weights + affine, macs, elements)


def stage_resolution(index: int, resolution: int) -> int:
    """Side of a stage's output: stages 1..3 halve their input, rounding up."""
    for _ in range(index):
        resolution = (resolution + 1) // 2
    return resolution
