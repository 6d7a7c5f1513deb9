"""Students that are not drawn at random: what simple rules pick under a limit, and a pick that is trained alone."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.proxies.one_batch import LOSS, one_batch_rows
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

Macs = Callable[[Architecture], int]
"""Multiply-accumulates of an architecture."""


def uniform(space: SearchSpace, limit: float, macs: Macs) -> Architecture:
    """The student with one ratio for all widths and one share for all depths that comes closest to the limit.

    Args:
        space: of the students.
        limit: most multiply-accumulates.
        macs: counts them.

    Raises:
        UsageError: no such student is within the limit.
    """
    fitting = [member for member in _uniform_members(space) if macs(member) <= limit]
    if not fitting:
        raise UsageError(f"no uniform student has at most {limit / 1e6:.1f} M multiply-accumulates")
    return max(fitting, key=lambda member: (macs(member), member.widths))


def _uniform_members(space: SearchSpace) -> Iterator[Architecture]:
    stages = range(len(space.widths))
    for blocks, ratio in product(range(1, max(space.depths) + 1), range(len(space.ratios))):
        share = blocks / max(space.depths)
        depths = [max(1, round(share * depth)) for depth in space.depths]
        yield space.from_depth_width(depths, [space.width(stage, ratio) for stage in stages])


def threshold(
    space: SearchSpace,
    teacher: ElasticResNet,
    held_out: TaskData,
    limit: float,
    macs: Macs,
    *,
    alpha: float,
    temperature: float,
) -> Architecture:
    """The student whose parts, each made smaller alone, cost the teacher no more than one common loss.

    The rule of FastNAS in NVIDIA ModelOpt, in our words: the loss of the teacher with one block narrowed, or one
    stage shortened, is measured for each width and depth, with batch-norm statistics of the images; then each part
    takes its least size whose loss is below a threshold, and the threshold is the least that meets the limit.

    Args:
        space: of the students; its largest member is the teacher.
        teacher: the trained network.
        held_out: the training part has the images that are looked at.
        limit: most multiply-accumulates.
        macs: counts them.
        alpha: as in `one_batch_rows`.
        temperature: likewise.

    Raises:
        UsageError: no student of this rule is within the limit.
    """
    changes = list(_single_changes(space))
    rows = one_batch_rows(
        teacher,
        [change[2] for change in changes],
        held_out,
        alpha=alpha,
        temperature=temperature,
        precision="float32",
        images=len(held_out.train_labels),
    )
    losses = rows[:, LOSS]
    for common in np.sort(losses):
        student = _within(space, changes, losses, float(common))
        if macs(student) <= limit:
            return student
    raise UsageError(f"no student of one threshold has at most {limit / 1e6:.1f} M multiply-accumulates")


Change = tuple[tuple[int, int | None], int, Architecture]
"""(stage and block, None for its depth), the new size, the teacher with this change alone."""


def _single_changes(space: SearchSpace) -> Iterator[Change]:
    whole = space.largest.widths
    for stage, widths in enumerate(whole):
        for depth in range(1, len(widths)):
            yield (stage, None), depth, _with_stage(space, stage, widths[:depth])
        free = len(widths) - 1 if space.family.ends_full else len(widths)
        sizes = sorted({space.width(stage, ratio) for ratio in range(len(space.ratios))} - {space.widths[stage]})
        for block, size in product(range(free), sizes):
            yield (stage, block), size, _with_stage(space, stage, (*widths[:block], size, *widths[block + 1 :]))


def _with_stage(space: SearchSpace, stage: int, widths: tuple[int, ...]) -> Architecture:
    whole = space.largest.widths
    return Architecture((*whole[:stage], widths, *whole[stage + 1 :]), space.family)


def _within(space: SearchSpace, changes: list[Change], losses: NDArray[np.float64], common: float) -> Architecture:
    """Each part at its least size whose loss is at most the threshold; as it is where there is none."""
    least: dict[tuple[int, int | None], int] = {}
    for (part, size, _), loss in zip(changes, losses, strict=True):
        if loss <= common:
            least[part] = min(size, least.get(part, size))
    stages = []
    for stage, widths in enumerate(space.largest.widths):
        depth = least.get((stage, None), len(widths))
        narrowed = [least.get((stage, block), full) for block, full in enumerate(widths[:depth])]
        if space.family.ends_full:
            narrowed[-1] = widths[depth - 1]
        stages.append(tuple(narrowed))
    return Architecture(tuple(stages), space.family)
