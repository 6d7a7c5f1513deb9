"""The cost model against the paper's tables and against what hooks count on real networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost
from dass.space.search_space import SearchSpace

TABLES = SearchSpace((32, 64, 128, 256), 5, tuple(i / 16 for i in range(8, 17)), "stage")


@pytest.mark.parametrize(
    ("depths", "widths", "millions"),
    [
        ((5, 5, 5, 5), (32, 64, 128, 256), 17878.31),
        ((2, 4, 2, 2), (20, 32, 104, 128), 4795.47),
        ((1, 2, 5, 1), (32, 44, 72, 256), 4707.01),
        ((1, 1, 2, 5), (32, 64, 96, 128), 4532.10),
    ],
)
def test_table_7(depths: tuple[int, ...], widths: tuple[int, ...], millions: float) -> None:
    assert round(cost(TABLES.from_depth_width(depths, widths), 224, 7).macs_bn1 / 1e6, 2) == millions


def test_table_5_and_the_teacher() -> None:
    teacher = cost(TABLES.largest, 64, 10)
    assert round(teacher.macs_bn3_pool / 1e6, 2) == 1464.65
    assert round(cost(TABLES.largest, 64, 38).macs_bn3_pool / 1e6, 2) == 1464.66
    assert round(teacher.macs / 1e6, 2) == 1456.87
    assert teacher.parameters == 7_459_626


def count_with_hooks(network: nn.Module, resolution: int) -> Cost:
    macs, elements, pooled = [], [], []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            macs.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            macs.append(module.weight.numel())
        elif isinstance(module, nn.BatchNorm2d):
            elements.append(output.numel())
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            pooled.append(inputs[0].numel())

    for module in network.modules():
        module.register_forward_hook(hook)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, resolution, resolution))
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=sum(macs),
        macs_bn1=sum(macs) + sum(elements),
        macs_bn3_pool=sum(macs) + 3 * sum(elements) + sum(pooled),
    )


@settings(max_examples=40)
@given(
    widths=st.tuples(*[st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)] * 4),
    resolution=st.integers(8, 33),
    classes=st.integers(1, 7),
)
def test_closed_form_equals_hooks(widths: tuple[tuple[int, ...], ...], resolution: int, classes: int) -> None:
    architecture = Architecture(widths)
    counted = count_with_hooks(ElasticResNet(architecture, classes), resolution)
    assert cost(architecture, resolution, classes) == counted


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        cost(TABLES.largest, 0, 10)
