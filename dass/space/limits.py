"""Which samples of a search space stay within limits on their cost, thousands at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dass.errors import UsageError
from dass.families.blocks import Block, halved, side_behind
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits, blocks_cost, cost

ENUMERABLE = 2**12  # stages up to so many options are looked at one by one; larger ones have one width per block

Positions = Callable[[int, NDArray[Any]], NDArray[np.int64]]


class LimitCheck:
    """Tells which rows of option numbers cost what is allowed.

    Costs of blocks add up. What a block costs depends on its own width and, in some families, on the width before it.

    Args:
        largest: the largest architecture of the space.
        choices: widths that the blocks of each stage may have, ascending.
        counts: options of each stage.
        positions: gives, for a stage and its option numbers [n], the places in `choices` [n, depth], -1 for absent.
        limits: limits on the cost, and the image that costs are of.

    Attributes:
        least_macs: fewest multiply-accumulates of a member.
        least_params: fewest parameters of a member, perhaps another one.
        smallest: MACs and parameters of the smallest member, in words.
        largest: cost of the largest member, in words.
    """

    def __init__(
        self,
        largest: Architecture,
        choices: Sequence[Sequence[int]],
        counts: Sequence[int],
        positions: Positions,
        limits: CostLimits,
    ) -> None:
        self._counts = counts
        self._ends_full = largest.family.ends_full
        self._positions = positions
        self._most = np.array([np.inf if limit is None else limit for limit in (limits.max_macs, limits.max_params)])
        self._fewest = np.array([0 if limit is None else limit for limit in (limits.min_macs, limits.min_params)])
        channels = largest.stages[-1][-1].leaving
        self._linear = np.array([channels * limits.classes, (channels + 1) * limits.classes])
        self._tables = _tables(largest, choices, limits.resolution)
        least = self._linear + sum(self._least(stage, count) for stage, count in enumerate(counts))
        self.least_macs, self.least_params = (int(number) for number in least)
        self.smallest = in_words(*least)
        most = cost(largest, limits.resolution, limits.classes)
        self.largest = in_words(most.macs, most.parameters)

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row is within all limits.

        Args:
            rows: option numbers [n, stages].

        Returns:
            [n].
        """
        total = np.broadcast_to(self._linear, (len(rows), 2)).copy()
        for stage in range(len(self._tables)):
            options = rows[:, stage]
            if self._counts[stage] <= len(rows):
                total += self._stage(stage, np.arange(self._counts[stage]))[options.astype(np.int64)]
            else:
                total += self._stage(stage, options)
        return np.all((self._fewest <= total) & (total <= self._most), axis=1)

    def _stage(self, stage: int, options: NDArray[Any]) -> NDArray[np.int64]:
        """MACs and parameters of a stage's options, [n, 2]."""
        positions = self._positions(stage, options)
        total = np.zeros((len(options), 2), dtype=np.int64)
        before = np.zeros(len(options), dtype=np.int64)  # at the first block it makes no difference
        for table, position in zip(self._tables[stage], positions.T, strict=True):
            total += table[before, position]
            before = position
        return total

    def _least(self, stage: int, count: int) -> NDArray[np.int64]:
        """Fewest MACs and fewest parameters of a stage, [2]."""
        if count <= ENUMERABLE:
            return self._stage(stage, np.arange(count)).min(axis=0)
        ends = []
        path = self._tables[stage][0][0, :-1]  # the cheapest way to each width of the last block so far
        for position, table in enumerate(self._tables[stage]):
            if position:
                path = (path[:, None] + table[:-1, :-1]).min(axis=0)
            ends.append(path[-1] if self._ends_full else path.min(axis=0))
        least: NDArray[np.int64] = np.min(ends, axis=0)
        return least


def in_words(macs: float, parameters: float) -> str:
    """A cost as messages say it."""
    return f"{macs / 1e6:.2f} M MACs and {parameters / 1e6:.3f} M parameters"


def _tables(largest: Architecture, choices: Sequence[Sequence[int]], resolution: int) -> list[list[NDArray[np.int64]]]:
    """For each block of each stage: [width before, width, (MACs, parameters)], a last row of zeros for absent ones."""
    family, stem = largest.family, largest.stem
    entering, side = stem[-1].leaving, side_behind(stem, resolution)
    tables = []
    for stage, widths in enumerate(choices):
        stage_tables = []
        for position in range(len(largest.widths[stage])):
            table = np.zeros((len(widths) + 1, len(widths) + 1, 2), dtype=np.int64)
            after = side
            for before, previous in enumerate(widths):
                for own, width in enumerate(widths):
                    blocks = _with_stem(largest, stage, position, entering, previous, width)
                    counted = blocks_cost(blocks, side if stage or position else resolution)
                    table[before, own] = counted.macs, counted.parameters
                    after = halved(side, blocks[-1].stride)
            stage_tables.append(table)
            side = after
        tables.append(stage_tables)
        entering = family.block(stage, 1, entering, widths[-1]).leaving
    return tables


def _with_stem(
    largest: Architecture, stage: int, position: int, entering: int, previous: int, width: int
) -> tuple[Block, ...]:
    """A block with the width before it; the very first brings the stem, which may have its width."""
    family = largest.family
    if position > 0:
        entering = family.block(stage, position - 1, entering, previous).leaving
        return (family.block(stage, position, entering, width),)
    if stage > 0:
        return (family.block(stage, 0, entering, width),)
    stem = family.stem(((width,), *largest.widths[1:]))
    return (*stem, family.block(0, 0, stem[-1].leaving, width))


def too_few(wanted: int, available: int, ends: tuple[str, str] | None) -> UsageError:
    """What is said where a space has fewer members than are asked for.

    Args:
        wanted: number of architectures that is wanted.
        available: number of architectures that there are.
        ends: cost of the smallest and of the largest member, in words; None without limits on cost.
    """
    within = f" within the limits; the smallest member has {ends[0]}, the largest {ends[1]}" if ends else ""
    return UsageError(
        f"asked for {wanted} distinct architectures, but the search space has only {available} that can be found"
        f"{within}: ask for fewer or widen the space or the limits"
    )
