"""The space of Section 5.5: once-for-all's ResNet-50, where stages and the stem have elastic widths too."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dass.config import ElasticSpace as Block
from dass.errors import UsageError
from dass.families.family import Family, Widths
from dass.families.ofa_resnet import OfaResNet, divisible
from dass.families.registry import family_to_json
from dass.space.architecture import Architecture
from dass.space.cost import Cost, CostLimits, cost
from dass.space.limits import in_words, too_few
from dass.space.search_space import SearchSpace

PATIENCE = 20_000  # draws without a new architecture within the limits after which there are taken to be no more


@dataclass(frozen=True)
class ElasticSpace(SearchSpace):
    """Students of an `OfaResNet`: of each stage depth and width, of each block an expand ratio, and the stem.

    A block's inner width is its expand ratio times its own stage's width, so the parts of a student depend on one
    another. What is inherited says: `widths`: inner widths of the largest member; `max_depth`: its depths; `ratios`:
    expand ratios; `family`: the largest member's; `granularity`: `block`.

    Attributes:
        base_depths: fewest blocks of each stage.
        stream_ratios: width of a stage over its full width, ascending, ending in 1.
        stem_widths: choices of the stem's first and of its last convolution, ascending; its middle one may be missing.
    """

    base_depths: tuple[int, ...] = ()
    stream_ratios: tuple[float, ...] = (1.0,)
    stem_widths: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def from_block(cls, block: Block) -> "ElasticSpace":
        """The space that a validated `params.yaml` block describes."""
        most = block.expand_ratios[-1]
        return cls(
            tuple(divisible(round(stream * most)) for stream in block.streams),
            tuple(base + block.more_blocks for base in block.base_depths),
            block.expand_ratios,
            "block",
            OfaResNet(block.streams, tuple(choices[-1] for choices in block.stem_widths)),
            OfaResNet.divisor,
            block.base_depths,
            block.stream_ratios,
            block.stem_widths,
        )

    def facts(self) -> dict[str, Any]:
        """See `SearchSpace.facts`."""
        return asdict(self) | {"family": family_to_json(self.family)}

    @property
    def code_length(self) -> int:
        """Inputs of the one-hot code: a constant, expand ratios of 18 block slots, widths of stages, the stem."""
        stem = sum(len(choices) for choices in self.stem_widths) + 1
        return 1 + sum(self.depths) * len(self.ratios) + len(self.depths) * len(self.stream_ratios) + stem

    @property
    def size(self) -> int:
        """See `SearchSpace.size`."""
        ranges = zip(self.base_depths, self.depths, strict=True)
        blocks = prod(sum(len(self.ratios) ** depth for depth in range(least, most + 1)) for least, most in ranges)
        return blocks * len(self.stream_ratios) ** len(self.depths) * prod(map(len, self.stem_widths)) * 2

    @property
    def smallest(self) -> Architecture:
        """The member with the least of everything."""
        return self._member(self.base_depths, [0] * len(self.depths), [0] * sum(self.base_depths), (0, 0), False)

    def check(self, architecture: Architecture) -> None:
        """See `SearchSpace.check`."""
        self._places(architecture)

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """One-hot codes: a constant 1, per block slot an input per expand ratio, per stage one per width, the stem.

        The paper says that the code is like that of its other space; this layout is ours. Absent blocks are zero.

        Returns:
            float32 [n, code_length].

        Raises:
            UsageError: an architecture is not a member.
        """
        code = np.zeros((len(architectures), self.code_length), dtype=np.float32)
        code[:, 0] = 1
        for row, architecture in zip(code, architectures, strict=True):
            streams, expands, stem, residual = self._places(architecture)
            end = 1
            for stage, places in enumerate(expands):
                for position, place in enumerate(places):
                    row[end + position * len(self.ratios) + place] = 1
                end += self.depths[stage] * len(self.ratios)
            for place in streams:
                row[end + place] = 1
                end += len(self.stream_ratios)
            for place, choices in zip(stem, self.stem_widths, strict=True):
                row[end + place] = 1
                end += len(choices)
            row[end] = residual
        return code

    def from_depth_width(self, depths: Sequence[int], stage_widths: Sequence[int]) -> Architecture:
        """The member that a row of Table 6 means, which leaves expand ratios and stem open: the largest are taken.

        Args:
            depths: number of blocks of each stage.
            stage_widths: width of each stage.

        Raises:
            UsageError: not one of each for each stage, or outside the space.
        """
        stages = len(self.depths)
        if len(depths) != stages or len(stage_widths) != stages:
            raise UsageError(
                f"depth and width need {stages} numbers each, found {list(depths)} and {list(stage_widths)}"
            )
        family = replace(self._family, streams=tuple(stage_widths))
        widths = zip(depths, stage_widths, strict=True)
        made = Architecture(tuple((self._inner(width)[-1],) * max(depth, 1) for depth, width in widths), family)
        if min(depths) < 1:
            raise UsageError(f"depths {list(depths)} are outside the search space: {self._depth_words}")
        self.check(made)
        return made

    def sample(
        self, n: int, rng: np.random.Generator, limits: CostLimits | None = None, *, fewer: bool = False
    ) -> list[Architecture]:
        """Draws distinct members, every choice with equal chance; arguments as in `SearchSpace.sample`."""
        limited = limits if limits and limits.any else None
        least, most = (
            cost(end, limited.resolution, limited.classes) if limited else None for end in (self.smallest, self.largest)
        )
        fruitless = PATIENCE if limited and least and most and not _within(least, most, limited) else 0  # none fits
        found: dict[Architecture, None] = {}
        while len(found) < min(n, self.size) and fruitless < PATIENCE:
            drawn = self._draw(rng)
            if drawn in found or (limited and not _keeps(drawn, limited)):
                fruitless += 1
            else:
                found[drawn] = None
                fruitless = 0
        if len(found) < n and not (fewer and found):
            ends = (
                (in_words(least.macs, least.parameters), in_words(most.macs, most.parameters))
                if least and most
                else None
            )
            raise too_few(n, len(found), ends)
        return list(found)

    @property
    def _family(self) -> OfaResNet:
        assert isinstance(self.family, OfaResNet)
        return self.family

    @cached_property
    def _streams(self) -> list[list[int]]:
        """Widths that each stage may have, ascending."""
        return [[divisible(full * ratio) for ratio in self.stream_ratios] for full in self._family.streams]

    @property
    def _depth_words(self) -> str:
        return ", ".join(f"{least}..{most}" for least, most in zip(self.base_depths, self.depths, strict=True))

    def _inner(self, stream: int) -> list[int]:
        """Inner widths of a block in a stage of that width, ascending."""
        return [divisible(round(stream * ratio)) for ratio in self.ratios]

    def _draw(self, rng: np.random.Generator) -> Architecture:
        depths = [int(rng.integers(least, most + 1)) for least, most in zip(self.base_depths, self.depths, strict=True)]
        streams = rng.integers(len(self.stream_ratios), size=len(depths)).tolist()
        expands = rng.integers(len(self.ratios), size=sum(depths)).tolist()
        stem = tuple(int(rng.integers(len(choices))) for choices in self.stem_widths)
        return self._member(depths, streams, expands, stem, bool(rng.integers(2)))

    def _member(
        self,
        depths: Sequence[int],
        streams: Sequence[int],
        expands: Sequence[int],
        stem: Sequence[int],
        residual: bool,
    ) -> Architecture:
        """The member with these choices, by their numbers; `expands` has one for each block."""
        chosen = tuple(self._streams[stage][place] for stage, place in enumerate(streams))
        family = OfaResNet(chosen, tuple(c[place] for c, place in zip(self.stem_widths, stem, strict=True)), residual)
        left = iter(expands)
        widths: Widths = tuple(
            tuple(self._inner(stream)[next(left)] for _ in range(depth))
            for depth, stream in zip(depths, chosen, strict=True)
        )
        return Architecture(widths, family)

    def _places(self, architecture: Architecture) -> tuple[list[int], list[list[int]], list[int], bool]:
        """The inverse of `_member`: numbers of the stages' widths, of expand ratios by stage, of the stem's widths.

        Raises:
            UsageError: not a member; the message names the first part that is none.
        """
        family: Family = architecture.family
        where = f"architecture {architecture.stage_label}"
        if not isinstance(family, OfaResNet):
            raise UsageError(f"{where} is a {family.name}; the search space holds networks of {self.family.name}")
        streams, expands = [], []
        for stage, (blocks, stream) in enumerate(zip(architecture.widths, family.streams, strict=True)):
            at = f"{where}: stage {stage + 1}"
            streams.append(_place(self._streams[stage], stream, f"{at}: width"))
            if not self.base_depths[stage] <= len(blocks) <= self.depths[stage]:
                raise UsageError(f"{at} has {len(blocks)} blocks; the search space allows {self._depth_words}")
            expands.append([_place(self._inner(stream), width, f"{at}: inner width") for width in blocks])
        stem = [_place(c, w, f"{where}: stem width") for c, w in zip(self.stem_widths, family.stem_widths, strict=True)]
        return streams, expands, stem, family.stem_residual


def _place(allowed: Sequence[int], width: int, what: str) -> int:
    if width not in allowed:
        raise UsageError(f"{what} {width} is outside the search space; allowed are {', '.join(map(str, allowed))}")
    return list(allowed).index(width)


def _keeps(architecture: Architecture, limits: CostLimits) -> bool:
    own = cost(architecture, limits.resolution, limits.classes)
    return _within(own, own, limits)


def _within(least: Cost, most: Cost, limits: CostLimits) -> bool:
    """Whether costs from `least` to `most` meet the lower and upper limits on MACs and on parameters."""
    return all(
        (lower is None or high >= lower) and (upper is None or low <= upper)
        for low, high, lower, upper in (
            (least.macs, most.macs, limits.min_macs, limits.max_macs),
            (least.parameters, most.parameters, limits.min_params, limits.max_params),
        )
    )
