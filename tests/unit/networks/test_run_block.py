"""What is computed on bits instead of numbers has the values that PyTorch gives."""

import pytest
import torch
import torch.nn.functional as F

from dass.families.blocks import Block, Conv, Shortcut
from dass.networks.run_block import relu_, run_block

SHAPES = [(3, 5, 6, 8), (2, 4, 5, 5), (1, 3, 1, 2)]


class Halved:
    """Convolutions that give nothing, so that a block's output is what its shortcut keeps."""

    def relu(self, conv: Conv, features: torch.Tensor) -> torch.Tensor:
        return features

    def linear(self, conv: Conv, features: torch.Tensor) -> torch.Tensor:
        raise AssertionError("no projection here")

    def add_relu(self, conv: Conv, features: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return kept


def numbers(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Of all sizes, some of them zeros of either sign, infinite, or too small for a usual exponent."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator) * 10 ** torch.randint(-42, 38, shape, generator=generator)
    values.view(-1)[:6] = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), 1e-40, -1e-40])
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_relu_and_pool(shape: tuple[int, ...], dtype: torch.dtype, gradient: bool) -> None:
    features = numbers(shape, dtype)
    expected = F.relu(features)
    with torch.set_grad_enabled(gradient):
        found = relu_(features.clone())
        assert torch.equal(found, expected)
        conv = Conv("conv", "norm", shape[1], shape[1] - 1, stride=2)
        kept = run_block(Block((conv,), Shortcut("crop_or_pad", stride=2)), expected, Halved())
    assert kept.dtype is dtype
    assert torch.equal(kept, F.max_pool2d(expected[:, : shape[1] - 1], 2, ceil_mode=True))
