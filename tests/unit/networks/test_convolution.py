"""The ways to compute a narrower convolution, against torch's own in double precision."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dass.networks.convolution import FusedConv, SlicedConv, UnfoldedConv

TEACHER = 24  # channels in and out

needs_fused = pytest.mark.skipif(
    not FusedConv.available(torch.empty(1, 1, 3, 3)), reason="this build of torch lacks the fused operators"
)
ways = pytest.mark.parametrize(
    "make",
    [
        pytest.param(SlicedConv, id="sliced"),
        pytest.param(UnfoldedConv, id="unfolded"),
        pytest.param(FusedConv, id="fused", marks=needs_fused),
    ],
)


def relative_error(ours: Tensor, expected: Tensor) -> float:
    return ((ours - expected).abs().max() / expected.abs().max().clamp_min(1e-3)).item()


@ways
@settings(max_examples=40)
@given(
    n=st.integers(1, 3),
    size=st.tuples(st.sampled_from([1, 4, 5, 8]), st.sampled_from([2, 4, 12])),
    channels=st.integers(1, TEACHER),
    width=st.integers(1, TEACHER),
    common=st.integers(1, TEACHER),
    stride=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_every_narrower_convolution_is_a_part(
    make: Callable[[Tensor, int], SlicedConv],
    n: int,
    size: tuple[int, int],
    channels: int,
    width: int,
    common: int,
    stride: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    weight, bias = torch.randn(TEACHER, TEACHER, 3, 3), torch.randn(width)
    features = torch.randn(n, *size, channels)
    conv = make(weight, stride)
    output = conv.relu(features, bias)
    kept = torch.randn_like(output)[..., :common]
    rows = torch.zeros(len(output) + 1, *output.shape[1:])  # of something larger, as in use
    conv.add_relu(features, bias, kept, rows[1:])
    direct = F.conv2d(
        features.permute(0, 3, 1, 2).double(), weight[:width, :channels].double(), stride=stride, padding=1
    ).permute(0, 2, 3, 1)
    assert output.is_contiguous()
    assert relative_error(output, F.relu(direct + bias)) < 5e-5
    assert relative_error(rows[1:], F.relu(direct + bias + F.pad(kept, (0, width - kept.shape[-1])))) < 5e-5
    assert not rows[0].any()
