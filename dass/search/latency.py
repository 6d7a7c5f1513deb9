"""Latency on the device at hand: measured block by block, so that thousands of candidates cost seconds.

A network's time is near the sum of its blocks' times (Cai et al. 2019, appendix). What is shown to the user is
measured on whole networks again.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dass.networks.elastic_resnet import IMAGE_CHANNELS, BasicBlock, Conv3x3, ElasticResNet
from dass.space.architecture import STAGES, Architecture
from dass.space.cost import stage_resolution

REPEATS = 15
WARM_UP = 3

Block = tuple[int, int, int, int]  # stage, 1 for its first block else 0, channels before and after it


@dataclass(frozen=True)
class LatencyTable:
    """Times of a search space's parts on one device.

    Attributes:
        blocks: milliseconds of each block.
        stems: of stem convolutions by width.
        head: of pooling and classifier.
    """

    blocks: dict[Block, float]
    stems: dict[int, float]
    head: float

    def estimate(self, architecture: Architecture) -> float:
        """Milliseconds of one forward pass, as the sum of its parts.

        Raises:
            KeyError: the architecture has a block that was not measured.
        """
        return (
            self.stems[architecture.widths[0][0]]
            + sum(self.blocks[block] for block in _blocks(architecture))
            + self.head
        )


def measure_parts(
    architectures: Sequence[Architecture], resolution: int, classes: int, device: torch.device, *, batch: int = 1
) -> LatencyTable:
    """Times every distinct block of some architectures once, with random weights, in float32.

    Args:
        architectures: the candidates.
        resolution: side of the images in pixels.
        classes: of the task.
        device: where students will run.
        batch: images in a forward pass.
    """
    blocks = sorted({block for architecture in architectures for block in _blocks(architecture)})
    stems = sorted({architecture.widths[0][0] for architecture in architectures})
    last = architectures[0].widths[-1][-1]

    def block_time(block: Block) -> float:
        stage, first, before, after = block
        module = BasicBlock(before, after, stride=2 if stage > 0 and first else 1)
        side = stage_resolution(stage - 1 if stage > 0 and first else stage, resolution)
        return _time(module, (batch, before, side, side), device)

    def stem_time(width: int) -> float:
        module = nn.Sequential(Conv3x3(IMAGE_CHANNELS, width, stride=1), nn.BatchNorm2d(width), nn.ReLU())
        return _time(module, (batch, IMAGE_CHANNELS, resolution, resolution), device)

    side = stage_resolution(STAGES - 1, resolution)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))
    return LatencyTable(
        {block: block_time(block) for block in blocks},
        {width: stem_time(width) for width in stems},
        _time(head, (batch, last, side, side), device),
    )


def measure_latency(
    architecture: Architecture, resolution: int, classes: int, device: torch.device, *, batch: int = 1
) -> float:
    """Milliseconds of one forward pass of a whole network, the median of several."""
    shape = (batch, IMAGE_CHANNELS, resolution, resolution)
    return _time(ElasticResNet(architecture, classes), shape, device)


def _blocks(architecture: Architecture) -> Iterator[Block]:
    before = architecture.widths[0][0]
    for stage, widths in enumerate(architecture.widths):
        for position, after in enumerate(widths):
            yield stage, int(position == 0), before, after
            before = after


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
