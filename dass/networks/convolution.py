"""Convolutions of which every narrower one is a part: the arithmetic of remapped students.

A student's weights are prefix slices of its teacher's, so one object at the teacher's width serves all
students. Features are [n, h, w, c], which is how channels-last lies in memory: a student's features are then
one block of bytes. ReLU and sum come with the convolution, since on their own they cost as much as a third
of it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dass.device import computes_bfloat16

ONE = [1, 1]  # dilation


class SlicedConv:
    """Any device and dtype; padding keeps the resolution at stride 1.

    Args:
        weight: weight of the convolution, [out, in, k, k], k odd.
        stride: stride in pixels, 1 or 2.
    """

    def __init__(self, weight: Tensor, stride: int) -> None:
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._stride = stride
        self._padding = weight.shape[-1] // 2

    def relu(self, features: Tensor, bias: Tensor) -> Tensor:
        """ReLU of the convolution plus bias, for a student of as many channels as there are on either side.

        Args:
            features: feature maps, [n, h, w, c], contiguous.
            bias: bias of each channel, [width].

        Returns:
            [n, h / stride, w / stride, width], contiguous, sizes rounded up.
        """
        return self._convolve(features, bias).relu_()

    def linear(self, features: Tensor, bias: Tensor) -> Tensor:
        """The same without ReLU."""
        return self._convolve(features, bias)

    def add_relu(self, features: Tensor, bias: Tensor, added: Tensor, out: Tensor) -> None:
        """Fills `out` with ReLU of the convolution plus bias plus `kept`, which lacks the last channels or none.

        Args:
            features: feature maps, [n, h, w, c], contiguous.
            bias: bias of each channel, [width].
            added: [n, h / stride, w / stride, at most width].
            out: [n, h / stride, w / stride, width], contiguous.
        """
        output = self._convolve(features, bias)
        output[..., : added.shape[-1]] += added
        torch.clamp_min(output, 0, out=out)

    def _convolve(self, features: Tensor, bias: Tensor) -> Tensor:
        """The convolution plus bias, [n, h / stride, w / stride, width]."""
        weight = self._weight[: len(bias), : features.shape[-1]]
        output = F.conv2d(features.permute(0, 3, 1, 2), weight, bias, stride=self._stride, padding=self._padding)
        return output.permute(0, 2, 3, 1)


class UnfoldedConv(SlicedConv):
    """The same as one matrix product over copied patches, for GPUs.

    Students differ in widths and come in odd numbers, so nearly every convolution has a shape of its own. cuDNN plans
    each new shape for a millisecond or more; a matrix product needs no plan, and the copies are quick there.
    """

    def __init__(self, weight: Tensor, stride: int) -> None:
        self._stride = stride
        self._kernel = weight.shape[-1]
        self._matrix = weight.permute(2, 3, 1, 0).contiguous()  # [k, k, in, out]

    def _convolve(self, features: Tensor, bias: Tensor) -> Tensor:
        channels, kernel = features.shape[-1], self._kernel
        padded = F.pad(features, (0, 0, *[kernel // 2] * 4))
        windows = padded.unfold(1, kernel, self._stride).unfold(2, kernel, self._stride)  # [n, h', w', c, k, k]
        patches = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, kernel**2 * channels)
        weight = self._matrix[:, :, :channels, : len(bias)].reshape(kernel**2 * channels, -1)
        return torch.addmm(bias, patches, weight).view(*windows.shape[:3], len(bias))


class FusedConv(SlicedConv):
    """The same in one pass over memory on CPUs, with the operators that torch's own compiler emits for them."""

    @staticmethod
    def available(weight: Tensor) -> bool:
        """Whether this build and hardware have the operators for such a weight."""
        return (
            weight.device.type == "cpu"
            and torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, "_convolution_pointwise_")
            and (weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and computes_bfloat16(weight.device)))
        )

    def relu(self, features: Tensor, bias: Tensor) -> Tensor:
        """See `SlicedConv.relu`."""
        weight = self._weight[: len(bias), : features.shape[-1]]
        stride, padding = [self._stride] * 2, [self._padding] * 2
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features.permute(0, 3, 1, 2), weight, bias, padding, stride, ONE, 1, "relu", [], ""
        )
        return output.permute(0, 2, 3, 1)

    def add_relu(self, features: Tensor, bias: Tensor, added: Tensor, out: Tensor) -> None:
        """See `SlicedConv.add_relu`."""
        common = added.shape[-1]
        torch.add(added, bias[:common], out=out[..., :common])
        out[..., common:] = bias[common:]
        weight = self._weight[: len(bias), : features.shape[-1]]
        stride, padding = [self._stride] * 2, [self._padding] * 2
        torch.ops.mkldnn._convolution_pointwise_.binary(
            out.permute(0, 3, 1, 2), features.permute(0, 3, 1, 2), weight, None, padding, stride, ONE, 1,
            "add", 1.0, "relu", [], "",
        )  # fmt: skip
