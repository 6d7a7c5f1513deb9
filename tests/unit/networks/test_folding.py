"""Folded weights against the network they come from."""

import pytest
import torch

from dass.networks import folding
from dass.networks.convolution import SlicedConv, UnfoldedConv
from dass.networks.elastic_resnet import ElasticResNet, Modules
from dass.networks.folding import FoldedNetwork
from dass.networks.remapping import remap
from dass.networks.run_block import run_block
from dass.space.architecture import Architecture


def nhwc(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous()


@pytest.fixture(scope="module")
def teacher() -> ElasticResNet:
    torch.manual_seed(0)
    network = ElasticResNet(Architecture(((8, 8), (16, 16), (72, 72), (80, 80))), 3)
    for _ in range(3):
        network(torch.randn(4, 3, 32, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.3)
            torch.nn.init.normal_(module.bias)
    return network.eval()


@pytest.mark.parametrize("side", [32, 20])  # powers of two at each stage, and others
@pytest.mark.parametrize("kind", [None, SlicedConv, UnfoldedConv])  # what this CPU takes, any other, a GPU
@torch.no_grad()
def test_every_narrower_block_is_a_part(
    teacher: ElasticResNet, side: int, kind: type[SlicedConv] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind:
        monkeypatch.setattr(folding.FusedConv, "available", lambda weight: False)
        monkeypatch.setattr(folding, "SlicedConv", kind)
    student = remap(teacher, Architecture(((5, 8), (11, 16), (72,), (66, 80))))
    folded = FoldedNetwork(teacher, torch.float32)
    stem, *blocks = student.architecture.blocks
    features = run_block(stem, torch.randn(2, 3, side, side), Modules(student))
    for block in blocks:
        expected = run_block(block, features, Modules(student))
        out = torch.empty_like(nhwc(expected))
        folded.run(block, nhwc(features), out)
        torch.testing.assert_close(out, nhwc(expected), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(folded.run(block, nhwc(features)), out)
        features = expected


@torch.no_grad()
def test_stem(teacher: ElasticResNet) -> None:
    images = torch.randn(2, 3, 32, 32)
    expected = nhwc(torch.relu(teacher.stem_bn(teacher.stem_conv(images))))
    folded = FoldedNetwork(teacher, torch.float32)
    torch.testing.assert_close(folded.run(teacher.blocks[0], nhwc(images)), expected, rtol=1e-4, atol=1e-5)
