"""Inner channels in order of importance, so that a prefix slice keeps the important ones.

Channels between two convolutions of a block may stand in any order. They are ordered by the sum of the absolute
weights with which the next convolution takes them in, as once-for-all (Cai et al. 2020) does; the network computes
the same as before.
"""

import torch
from torch import Tensor, nn

from dass.families.blocks import Conv
from dass.networks.elastic_resnet import ElasticResNet

PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


@torch.no_grad()
def sort_channels(network: ElasticResNet) -> None:
    """Orders the inner channels of every block, the most important first; changes the network in place."""
    for block in network.blocks:
        # From the back: the last convolution decides on the outputs of the one before it, that one on the next.
        for before, after in reversed(list(zip(block.convs[:-1], block.convs[1:], strict=True))):
            consumer = _conv(network, after)
            importance = consumer.weight.abs().sum((0, 2, 3))
            order = importance.argsort(descending=True, stable=True)
            consumer.weight.copy_(consumer.weight[:, order])
            producer = _conv(network, before)
            producer.weight.copy_(producer.weight[order])
            norm = network.module(before.norm)
            for part in PER_CHANNEL:
                values = getattr(norm, part)
                assert isinstance(values, Tensor)
                values.copy_(values[order])


def _conv(network: ElasticResNet, conv: Conv) -> nn.Conv2d:
    module = network.module(conv.name)
    assert isinstance(module, nn.Conv2d)
    return module
