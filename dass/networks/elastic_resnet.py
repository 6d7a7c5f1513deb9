"""A residual network of any family, depth and width, as modules that can be trained."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.errors import UsageError
from dass.families.blocks import HALF, IMAGE_CHANNELS, Block, Conv, Normalization
from dass.networks.run_block import Apply, pad_channels, run_block
from dass.space.architecture import Architecture


class ElasticConv(nn.Conv2d):
    """A convolution without bias that keeps the resolution, or halves it at stride 2, rounding up."""

    def __init__(self, conv: Conv) -> None:
        super().__init__(
            conv.entering, conv.leaving, conv.kernel, stride=conv.stride, padding=conv.kernel // 2, bias=False
        )

    def reset_parameters(self) -> None:
        """Draws weights as He et al. do; not on the meta device, where they are about to be replaced."""
        if not self.weight.is_meta:
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")


INPUT = ("input.mean", "input.std")  # names of what `Input` keeps, in a network's state_dict


class Trunk(nn.Module):
    """Some blocks one after the other, each convolution and norm a module under the name that its family gives.

    Args:
        blocks: descriptions of the blocks.
    """

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self.blocks = blocks
        for block in blocks:
            for conv in block.all_convs:
                self._add(conv.name, ElasticConv(conv))
                self._add(conv.norm, nn.BatchNorm2d(conv.leaving))

    def module(self, name: str) -> nn.Module:
        """The module of a name with dots."""
        module: nn.Module = self
        for part in name.split("."):
            module = module._modules[part]  # type: ignore[assignment]
        return module

    def features(self, images: Tensor, apply: Apply | None = None) -> Tensor:
        """Output of the last block.

        Args:
            images: float [n, entering, h, w].
            apply: how convolutions are carried out; None for this network's own modules.

        Returns:
            float [n, c, h / reduction, w / reduction], sizes rounded up.
        """
        apply = apply or Modules(self)
        for block in self.blocks:
            images = run_block(block, images, apply)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """See `features`."""
        return self.features(images)

    def _add(self, name: str, module: nn.Module) -> None:
        *folders, last = name.split(".")
        parent: nn.Module = self
        for index, folder in enumerate(folders):
            if folder not in parent._modules:
                numbered = (*folders, last)[index + 1].isdigit()
                parent.add_module(folder, nn.ModuleList() if numbered else nn.Module())
            parent = parent._modules[folder]  # type: ignore[assignment]
        parent.add_module(last, module)


class ElasticResNet(Trunk):
    """A residual network: stem, stages of blocks, global average pool, one linear layer.

    Args:
        architecture: family, depth and widths.
        classes: number of classes, at least 1.
        normalization: what the weights expect of their images; None for the family's.

    Raises:
        UsageError: classes below 1.
    """

    def __init__(self, architecture: Architecture, classes: int, *, normalization: Normalization | None = None) -> None:
        if classes < 1:
            raise UsageError(f"a network needs at least one class, found {classes}")
        super().__init__(architecture.blocks)
        self.architecture = architecture
        self.classes = classes
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.add_module(architecture.family.head, nn.Linear(self.blocks[-1].leaving, classes))
        usual = architecture.family.normalization
        normalization = normalization or usual
        # Kept beside the weights, so that every copy and every file of the network says what it expects.
        self.input = None if normalization == usual == HALF else Input(normalization)

    @property
    def head(self) -> nn.Linear:
        """The linear layer."""
        head = self._modules[self.architecture.family.head]
        assert isinstance(head, nn.Linear)
        return head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    @property
    def normalization(self) -> Normalization:
        """What the weights expect of their images."""
        return self.input.normalization if self.input is not None else HALF

    def features(self, images: Tensor, apply: Apply | None = None) -> Tensor:
        """Output of the last stage before pooling.

        Args:
            images: float [n, 3, h, w] in -1..1.
            apply: how convolutions are carried out; None for this network's own modules.

        Returns:
            float [n, c, h / reduction, w / reduction], sizes rounded up.
        """
        return super().features(images if self.input is None else self.input(images), apply)

    def classify(self, features: Tensor) -> Tensor:
        """Logits [n, classes] of features [n, c, h, w]."""
        logits: Tensor = self.head(self.pool(features).flatten(1))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, classes] of images, float [n, 3, h, w] in -1..1."""
        return self.classify(self.features(images))


class Input(nn.Module):
    """Turns pixels in -1..1, as all batches here come, into what a network's weights expect.

    Args:
        normalization: normalization that the networks expect.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        with torch.device("cpu"):  # also where a network is built without weights
            self.register_buffer("mean", torch.tensor(normalization.mean))
            self.register_buffer("std", torch.tensor(normalization.std))

    @property
    def normalization(self) -> Normalization:
        """Mean and standard deviation of each channel."""
        stored = self.stored({f"input.{name}": tensor for name, tensor in self.named_buffers()})
        assert stored is not None
        return stored

    @staticmethod
    def stored(tensors: Mapping[str, Tensor]) -> Normalization | None:
        """What the weights of a network, by name, say of it; None where they say nothing."""
        if any(name not in tensors or tensors[name].shape != (IMAGE_CHANNELS,) for name in INPUT):
            return None
        (r, g, b), (dr, dg, db) = ([round(value, 6) for value in tensors[name].tolist()] for name in INPUT)
        return Normalization((r, g, b), (dr, dg, db))

    def forward(self, images: Tensor) -> Tensor:
        """Maps float [n, 3, h, w] in -1..1 to (p - mean) / std of p in 0..1, in the images' dtype."""
        scale, shift = 0.5 / self.std, (0.5 - self.mean) / self.std
        shape = (1, IMAGE_CHANNELS, 1, 1)
        return (images * scale.view(shape) + shift.view(shape)).to(images.dtype)


class Modules:
    """Convolutions and norms as the modules of a network, for training and for plain forward passes.

    Args:
        trunk: network whose modules are used.
    """

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk

    def relu(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.relu`."""
        return F.relu(self.linear(conv, features))

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        """See `Apply.linear`."""
        outputs: Tensor = self.trunk.module(conv.norm)(self.trunk.module(conv.name)(features))
        return outputs

    def add_relu(self, conv: Conv, features: Tensor, added: Tensor) -> Tensor:
        """See `Apply.add_relu`."""
        outputs = self.linear(conv, features)
        return F.relu(outputs + pad_channels(added, outputs.shape[1]))
