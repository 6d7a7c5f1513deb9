import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dass.datasets.augment import augment, normalize


def _batch(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    rows = np.random.default_rng(seed).integers(1, 256, (count, height, width, 3), dtype=np.uint8)
    return torch.from_numpy(rows).permute(0, 3, 1, 2)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40)
@given(
    count=st.integers(1, 6),
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    padding=st.integers(0, 4),
    flip=st.booleans(),
    channels_last=st.booleans(),
)
def test_each_image_is_one_of_its_own_crops(count, size, padding, flip, channels_last):
    height, width = size
    images = _batch(count, height, width)
    if not channels_last:
        images = images.contiguous()
    before = images.clone()
    out = augment(images, _generator(count), flip, padding)
    assert torch.equal(images, before)
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert out.permute(0, 2, 3, 1).is_contiguous()
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    for image, source in zip(out, padded, strict=True):
        crops = [
            source[:, y : y + height, x : x + width] for y in range(2 * padding + 1) for x in range(2 * padding + 1)
        ]
        if flip:
            crops += [crop.flip(2) for crop in crops]
        assert any(torch.equal(image, crop) for crop in crops)


def test_nothing_asked_changes_nothing():
    images = _batch(4, 8, 8)
    assert torch.equal(augment(images, _generator(), flip=False, crop_padding=0), images)


def test_same_seed_same_batch_and_memory_order_does_not_matter():
    images = _batch(16, 8, 8)
    first = augment(images, _generator(3), True, 2)
    assert torch.equal(first, augment(images, _generator(3), True, 2))
    assert torch.equal(first, augment(images.contiguous(), _generator(3), True, 2))
    assert not torch.equal(first, augment(images, _generator(4), True, 2))


def test_all_shifts_and_both_directions_happen_about_equally_often():
    images = torch.zeros(20_000, 3, 5, 5, dtype=torch.uint8)
    images[:, :, 2, 1] = 255
    out = augment(images, _generator(), True, 1)
    positions = out[:, 0].flatten(1).argmax(1)
    counts = torch.bincount(positions, minlength=25).reshape(5, 5)
    # The bright pixel starts in column 1, or 3 when mirrored, and moves by -1..1; column 2 is reached both ways.
    expected = torch.zeros(5, 5)
    expected[1:4] = torch.tensor([1, 1, 2, 1, 1]) * 20_000 / 18
    assert torch.allclose(counts.float(), expected, atol=5 * (20_000 / 9) ** 0.5)


def test_padding_is_black():
    images = torch.full((200, 3, 4, 4), 200, dtype=torch.uint8)
    assert set(augment(images, _generator(), False, 2).unique().tolist()) == {0, 200}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_normalize_maps_bytes_to_minus_one_to_one(dtype):
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    out = normalize(images.contiguous(memory_format=torch.channels_last), dtype)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out.min() == -1
    assert out.max() == 1
    expected = (torch.arange(256, dtype=torch.float64) / 255 - 0.5) / 0.5
    tolerance = torch.finfo(dtype).eps
    assert torch.allclose(out[0, 0].flatten().double(), expected, atol=tolerance)
