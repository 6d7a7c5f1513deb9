"""The residual network of the search space: any depth and width per block, shortcuts without parameters."""

import torch.nn.functional as F
from torch import Tensor, nn

from dass.errors import UsageError
from dass.space.architecture import Architecture

IMAGE_CHANNELS = 3


class ElasticResNet(nn.Module):
    """A residual network of four stages (Appendix A).

    Stem: 3x3 convolution at the first block's width, batch norm, ReLU, no pooling. Stages 2..4 halve the
    resolution. Head: global average pool and one linear layer.

    Args:
        architecture: depth and widths.
        classes: outputs, at least 1.

    Raises:
        UsageError: classes below 1.
    """

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise UsageError(f"a network needs at least one class, found {classes}")
        self.architecture = architecture
        self.classes = classes
        channels = architecture.widths[0][0]
        self.stem_conv = Conv3x3(IMAGE_CHANNELS, channels, stride=1)
        self.stem_bn = nn.BatchNorm2d(channels)
        self.stages = nn.ModuleList()
        for index, blocks in enumerate(architecture.widths):
            stage = nn.Sequential()
            for position, width in enumerate(blocks):
                stage.append(BasicBlock(channels, width, stride=2 if index > 0 and position == 0 else 1))
                channels = width
            self.stages.append(stage)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def features(self, images: Tensor) -> Tensor:
        """Output of the last stage before pooling.

        Args:
            images: float [n, 3, h, w].

        Returns:
            float [n, c, h / 8, w / 8], sizes rounded up.
        """
        features: Tensor = F.relu(self.stem_bn(self.stem_conv(images)))
        for stage in self.stages:
            features = stage(features)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits.

        Args:
            images: float [n, 3, h, w].

        Returns:
            float [n, classes].
        """
        logits: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions at the block's own width, plus a shortcut without parameters.

    Args:
        entering: channels of the input.
        width: channels of the output.
        stride: 1, or 2 to halve the resolution.
    """

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.width = width
        self.stride = stride
        self.conv1 = Conv3x3(entering, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width, stride=1)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps float [n, entering, h, w] to float [n, width, h / stride, w / stride], sizes rounded up."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(features)))))
        return F.relu(residual + shortcut(features, self.width, self.stride))


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution without bias that keeps the resolution, or halves it at stride 2, rounding up."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__(entering, width, kernel_size=3, stride=stride, padding=1, bias=False)

    def reset_parameters(self) -> None:
        """Draws weights as He et al. do; not on the meta device, where they are about to be replaced."""
        if not self.weight.is_meta:
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")


def shortcut(features: Tensor, width: int, stride: int) -> Tensor:
    """Fits a block's input to its output: 2x2 max-pool for stride 2, trailing channels cropped or zero-padded.

    Args:
        features: float [n, c, h, w].
        width: channels wanted.
        stride: 1 or 2.

    Returns:
        float [n, width, h / stride, w / stride], sizes rounded up as by the block's convolution.
    """
    channels = features.shape[1]
    if channels > width:
        features = features[:, :width]
    if stride == 2:
        features = F.max_pool2d(features, 2, ceil_mode=True)
    if channels < width:
        features = F.pad(features, (0, 0, 0, 0, 0, width - channels))
    return features
