"""Random changes and normalisation of whole batches, without a loop over images."""

import torch
from torch import Tensor


def augment(images: Tensor, generator: torch.Generator, flip: bool, crop_padding: int) -> Tensor:
    """Flips and shifts each image of a batch at random.

    The random numbers come from the CPU generator whatever the device, so a seed gives the same batch everywhere.

    Args:
        images: uint8 [b, 3, h, w], on any device; channels-last strides are fastest.
        generator: a CPU generator; advanced by the same amount for the same shape and settings.
        flip: mirror each image horizontally with probability one half.
        crop_padding: pixels of black added on each side before a random crop back to [h, w]; 0 for none.

    Returns:
        uint8 [b, 3, h, w] with channels-last strides; `images` itself is left as it was.
    """
    count, _, height, width = images.shape
    rows = images.permute(0, 2, 3, 1)
    if crop_padding:
        high, wide = height + 2 * crop_padding, width + 2 * crop_padding
        padded = rows.new_zeros(count, high, wide, 3)
        padded[:, crop_padding : crop_padding + height, crop_padding : crop_padding + width] = rows
        offsets = torch.randint(2 * crop_padding + 1, (2, count), generator=generator).to(images.device)
        # Every crop of every image, as a view: the strides of an offset are those of a row and of a pixel.
        every_crop = padded.as_strided(
            (count, 2 * crop_padding + 1, 2 * crop_padding + 1, height, width * 3),
            (high * wide * 3, wide * 3, 3, wide * 3, 1),
        )
        numbers = torch.arange(count, device=images.device)
        rows = every_crop[numbers, offsets[0], offsets[1]].reshape(count, height, width, 3)
    else:
        rows = rows.clone(memory_format=torch.contiguous_format)
    if flip:
        chosen = (torch.rand(count, generator=generator) < 0.5).nonzero()[:, 0].to(images.device)
        rows[chosen] = rows[chosen].flip(2)
    return rows.permute(0, 3, 1, 2)


def normalize(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Maps uint8 0..255 to -1..1 (mean and standard deviation 0.5), strides kept.

    Args:
        images: images of the batch, uint8 [b, 3, h, w].
        dtype: number format of the result; the arithmetic is float32.
    """
    return images.to(torch.float32).div_(127.5).sub_(1).to(dtype)
