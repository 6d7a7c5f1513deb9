"""The network: shapes, shortcuts, layouts."""

import pytest
import torch
from torch import Tensor

from dass.errors import UsageError
from dass.families.blocks import HALF, IMAGENET, Block, Conv, Shortcut
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.run_block import pad_channels, run_block
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


class NoConvolutions:
    """Convolutions whose output is zero, so that a block gives what it adds to them."""

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        return features

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        return features

    def add_relu(self, conv: Conv, features: Tensor, kept: Tensor) -> Tensor:
        return pad_channels(kept, conv.leaving)


def kept(features: Tensor, width: int, shortcut: Shortcut) -> Tensor:
    block = Block((Conv("conv", "norm", features.shape[1], width),), shortcut)
    return run_block(block, features, NoConvolutions())


def test_shortcuts_crop_pad_and_pool() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    same, halved = Shortcut("crop_or_pad"), Shortcut("crop_or_pad", 2)
    assert torch.equal(kept(x, 2, same), x)
    assert torch.equal(kept(x, 1, same), x[:, :1])
    padded = kept(x, 3, same)
    assert torch.equal(padded[:, :2], x)
    assert not padded[:, 2:].any()
    assert kept(x, 1, halved).tolist() == [[[[5, 7], [13, 15]]]]


def test_shortcuts_subsample_and_pad_on_both_sides() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    padded = kept(x, 4, Shortcut("subsample_and_pad", 2))
    assert padded.shape == (1, 4, 2, 2)
    assert not padded[:, [0, 3]].any()
    assert padded[0, 1].tolist() == [[0, 2], [8, 10]]
    assert torch.equal(kept(x, 2, Shortcut("subsample_and_pad")), x)


def test_images_are_normalised_as_the_weights_expect() -> None:
    torch.manual_seed(0)
    network = ElasticResNet(SMALL, 7, normalization=IMAGENET).eval()
    plain = ElasticResNet(SMALL, 7).eval()
    plain.load_state_dict({name: tensor for name, tensor in network.state_dict().items() if "input" not in name})
    pixels = torch.rand(2, 3, 16, 16)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (IMAGENET.mean, IMAGENET.std))
    torch.testing.assert_close(network(2 * pixels - 1), plain((pixels - mean) / std))
    assert network.normalization == IMAGENET
    assert plain.normalization == HALF


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
