"""What an architecture costs: parameters and multiply-accumulates, in closed form (no network is built)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dass.errors import UsageError
from dass.families.blocks import IMAGE_CHANNELS, Block, halved, side_behind
from dass.families.family import Family
from dass.space.architecture import Architecture, stage_blocks

NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
DESCRIPTION = 88  # bytes of a tensor's dtype, shape and offsets in a safetensors header, at most


@dataclass(frozen=True)
class CostLimits:
    """What a network may cost on one image.

    Attributes:
        resolution: side of the image in pixels.
        classes: number of classes: outputs of the linear layer.
        max_macs: most multiply-accumulates (conv + linear), not in millions; None for no limit.
        max_params: most parameters, not in millions; None for no limit.
        min_macs: fewest multiply-accumulates; None for no limit.
        min_params: fewest parameters; None for no limit.
    """

    resolution: int
    classes: int
    max_macs: float | None = None
    max_params: float | None = None
    min_macs: float | None = None
    min_params: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return (self.max_macs, self.max_params, self.min_macs, self.min_params) != (None,) * 4


@dataclass(frozen=True)
class Cost:
    """Cost of one network on one image.

    Attributes:
        parameters: trained weights (convolutions, batch-norm affine, linear).
        macs: multiply-accumulates of convolutions and the linear layer.
        macs_bn1: `macs` plus 1 per batch-norm output element, the counter behind Table 7.
        macs_bn3_pool: `macs` plus 2 per batch-norm output element, 1 per ReLU's and 1 per input element of the
            pools (ptflops), the counter behind Table 5.
    """

    parameters: int
    macs: int
    macs_bn1: int
    macs_bn3_pool: int


@dataclass(frozen=True)
class BlocksCost:
    """What some blocks add to `Cost`.

    Attributes:
        parameters: number of trained weights.
        macs: multiply-accumulates of their convolutions.
        bn_elements: output elements of their batch norms.
        relu_elements: output elements of their ReLUs.
        pool_elements: input elements of their pooling modules.
    """

    parameters: int
    macs: int
    bn_elements: int
    relu_elements: int
    pool_elements: int


def cost(architecture: Architecture, resolution: int, classes: int) -> Cost:
    """Counts the cost of a network, whatever space it comes from.

    Args:
        architecture: architecture of the network.
        resolution: side of the square input in pixels, at least 1.
        classes: outputs of the linear layer, at least 1.

    Raises:
        UsageError: resolution or classes below 1.
    """
    if resolution < 1 or classes < 1:
        raise UsageError(f"resolution and classes must be at least 1, found {resolution} and {classes}")
    stem = architecture.stem
    parts = [blocks_cost(stem, resolution)]
    entering, side = stem[-1].leaving, side_behind(stem, resolution)
    for index, widths in enumerate(architecture.widths):
        part, entering, side = _stage_cost(architecture.family, index, widths, entering, side)
        parts.append(part)
    linear = entering * classes
    macs = sum(part.macs for part in parts) + linear
    norms = sum(part.bn_elements for part in parts)
    relus = sum(part.relu_elements for part in parts)
    pooled = sum(part.pool_elements for part in parts)
    if architecture.family.pool_is_module:
        pooled += entering * side**2
    return Cost(
        parameters=sum(part.parameters for part in parts) + linear + classes,
        macs=macs,
        macs_bn1=macs + norms,
        macs_bn3_pool=macs + 2 * norms + relus + pooled,
    )


def weights_size(architecture: Architecture, classes: int) -> int:
    """Bytes that a file of a network's weights has at most, in float32, and with its batch norms' statistics.

    The file is shorter by some bytes for each of its tensors, whose offsets have not all the same length.

    Args:
        architecture: architecture of the network.
        classes: number of classes: outputs of the linear layer.
    """
    channels = architecture.blocks[-1].leaving
    sizes = [channels * classes, classes, IMAGE_CHANNELS, IMAGE_CHANNELS]
    names = [f"{architecture.family.head}.weight", f"{architecture.family.head}.bias", "input.mean", "input.std"]
    for block in architecture.blocks:
        for conv in block.all_convs:
            sizes += [conv.weights, *[conv.leaving] * 4, 2]  # the last counts steps, in 8 bytes
            names += [f"{conv.name}.weight", *(f"{conv.norm}.{name}" for name in NORM_TENSORS)]
    return 4 * sum(sizes) + sum(map(len, names)) + DESCRIPTION * len(names)


@lru_cache(maxsize=2**16)  # thousands of candidates share some dozens of stages
def _stage_cost(
    family: Family, stage: int, widths: tuple[int, ...], entering: int, side: int
) -> tuple[BlocksCost, int, int]:
    """The cost of a stage, and the channels and side with which it is left."""
    blocks = stage_blocks(family, stage, widths, entering)
    return blocks_cost(blocks, side), blocks[-1].leaving, side_behind(blocks, side)


def blocks_cost(blocks: Sequence[Block], side: int) -> BlocksCost:
    """Counts some blocks, one after the other.

    Args:
        blocks: descriptions of the blocks.
        side: side of the first one's square input in pixels.
    """
    parameters = macs = norms = relus = pools = 0
    for block in blocks:
        inner = side
        for conv in block.convs:
            inner = halved(inner, conv.stride)
            parameters += conv.weights + 2 * conv.leaving
            macs += conv.weights * inner**2
            norms += conv.leaving * inner**2
            relus += conv.leaving * inner**2
        if block.shortcut and (projection := block.shortcut.conv):
            parameters += projection.weights + 2 * projection.leaving
            macs += projection.weights * inner**2
            norms += projection.leaving * inner**2
            if block.shortcut.kind == "pool_and_projection":  # a module at stride 1 too
                pools += projection.entering * side**2
        if block.max_pool:  # the 2x2 max-pool of a shortcut is no module of its own and not counted
            pools += block.leaving * inner**2
        side = halved(side, block.stride)
    return BlocksCost(parameters, macs, norms, relus, pools)
