"""Latency on the device at hand: measured block by block, so that thousands of candidates cost seconds.

A network's time is near the sum of its blocks' times (Cai et al. 2019, appendix). What is shown to the user is
measured on whole networks again.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from dass.families.blocks import IMAGE_CHANNELS, Block, halved, side_behind
from dass.networks.elastic_resnet import ElasticResNet, Trunk
from dass.space.architecture import Architecture

REPEATS = 15
WARM_UP = 3


@dataclass(frozen=True)
class LatencyTable:
    """Times of a search space's parts on one device.

    Attributes:
        resolution: side of the images in pixels.
        blocks: milliseconds of each block, by its description without names and the side of its input.
        heads: times of pooling and classifier, by the channels with which the last stage is left.
    """

    resolution: int
    blocks: dict[tuple[Block, int], float]
    heads: dict[int, float]

    def estimate(self, architecture: Architecture) -> float:
        """Milliseconds of one forward pass, as the sum of its parts.

        Raises:
            KeyError: the architecture has a part that was not measured.
        """
        head = self.heads[architecture.blocks[-1].leaving]
        return sum(self.blocks[block] for block in _blocks(architecture, self.resolution)) + head


def measure_parts(
    architectures: Sequence[Architecture],
    resolution: int,
    classes: int,
    device: torch.device,
    *,
    batch: int = 1,
    known: LatencyTable | None = None,
) -> LatencyTable:
    """Times every distinct block of some architectures once, with random weights, in float32.

    Args:
        architectures: architectures of the candidates.
        resolution: side of the images in pixels.
        classes: number of classes of the task.
        device: device that students will run on.
        batch: number of images in a forward pass.
        known: parts that were timed before, in the same way; they are not timed again.

    Returns:
        All parts, the known ones too.
    """
    known = known or LatencyTable(resolution, {}, {})
    blocks = dict.fromkeys(block for architecture in architectures for block in _blocks(architecture, resolution))
    side = side_behind(architectures[0].blocks, resolution)

    def head(channels: int) -> float:
        layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        return _time(layers, (batch, channels, side, side), device)

    return LatencyTable(
        resolution,
        known.blocks
        | {
            (block, entered): _time(Trunk((block,)), (batch, block.entering, entered, entered), device)
            for block, entered in blocks
            if (block, entered) not in known.blocks
        },
        known.heads
        | {
            channels: head(channels)
            for channels in {architecture.blocks[-1].leaving for architecture in architectures}
            if channels not in known.heads
        },
    )


def measure_latency(
    architecture: Architecture, resolution: int, classes: int, device: torch.device, *, batch: int = 1
) -> float:
    """Milliseconds of one forward pass of a whole network, the median of several."""
    shape = (batch, IMAGE_CHANNELS, resolution, resolution)
    return _time(ElasticResNet(architecture, classes), shape, device)


def _blocks(architecture: Architecture, resolution: int) -> Iterator[tuple[Block, int]]:
    """Each block without its place in the network, and the side of its input: equal ones take equal time."""
    side = resolution
    for block in architecture.blocks:
        yield _unnamed(block), side
        side = halved(side, block.stride)


@lru_cache(maxsize=2**12)  # thousands of candidates share some hundreds of blocks
def _unnamed(block: Block) -> Block:
    convs = tuple(replace(conv, name=f"conv{i}", norm=f"norm{i}") for i, conv in enumerate(block.convs))
    shortcut = block.shortcut
    if shortcut and shortcut.conv:
        shortcut = replace(shortcut, conv=replace(shortcut.conv, name="projection", norm="projection_norm"))
    return replace(block, convs=convs, shortcut=shortcut)


@torch.inference_mode()
def _time(module: nn.Module, shape: tuple[int, ...], device: torch.device) -> float:
    module = module.to(device).to(memory_format=torch.channels_last).eval()
    features = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
    return statistics.median(_runs(module, features))


def _runs(module: Callable[[Tensor], Tensor], features: Tensor) -> Iterator[float]:
    for run in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        module(features)
        if features.is_cuda:
            torch.cuda.synchronize(features.device)
        if run >= WARM_UP:
            yield 1000 * (time.perf_counter() - started)
