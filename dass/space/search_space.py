"""What a student may be: depth per stage, and a width ratio per stage or per block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dass.config import Space
from dass.errors import UsageError
from dass.space.architecture import STAGES, Architecture
from dass.space.cost import StageCost, cost, stage_cost

ENUMERABLE = 2**21  # spaces up to this size are sampled exactly; the tables' space has 37^4 = 1,874,161
DRAWS = 4096  # architectures drawn at a time from larger spaces
PATIENCE = 256  # rounds without a new architecture after which a larger space counts as exhausted


@dataclass(frozen=True)
class SearchSpace:
    """A factorised space of residual networks (Appendix A).

    A stage's *options* are its distinct configurations, numbered by depth and then by the ratios of all blocks
    but the last, which always has the full width: at depth 1 there is no ratio to choose.

    Attributes:
        widths: full width of each of the four stages, in channels.
        max_depth: blocks of the deepest stage, at least 1.
        ratios: allowed width ratios, ascending within (0, 1], ending in 1.
        granularity: `stage` (one ratio for all blocks of a stage but the last) or `block` (one for each).
    """

    widths: tuple[int, ...]
    max_depth: int
    ratios: tuple[float, ...]
    granularity: Literal["stage", "block"]

    @classmethod
    def from_config(cls, space: Space) -> "SearchSpace":
        """The space that a validated `params.yaml` block describes."""
        return cls(space.widths, space.max_depth, space.ratios, space.granularity)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "SearchSpace":
        """The space that `dataclasses.asdict` wrote, also after a way through JSON.

        Raises:
            KeyError, TypeError: these are not the facts of a space.
        """
        return cls(**{**facts, "widths": tuple(facts["widths"]), "ratios": tuple(facts["ratios"])})

    @property
    def largest(self) -> Architecture:
        """The largest member, which is the teacher's architecture."""
        return Architecture(tuple((width,) * self.max_depth for width in self.widths))

    @property
    def code_length(self) -> int:
        """Inputs of the one-hot code: 181 in the tables' space."""
        return 1 + STAGES * self.max_depth * len(self.ratios)

    @property
    def stage_options(self) -> int:
        """Distinct configurations of one stage: 37 in the tables' space."""
        return sum(self._options_per_depth)

    @property
    def size(self) -> int:
        """Distinct architectures."""
        return self.stage_options**STAGES

    def check(self, architecture: Architecture) -> None:
        """Refuses what is not a member.

        Raises:
            UsageError: the first depth or width that the space does not have, with those it has.
        """
        for index, blocks in enumerate(architecture.widths):
            where = f"architecture {architecture.stage_label}: stage {index + 1}"
            if len(blocks) > self.max_depth:
                raise UsageError(f"{where} has {len(blocks)} blocks; the search space allows 1..{self.max_depth}")
            if blocks[-1] != self.widths[index]:
                raise UsageError(f"{where} must end at its full width {self.widths[index]}, found {blocks[-1]}")
            for width in blocks:
                if width not in self._ratio_index[index]:
                    allowed = ", ".join(map(str, self._ratio_index[index]))
                    raise UsageError(f"{where}: width {width} is outside the search space; allowed are {allowed}")
            if self.granularity == "stage" and len(set(blocks[:-1])) > 1:
                raise UsageError(f"{where} mixes widths {blocks[:-1]}; this space has one ratio per stage")

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture is a member."""
        try:
            self.check(architecture)
        except UsageError:
            return False
        return True

    def from_depth_width(self, depths: Sequence[int], stage_widths: Sequence[int]) -> Architecture:
        """The architecture that a row of the paper's tables means.

        Args:
            depths: blocks of each stage.
            stage_widths: width of all blocks of each stage but the last; it must be an allowed one, and has no
                effect at depth 1.

        Raises:
            UsageError: not four of each, or outside the space.
        """
        if len(depths) != STAGES or len(stage_widths) != STAGES:
            raise UsageError(
                f"depth and width need {STAGES} numbers each, found {list(depths)} and {list(stage_widths)}"
            )
        for index, (depth, width) in enumerate(zip(depths, stage_widths, strict=True)):
            if not 1 <= depth <= self.max_depth:
                raise UsageError(f"depth {depth} of stage {index + 1} is outside the search space: 1..{self.max_depth}")
            if width not in self._ratio_index[index]:
                allowed = ", ".join(map(str, self._ratio_index[index]))
                raise UsageError(f"width {width} of stage {index + 1} is outside the search space: {allowed}")
        stages = zip(depths, stage_widths, self.widths, strict=True)
        return Architecture(tuple((width,) * (depth - 1) + (full,) for depth, width, full in stages))

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """One-hot codes (Appendix B.3): a constant 1, then per block slot one input per ratio.

        Absent blocks are zero.

        Returns:
            float32 [n, code_length].

        Raises:
            UsageError: an architecture is not a member.
        """
        span = self.max_depth * len(self.ratios)
        code = np.ones((len(architectures), self.code_length), dtype=np.float32)
        for stage, index in enumerate(self._ratio_index):
            seen: dict[tuple[int, ...], Architecture] = {}  # thousands of candidates share some dozens of stages
            for architecture in architectures:
                seen.setdefault(architecture.widths[stage], architecture)
            table = np.zeros((len(seen), self.max_depth, len(self.ratios)), dtype=np.float32)
            for row, (blocks, architecture) in enumerate(seen.items()):
                self.check(architecture)
                table[row, range(len(blocks)), [index[width] for width in blocks]] = 1
            rows = {blocks: row for row, blocks in enumerate(seen)}
            chosen = [rows[architecture.widths[stage]] for architecture in architectures]
            code[:, 1 + stage * span : 1 + (stage + 1) * span] = table.reshape(-1, span)[chosen]
        return code

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        max_macs: float | None = None,
        max_params: float | None = None,
        resolution: int | None = None,
        classes: int | None = None,
        fewer: bool = False,
    ) -> list[Architecture]:
        """Draws distinct architectures, each depth and then each ratio with equal chance.

        The first k of n are what a call for k returns from a generator in the same state, so a sample can be
        enlarged later.

        Args:
            n: how many.
            rng: the source of randomness; the result depends on nothing else.
            max_macs: limit on multiply-accumulates (conv + linear), not in millions; None for no limit.
            max_params: limit on parameters, not in millions; None for no limit.
            resolution: side of the input in pixels; needed with a limit.
            classes: outputs of the linear layer; needed with a limit.

            fewer: give all there are where there are fewer than n; none is still refused.

        Raises:
            UsageError: the space holds fewer distinct architectures within the limits; the message says how many.
        """
        limited = max_macs is not None or max_params is not None
        if limited and (resolution is None or classes is None):
            raise UsageError("a limit on MACs or parameters needs the resolution and the number of classes")
        fits = _Limits(self, max_macs, max_params, resolution, classes) if limited and resolution and classes else None
        chosen = self._sample_exactly(n, rng, fits) if self.size <= ENUMERABLE else self._sample_by_draws(n, rng, fits)
        if len(chosen) < n and not (fewer and len(chosen)):
            smallest = f"; the smallest member has {fits.smallest}" if fits else ""
            raise UsageError(
                f"asked for {n} distinct architectures, but the search space has only {len(chosen)} that can be found"
                f"{' within the limits' if fits else ''}{smallest}: ask for fewer or widen the space or the limits"
            )
        return [Architecture(tuple(self.blocks(i, int(option)) for i, option in enumerate(row))) for row in chosen]

    def blocks(self, stage: int, option: int) -> tuple[int, ...]:
        """Widths of the blocks of a stage's option, 0..stage_options - 1."""
        depth = 1
        for depth, options in enumerate(self._options_per_depth, start=1):  # noqa: B007 (the last value is used)
            if option < options:
                break
            option -= options
        digits = [option] * (depth - 1)
        if self.granularity == "block":
            digits = [option // len(self.ratios) ** place % len(self.ratios) for place in reversed(range(depth - 1))]
        return (*(self._channels(stage, digit) for digit in digits), self.widths[stage])

    @property
    def _options_per_depth(self) -> list[int]:
        free = [0, *([1] * (self.max_depth - 1) if self.granularity == "stage" else range(1, self.max_depth))]
        return [len(self.ratios) ** choices for choices in free]

    def _channels(self, stage: int, ratio: int) -> int:
        return round(self.widths[stage] * self.ratios[ratio])

    @cached_property
    def _ratio_index(self) -> list[dict[int, int]]:
        return [{self._channels(stage, i): i for i in range(len(self.ratios))} for stage in range(STAGES)]

    def _sample_exactly(self, n: int, rng: np.random.Generator, fits: "_Limits | None") -> NDArray[np.int64]:
        """Draws option numbers [<= n, 4] without replacement from the enumerated space."""
        # The smallest of exponential variables divided by weights is a draw by weight; in ascending order they
        # are successive draws without replacement.
        options = np.concatenate([np.full(count, 1 / count) for count in self._options_per_depth])
        weights = options
        for _ in range(STAGES - 1):
            weights = np.multiply.outer(weights, options)
        keys = rng.standard_exponential(self.size) / weights.ravel()
        rows = np.stack(np.unravel_index(np.argsort(keys, kind="stable"), (self.stage_options,) * STAGES), axis=1)
        return (rows if fits is None else rows[fits(rows)])[:n]

    def _sample_by_draws(self, n: int, rng: np.random.Generator, fits: "_Limits | None") -> NDArray[np.int64]:
        """Draws option numbers [<= n, 4] until n distinct ones are there or no new ones come."""
        found: dict[tuple[int, ...], None] = {}
        fruitless = 0
        for rows in self._draws(rng):
            if len(found) >= n or fruitless >= PATIENCE:
                break
            before = len(found)
            found.update(dict.fromkeys(map(tuple, (rows if fits is None else rows[fits(rows)]).tolist())))
            fruitless = 0 if len(found) > before else fruitless + 1
        return np.array(list(found)[:n], dtype=np.int64).reshape(-1, STAGES)

    def _draws(self, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        per_depth = np.array(self._options_per_depth)
        first = np.concatenate([[0], np.cumsum(per_depth)[:-1]])
        while True:
            depth = rng.integers(0, self.max_depth, (DRAWS, STAGES))
            yield first[depth] + rng.integers(0, per_depth[depth])


class _Limits:
    """Which rows of option numbers stay within limits; costs of stages add up, so a table per stage is enough."""

    def __init__(
        self, space: SearchSpace, max_macs: float | None, max_params: float | None, resolution: int, classes: int
    ) -> None:
        entering = (0, *space.widths[:-1])
        tables: list[list[StageCost]] = [
            [stage_cost(i, space.blocks(i, option), entering[i], resolution) for option in range(space.stage_options)]
            for i in range(STAGES)
        ]
        largest = cost(space.largest, resolution, classes)
        self._macs = np.array([[entry.macs for entry in table] for table in tables])
        self._params = np.array([[entry.parameters for entry in table] for table in tables])
        # What lies outside the stages (the linear layer) is the same for all members.
        self._more_macs = largest.macs - sum(int(row[-1]) for row in self._macs)
        self._more_params = largest.parameters - sum(int(row[-1]) for row in self._params)
        self._max_macs = np.inf if max_macs is None else max_macs
        self._max_params = np.inf if max_params is None else max_params
        macs = self._more_macs + self._macs.min(axis=1).sum()
        params = self._more_params + self._params.min(axis=1).sum()
        self.smallest = f"{macs / 1e6:.2f} M MACs and {params / 1e6:.3f} M parameters"

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        stages = np.arange(STAGES)
        macs = self._more_macs + self._macs[stages, rows].sum(axis=1)
        params = self._more_params + self._params[stages, rows].sum(axis=1)
        fits: NDArray[np.bool_] = (macs <= self._max_macs) & (params <= self._max_params)
        return fits
