"""A teacher of the paper's family as modules that pruning tools can trace."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.errors import UsageError
from dass.families.blocks import Block
from dass.networks.elastic_resnet import ElasticResNet


class PlainBlock(nn.Module):
    """Two convolutions and a shortcut that pads channels and halves the resolution by pooling."""

    def __init__(self, network: ElasticResNet, block: Block) -> None:
        super().__init__()
        first, second = block.convs
        self.conv1, self.norm1 = _conv(network.module(first.name)), network.module(first.norm)
        self.conv2, self.norm2 = _conv(network.module(second.name)), network.module(second.norm)
        self.missing = block.leaving - block.entering
        self.relu = nn.ReLU()
        halved = block.shortcut is not None and block.shortcut.stride == 2
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if halved else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """[n, c, h, w] to [n, c + missing, h / stride, w / stride], sizes rounded up."""
        inner = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(features)))))
        kept = F.pad(self.pool(features), (0, 0, 0, 0, 0, self.missing))
        return self.relu(inner + kept)


class PlainNetwork(nn.Module):
    """Computes what the teacher computes; it is trained and evaluated like an `ElasticResNet`.

    Args:
        network: a largest member of the paper's family; its modules are taken over, not copied.

    Raises:
        UsageError: the network is of another family.
    """

    def __init__(self, network: ElasticResNet) -> None:
        super().__init__()
        kinds = {block.shortcut.kind for block in network.blocks[1:] if block.shortcut is not None}
        if kinds != {"crop_or_pad"}:
            raise UsageError("the rivals are tried on teachers of the paper's family alone")
        stem, *blocks = network.blocks
        [conv] = stem.convs
        self.stem = nn.Sequential(_conv(network.module(conv.name)), network.module(conv.norm), nn.ReLU())
        self.body = nn.Sequential(*(PlainBlock(network, block) for block in blocks))
        self.pool = network.pool
        self.head = network.head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def features(self, images: Tensor) -> Tensor:
        """Output of the last block before pooling."""
        return self.body(self.stem(images))

    def classify(self, features: Tensor) -> Tensor:
        """Logits [n, classes] of features [n, c, h, w]."""
        return self.head(self.pool(features).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, classes] of images [n, 3, h, w]."""
        return self.classify(self.features(images))


def _conv(module: nn.Module) -> nn.Conv2d:
    """The same convolution as torch's own class, which is what the tools look for."""
    assert isinstance(module, nn.Conv2d)
    [kernel, _], [stride, _] = module.kernel_size, module.stride
    plain = nn.Conv2d(module.in_channels, module.out_channels, kernel, stride, kernel // 2, bias=False)
    plain.weight = module.weight
    return plain
