"""What a student may be: depth per stage, and a width ratio per stage or per block."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator

from dass.config import ElasticSpace as Elastic
from dass.config import NamedSpace, Space
from dass.errors import UsageError
from dass.families.blocks import halved
from dass.families.family import Family, lay_out
from dass.families.paper_resnet import PAPER_RESNET
from dass.families.registry import FAMILIES, family_from_json, family_to_json
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits
from dass.space.limits import LimitCheck, too_few
from dass.space.sampling import WORD, sample_by_draws, sample_exactly

ENUMERABLE = 2**21  # spaces up to this size are sampled exactly; the tables' space has 37^4 = 1,874,161
RATIOS = tuple(eighth / 8 for eighth in range(2, 9))  # of a space that neither params.yaml nor a predictor fixes


@dataclass(frozen=True)
class SearchSpace:
    """A factorised space of residual networks (Appendix A).

    A stage's *options* are its distinct configurations, numbered by depth and then by the widths of all blocks
    that are free. Where the family keeps the last block of a stage at full width, that block is not free.

    Attributes:
        widths: full elastic width of each stage, in channels.
        max_depth: blocks of the deepest configuration of a stage, at least 1: one number, or one for each stage.
        ratios: allowed width ratios, ascending within (0, 1], ending in 1.
        granularity: `stage` (one ratio for all free blocks of a stage) or `block` (one for each).
        family: the fixed parts of the networks.
        divisor: widths are multiples of it, but for the full width.
    """

    widths: tuple[int, ...]
    max_depth: int | tuple[int, ...]
    ratios: tuple[float, ...]
    granularity: Literal["stage", "block"]
    family: Family = PAPER_RESNET
    divisor: int = 1

    @classmethod
    def from_config(cls, space: Space | NamedSpace | Elastic) -> "SearchSpace":
        """The space that a validated `params.yaml` block describes."""
        if isinstance(space, Elastic):
            from dass.space.elastic_space import ElasticSpace  # which is one of these

            return ElasticSpace.from_block(space)
        if isinstance(space, NamedSpace):
            family, widths = FAMILIES[space.family].networks()[space.network]
            family = lay_out(family, space.layout)
            return cls.below(Architecture(widths, family), space.ratios, space.granularity, space.divisor)
        return cls(space.widths, space.max_depth, space.ratios, space.granularity)

    @classmethod
    def below(
        cls,
        teacher: Architecture,
        ratios: tuple[float, ...],
        granularity: Literal["stage", "block"],
        divisor: int | None = None,
    ) -> "SearchSpace":
        """The space whose largest member is a teacher; `divisor` None for the family's.

        Raises:
            UsageError: the teacher's blocks of a stage differ in width.
        """
        for stage, widths in enumerate(teacher.widths, start=1):
            if len(set(widths)) > 1:
                raise UsageError(
                    f"the teacher's stage {stage} has blocks of different widths ({', '.join(map(str, widths))}): "
                    "teachers of equal widths within a stage are supported"
                )
        full = tuple(widths[0] for widths in teacher.widths)
        depths: int | tuple[int, ...] = teacher.depths if len(set(teacher.depths)) > 1 else teacher.depths[0]
        family = teacher.family
        return cls(full, depths, ratios, granularity, family, family.divisor if divisor is None else divisor)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "SearchSpace":
        """The space that `facts` wrote, also after a way through JSON.

        Raises:
            KeyError, TypeError, UsageError: these are not the facts of a space.
        """
        values: dict[str, Any] = {key: _tuples(value) for key, value in facts.items()}
        if "family" in values:
            values["family"] = family_from_json(facts["family"])
        if "stem_widths" in values:
            from dass.space.elastic_space import ElasticSpace  # which is one of these

            return ElasticSpace(**values)
        return cls(**values)

    def facts(self) -> dict[str, Any]:
        """The space as a JSON value; family and divisor are left out where they are the paper's."""
        facts = asdict(self) | {"family": family_to_json(self.family)}
        if (self.family, self.divisor) == (PAPER_RESNET, 1):
            del facts["family"], facts["divisor"]
        return facts

    @property
    def depths(self) -> tuple[int, ...]:
        """Most blocks of each stage."""
        return (self.max_depth,) * len(self.widths) if isinstance(self.max_depth, int) else self.max_depth

    @property
    def largest(self) -> Architecture:
        """The largest member, which is the teacher's architecture."""
        stages = zip(self.widths, self.depths, strict=True)
        return Architecture(tuple((width,) * depth for width, depth in stages), self.family)

    @property
    def embedding_channels(self) -> int:
        """Channels of the output of the last stage, the same for all members."""
        return self.largest.blocks[-1].leaving

    def embedding_side(self, resolution: int) -> int:
        """Side in pixels of the output of the last stage for images of a side, the same for all members."""
        return halved(resolution, self.family.reduction)

    @property
    def code_length(self) -> int:
        """Inputs of the one-hot code: 181 in the tables' space."""
        return 1 + sum(self.depths) * len(self.ratios)

    @cached_property
    def stage_options(self) -> tuple[int, ...]:
        """Distinct configurations of each stage: 37 in the tables' space."""
        return tuple(sum(counts) for counts in self._options_per_depth)

    @property
    def size(self) -> int:
        """Distinct architectures."""
        return prod(self.stage_options)

    def check(self, architecture: Architecture) -> None:
        """Refuses what is not a member.

        Raises:
            UsageError: the first depth or width that the space does not have, with those it has.
        """
        if architecture.family != self.family:
            raise UsageError(
                f"architecture {architecture.stage_label} is a {architecture.family.name}; the search space holds "
                f"networks of {self.family}"
            )
        for index, blocks in enumerate(architecture.widths):
            where = f"architecture {architecture.stage_label}: stage {index + 1}"
            if len(blocks) > self.depths[index]:
                raise UsageError(f"{where} has {len(blocks)} blocks; the search space allows 1..{self.depths[index]}")
            if self.family.ends_full and blocks[-1] != self.widths[index]:
                raise UsageError(f"{where} must end at its full width {self.widths[index]}, found {blocks[-1]}")
            for width in blocks:
                if width not in self._ratio_index[index]:
                    allowed = ", ".join(map(str, self._ratio_index[index]))
                    raise UsageError(f"{where}: width {width} is outside the search space; allowed are {allowed}")
            free = blocks[:-1] if self.family.ends_full else blocks
            if self.granularity == "stage" and len(set(free)) > 1:
                raise UsageError(f"{where} mixes widths {free}; this space has one ratio per stage")

    def from_depth_width(self, depths: Sequence[int], stage_widths: Sequence[int]) -> Architecture:
        """The architecture that a row of the paper's tables means.

        Args:
            depths: number of blocks of each stage.
            stage_widths: width of all free blocks of each stage; it must be an allowed one. In the paper's family the
                last block is not free, so it has no effect at depth 1.

        Raises:
            UsageError: not one of each for each stage, or outside the space.
        """
        stages = len(self.widths)
        if len(depths) != stages or len(stage_widths) != stages:
            raise UsageError(
                f"depth and width need {stages} numbers each, found {list(depths)} and {list(stage_widths)}"
            )
        for index, (depth, width) in enumerate(zip(depths, stage_widths, strict=True)):
            if not 1 <= depth <= self.depths[index]:
                limit = self.depths[index]
                raise UsageError(f"depth {depth} of stage {index + 1} is outside the search space: 1..{limit}")
            if width not in self._ratio_index[index]:
                allowed = ", ".join(map(str, self._ratio_index[index]))
                raise UsageError(f"width {width} of stage {index + 1} is outside the search space: {allowed}")
        rows = zip(depths, stage_widths, self.widths, strict=True)
        if self.family.ends_full:
            return Architecture(tuple((width,) * (depth - 1) + (full,) for depth, width, full in rows), self.family)
        return Architecture(tuple((width,) * depth for depth, width, _ in rows), self.family)

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """One-hot codes (Appendix B.3): a constant 1, then per block slot one input per ratio.

        Absent blocks are zero.

        Returns:
            float32 [n, code_length].

        Raises:
            UsageError: an architecture is not a member.
        """
        code = np.ones((len(architectures), self.code_length), dtype=np.float32)
        end = 1
        for stage, index in enumerate(self._ratio_index):
            start, end = end, end + self.depths[stage] * len(self.ratios)
            seen: dict[tuple[int, ...], Architecture] = {}  # thousands of candidates share some dozens of stages
            for architecture in architectures:
                seen.setdefault(architecture.widths[stage], architecture)
            table = np.zeros((len(seen), self.depths[stage], len(self.ratios)), dtype=np.float32)
            for row, (blocks, architecture) in enumerate(seen.items()):
                self.check(architecture)
                table[row, range(len(blocks)), [index[width] for width in blocks]] = 1
            rows = {blocks: row for row, blocks in enumerate(seen)}
            chosen = [rows[architecture.widths[stage]] for architecture in architectures]
            code[:, start:end] = table.reshape(len(seen), end - start)[chosen]
        return code

    def sample(
        self, n: int, rng: np.random.Generator, limits: CostLimits | None = None, *, fewer: bool = False
    ) -> list[Architecture]:
        """Draws distinct architectures, each depth and then each ratio with equal chance.

        The first k of n are what a call for k returns from a generator in the same state, so a sample can be
        enlarged later.

        Args:
            n: number of students.
            rng: the source of randomness; the result depends on nothing else.
            limits: limits on the cost; None for none.
            fewer: give all there are where there are fewer than n; none is still refused.

        Raises:
            UsageError: the space holds fewer distinct architectures within the limits; the message says how many.
        """
        fits = self.limits(limits) if limits and limits.any else None
        chosen = (sample_exactly if self.size <= ENUMERABLE else sample_by_draws)(self._options_per_depth, n, rng, fits)
        if fits and not len(chosen) and n:
            raise UsageError(
                f"no member of the search space fits the limits: the smallest member has {fits.smallest}, the largest "
                f"{fits.largest}; change the limits"
            )
        if len(chosen) < n and not (fewer and len(chosen)):
            raise too_few(n, len(chosen), (fits.smallest, fits.largest) if fits else None)
        return [Architecture(self._widths(row), self.family) for row in chosen]

    def limits(self, limits: CostLimits) -> LimitCheck:
        """Which samples keep limits, and what the cheapest members cost."""
        return LimitCheck(self.largest, self._choices, self.stage_options, self._positions, limits)

    def blocks(self, stage: int, option: int) -> tuple[int, ...]:
        """Widths of the blocks of a stage's option, 0..stage_options[stage] - 1."""
        [positions] = self._positions(
            stage, np.array([option], dtype=object if self.stage_options[stage] > WORD else np.int64)
        )
        return tuple(self._choices[stage][position] for position in positions if position >= 0)

    def width(self, stage: int, ratio: int) -> int:
        """Channels of a stage's block at the ratio of that index in `ratios`."""
        full = self.widths[stage]
        if self.ratios[ratio] == 1.0:
            return full
        rounded = self.divisor * round(full * self.ratios[ratio] / self.divisor)
        return min(full, max(self.divisor, rounded))

    def _widths(self, row: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        return tuple(self.blocks(stage, int(option)) for stage, option in enumerate(row))

    @cached_property
    def _options_per_depth(self) -> list[list[int]]:
        """How many options each stage has at each depth, from 1."""
        return [
            [len(choices) ** self._free(depth) for depth in range(1, deepest + 1)]
            for choices, deepest in zip(self._choices, self.depths, strict=True)
        ]

    def _free(self, depth: int) -> int:
        """Widths to choose in a stage of so many blocks."""
        blocks = depth - 1 if self.family.ends_full else depth
        return min(blocks, 1) if self.granularity == "stage" else blocks

    @cached_property
    def _ratio_index(self) -> list[dict[int, int]]:
        return [{self.width(stage, i): i for i in range(len(self.ratios))} for stage in range(len(self.widths))]

    @cached_property
    def _choices(self) -> list[list[int]]:
        """Distinct widths of each stage, ascending."""
        return [sorted(index) for index in self._ratio_index]

    def _positions(self, stage: int, options: NDArray[Any]) -> NDArray[np.int64]:
        """Where in `_choices` the widths of options stand: [n, depth], -1 for absent blocks."""
        count, deepest = len(self._choices[stage]), self.depths[stage]
        positions = np.full((len(options), deepest), -1, dtype=np.int64)
        first = 0
        for depth, number in enumerate(self._options_per_depth[stage], start=1):
            mine = np.flatnonzero((options >= first) & (options < first + number))
            rest, free = options[mine] - first, self._free(depth)
            for block in range(free):
                positions[mine, block] = (rest // count ** (free - 1 - block) % count).astype(np.int64)
            if self.granularity == "stage" and free:
                positions[mine, :depth] = positions[mine, :1]
            if self.family.ends_full:
                positions[mine, depth - 1] = count - 1
            first += number
        return positions


SearchSpaceField = Annotated[
    SearchSpace, PlainValidator(SearchSpace.from_facts), PlainSerializer(lambda space: space.facts())
]
"""A search space as a field of a card (`dass.cards`)."""


def _tuples(value: Any) -> Any:
    """Lists as tuples, also within one another."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
