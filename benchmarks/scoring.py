"""Scoring candidates: one module per candidate with copied weights, against shared weights and beginnings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.meta_training import PlainPredictor, Size
from benchmarks.report import BenchmarkRow, convolution_rate, peak_memory_mib, reset_peak_memory, timed
from dass.device import computes_bfloat16, resolve_device
from dass.families.blocks import halved
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import AdaptedPredictor, MetaPredictor, score_candidates
from dass.predictor.tasks import TargetScale
from dass.space.architecture import Architecture
from dass.space.cost import blocks_cost
from dass.space.search_space import SearchSpace

CLASSES = 10
WIDTHS = (32, 64, 128, 256)
SIXTEENTHS = tuple(i / 16 for i in range(8, 17))


@dataclass(frozen=True)
class Setting:
    """What is scored in one row.

    Attributes:
        candidates: how many.
        granularity: of the width ratios.
        dtype: of our side; the naive one is always float32.
        resolution: of the noise.
        max_depth: of a stage.
    """

    candidates: int
    granularity: Literal["stage", "block"] = "stage"
    dtype: torch.dtype = torch.float32
    resolution: int = 64
    max_depth: int = 5

    @property
    def name(self) -> str:
        """Names everything that is compared."""
        precision = str(self.dtype).removeprefix("torch.")
        size = f"{self.resolution}x{self.resolution}"
        space = f"ratio per {self.granularity}, depth 1-{self.max_depth}"
        return f"scoring 1 of {self.candidates}, {space}, {size}, {precision}"


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures the tables' space, then how the cost grows with candidates, resolution and depth.

    Args:
        quick: fewer candidates and rounds.
    """
    scale = 10 if quick else 1
    reduced = torch.bfloat16 if computes_bfloat16(resolve_device()) else torch.float32
    settings = [
        *(Setting(3000 // scale, "stage", dtype) for dtype in dict.fromkeys((torch.float32, reduced))),
        *(Setting(3000 // scale, "block", dtype) for dtype in dict.fromkeys((torch.float32, reduced))),
        *(Setting(count // scale, dtype=reduced) for count in (100, 1000, 10_000)),
        *(Setting(1000 // scale, dtype=reduced, resolution=resolution) for resolution in (32, 128, 224)),
        *(Setting(1000 // scale, dtype=reduced, max_depth=depth) for depth in (2, 3)),
    ]
    return [compare(setting, rounds=1 if quick else 5) for setting in settings]


def compare(setting: Setting, rounds: int) -> BenchmarkRow:
    """Runs both sides, alternating; the naive one on a few of the candidates, as each costs it the same."""
    device = resolve_device()
    space = SearchSpace(WIDTHS, setting.max_depth, SIXTEENTHS, setting.granularity)
    teacher = ElasticResNet(space.largest, CLASSES).eval().to(device)
    candidates = space.sample(setting.candidates, np.random.default_rng(0))
    noise = fixed_noise(setting.resolution, 0).to(device)
    predictor = _predictor(space, teacher, noise)
    size = Size("", WIDTHS[-1], 0, space.code_length, 0)
    plain = PlainPredictor(size, teacher_once=True).to(device).eval()
    score_candidates(predictor, teacher, candidates[:50], space, noise, dtype=setting.dtype)  # first-use costs
    ours = partial(score_candidates, predictor, teacher, candidates, space, noise, dtype=setting.dtype)
    naive_seconds, ours_seconds = [], []
    reset_peak_memory()
    for start in range(rounds):
        few = candidates[start::rounds][:20]
        naive_seconds.append(timed(partial(naive, teacher, few, space, noise, plain)) / len(few))
        ours_seconds.append(timed(ours) / len(candidates))
    floor = operations(candidates, setting.resolution) / convolution_rate(device, setting.dtype) / len(candidates)
    return BenchmarkRow(
        name=setting.name,
        naive_seconds=median(naive_seconds),
        ours_seconds=median(ours_seconds),
        ratio=median(slow / fast for slow, fast in zip(naive_seconds, ours_seconds, strict=True)),
        floor_fraction=floor / median(ours_seconds),
        peak_mib=peak_memory_mib(),
        rounds=rounds,
    )


@torch.no_grad()
def naive(
    teacher: ElasticResNet,
    architectures: Sequence[Architecture],
    space: SearchSpace,
    noise: Tensor,
    predictor: PlainPredictor,
) -> list[float]:
    """Scores one candidate after the other, as a first script would."""
    weights = teacher.state_dict()
    teacher_embedding = teacher.features(noise)[0]
    scores = []
    for architecture in architectures:
        student = ElasticResNet(architecture, teacher.classes).to(noise.device).eval()
        sliced = {
            name: weights[name][tuple(slice(size) for size in value.shape)]
            for name, value in student.state_dict().items()
        }
        student.load_state_dict(sliced)
        code = torch.from_numpy(space.encode([architecture])).to(noise.device)
        scores.append(predictor(teacher_embedding, student.features(noise), code).item())
    return scores


def operations(architectures: Sequence[Architecture], resolution: int) -> int:
    """Floating-point operations of all blocks' convolutions, each distinct beginning of a student counted once.

    Args:
        architectures: the candidates.
        resolution: of the noise.
    """
    seen = set()
    total = 0
    for architecture in architectures:
        stem, *blocks = architecture.blocks
        side = halved(resolution, stem.stride)
        for position, block in enumerate(blocks):
            beginning = tuple(blocks[: position + 1])
            if beginning not in seen:
                seen.add(beginning)
                total += 2 * blocks_cost((block,), side).macs
            side = halved(side, block.stride)
    return total


def _predictor(space: SearchSpace, teacher: ElasticResNet, noise: Tensor) -> AdaptedPredictor:
    """A predictor with random weights: what it predicts does not matter here."""
    model = DassPredictor(WIDTHS[-1], space.code_length).to(noise.device)
    rates = {name: torch.full_like(weight, 0.005) for name, weight in model.layers.items()}
    with torch.no_grad():
        embedding = teacher.features(noise)[0]
    code = torch.from_numpy(space.encode([teacher.architecture]))[0]
    return MetaPredictor(model, rates, 1, TargetScale(40.0, 8.0)).adapt(embedding, code, 40.0)
