"""Students that rules pick under a limit."""

import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from experiments.curves.named import threshold, uniform

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


def test_one_threshold_takes_first_what_the_teacher_does_not_need() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = ElasticResNet(SPACE.largest, 3).eval()
    idle = teacher.architecture.stages[2][1]  # the second block of the third stage adds nothing to its input
    with torch.no_grad():
        last = teacher.get_submodule(idle.convs[-1].norm)
        last.weight.zero_()  # type: ignore[union-attr, operator]
        last.bias.zero_()  # type: ignore[union-attr, operator]
    found = pick(teacher, 0.999 * macs(SPACE.largest))
    assert len(found.widths[2]) < 3 or found.widths[2][1] < 16
    assert macs(pick(teacher, 0.4 * macs(SPACE.largest))) <= 0.4 * macs(SPACE.largest)


@pytest.mark.parametrize("rule", ["uniform", "threshold"])
def test_a_limit_below_every_student_is_said(rule: str) -> None:
    with pytest.raises(UsageError, match="no"):
        uniform(SPACE, 1.0, macs) if rule == "uniform" else pick(ElasticResNet(SPACE.largest, 3).eval(), 1.0)
