"""Winograd's convolution against the direct one in double precision."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dass.networks.winograd import WinogradConv


def relative_error(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, width: int) -> float:
    """Largest error over largest value of the first `width` channels."""
    output = WinogradConv(weight, bias)(features, width)
    assert output.is_contiguous()
    direct = F.conv2d(
        features.permute(0, 3, 1, 2).double(),
        weight[:width, : features.shape[3]].double(),
        bias[:width].double(),
        padding=1,
    )
    return ((output.permute(0, 3, 1, 2) - direct).abs().max() / direct.abs().max()).item()


@settings(deadline=None, max_examples=30)
@given(
    images=st.integers(1, 3),
    tiles=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.integers(1, 24),
    width=st.integers(1, 24),
    seed=st.integers(0, 99),
)
def test_every_narrower_convolution_is_a_part(
    images: int, tiles: tuple[int, int], channels: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    features = torch.randn(images, 4 * tiles[0], 4 * tiles[1], channels)
    assert relative_error(features, torch.randn(24, 24, 3, 3), torch.randn(24), width) < 5e-5


def test_error_at_full_width() -> None:
    torch.manual_seed(0)
    assert relative_error(torch.randn(4, 8, 8, 256), torch.randn(256, 256, 3, 3), torch.randn(256), 256) < 2e-5
