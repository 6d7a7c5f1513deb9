"""Students that rules pick under a limit."""

import numpy as np
import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from experiments.curves.named import _single_changes, _within, threshold, uniform
from tests.factories import make_teacher

SPACE = SearchSpace((8, 16, 16, 32), 3, (0.5, 0.75, 1.0), "block")


def macs(architecture: Architecture) -> int:
    return cost(architecture, 16, 3).macs


def images() -> TaskData:
    generator = torch.Generator().manual_seed(0)
    shown = torch.randint(0, 256, (60, 3, 16, 16), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 3
    return TaskData("pets", ("a", "b", "c"), shown, labels, shown[:0], labels[:0], "d" * 12)


def pick(teacher: ElasticResNet, limit: float) -> Architecture:
    return threshold(SPACE, teacher, images(), limit, macs, alpha=0.5, temperature=4.0)


@pytest.mark.parametrize("share", [0.4, 0.5, 0.9])
def test_a_uniform_student_has_one_ratio_and_is_the_largest_within_the_limit(share: float) -> None:
    limit = share * macs(SPACE.largest)
    found = uniform(SPACE, limit, macs)
    assert macs(found) <= limit
    assert len(set(found.depths)) == 1
    ratios = {
        width / full for stage, full in zip(found.widths, SPACE.widths, strict=True) for width in stage[:-1]
    }  # the last block of a stage has its full width in this family
    assert len(ratios) <= 1
    others = (
        SPACE.from_depth_width([depth] * 4, [SPACE.width(stage, ratio) for stage in range(4)])
        for depth in (1, 2, 3)
        for ratio in range(3)
    )
    assert macs(found) == max(macs(one) for one in others if macs(one) <= limit)


def test_one_threshold_makes_each_part_as_small_as_its_loss_allows() -> None:
    changes = list(_single_changes(SPACE))
    cheap = {((2, 1), 12): 0.1, ((2, 1), 8): 0.4, ((0, None), 2): 0.3, ((3, 0), 24): 0.6}
    losses = np.array([cheap.get((part, size), 1.0) for part, size, _ in changes])
    largest = SPACE.largest.widths
    assert _within(SPACE, changes, losses, 0.05) == SPACE.largest
    assert _within(SPACE, changes, losses, 0.2).widths == (*largest[:2], (16, 12, 16), largest[3])
    assert _within(SPACE, changes, losses, 0.5).widths == ((8, 8), largest[1], (16, 8, 16), largest[3])
    assert _within(SPACE, changes, losses, 0.7).widths == ((8, 8), largest[1], (16, 8, 16), (24, 32, 32))


def test_a_student_of_one_threshold_is_within_the_limit() -> None:
    teacher = make_teacher(SPACE.largest)
    for share in (0.4, 0.7):
        assert macs(pick(teacher, share * macs(SPACE.largest))) <= share * macs(SPACE.largest)


@pytest.mark.parametrize("rule", ["uniform", "threshold"])
def test_a_limit_below_every_student_is_said(rule: str) -> None:
    with pytest.raises(UsageError, match="no"):
        uniform(SPACE, 1.0, macs) if rule == "uniform" else pick(ElasticResNet(SPACE.largest, 3).eval(), 1.0)
