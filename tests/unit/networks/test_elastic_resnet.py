"""The network: shapes, shortcuts, layouts."""

import pytest
import torch

from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet, shortcut
from dass.space.architecture import Architecture

SMALL = Architecture(((2, 4), (6, 8), (8,), (4, 4, 12)))


@pytest.mark.parametrize(("resolution", "side"), [(16, 2), (24, 3), (30, 4), (33, 5)])
def test_shapes(resolution: int, side: int) -> None:
    network = ElasticResNet(SMALL, 7)
    images = torch.randn(2, 3, resolution, resolution)
    assert network.features(images).shape == (2, 12, side, side)
    assert network(images).shape == (2, 7)


def test_stem_has_the_first_blocks_width() -> None:
    assert ElasticResNet(SMALL, 7).stem_conv.out_channels == 2


def test_shortcuts_crop_pad_and_pool() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert torch.equal(shortcut(x, 2, 1), x)
    assert torch.equal(shortcut(x, 1, 1), x[:, :1])
    padded = shortcut(x, 3, 1)
    assert torch.equal(padded[:, :2], x)
    assert not padded[:, 2:].any()
    assert shortcut(x, 1, 2).tolist() == [[[[5, 7], [13, 15]]]]


def test_only_convolutions_batch_norms_and_the_classifier_have_parameters() -> None:
    assert {name.split(".")[-2].rstrip("12") for name, _ in ElasticResNet(SMALL, 7).named_parameters()} == {
        "stem_conv", "stem_bn", "conv", "bn", "classifier",
    }  # fmt: skip


def test_layouts_agree() -> None:
    network = ElasticResNet(SMALL, 7).eval()
    images = torch.randn(2, 3, 16, 16)
    plain = network(images)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.contiguous(memory_format=torch.channels_last)), plain)


def test_no_classes() -> None:
    with pytest.raises(UsageError, match="at least one class"):
        ElasticResNet(SMALL, 0)
