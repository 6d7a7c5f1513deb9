"""3x3 convolutions in a quarter of the multiplications, for float32 on CPUs (Lavin and Gray, arXiv:1509.09308).

An output tile of 4x4 pixels takes 36 products instead of 144 per pair of channels: input and weights are
transformed, multiplied element by element, and transformed back. All steps are matrix products here, so the
method runs at the rate of the device's matrix product; its relative error is about 3e-6, four times that of a
direct convolution. It pays where channels are many, since the transforms cost the same for few.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4  # output pixels of a tile's side
PATCH = TILE + 2  # input pixels that they see

# One-dimensional transforms: interpolation at 0, 1, -1, 2, -2 and infinity.
_INPUT: list[list[float]] = [[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
          [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
_WEIGHT: list[list[float]] = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
           [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
_OUTPUT: list[list[float]] = [[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class WinogradConv:
    """A 3x3 convolution of stride 1 and padding 1, of which every narrower one is a part.

    Args:
        weight: float32 [out, in, 3, 3].
        bias: float32 [out].
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        out_channels, in_channels = weight.shape[:2]
        transformed = _both_sides(_WEIGHT) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
        self._weight = transformed.view(-1, in_channels, out_channels)  # a prefix of it is the transform of a prefix
        self._bias = bias
        self._to_products = _both_sides(_INPUT)
        self._to_pixels = _both_sides(_OUTPUT)

    def __call__(self, features: Tensor, width: int) -> Tensor:
        """The first `width` output channels, from as many input channels as there are.

        Args:
            features: float32 [n, h, w, c], contiguous; h and w multiples of 4.
            width: output channels.

        Returns:
            float32 [n, h, w, width], contiguous.
        """
        n, height, breadth, channels = features.shape
        rows, columns = height // TILE, breadth // TILE
        padded = F.pad(features, (0, 0, 1, 1, 1, 1))
        image, line, pixel, _ = padded.stride()
        overlapping = padded.as_strided(
            (PATCH, PATCH, n, rows, columns, channels), (line, pixel, image, TILE * line, TILE * pixel, 1)
        )
        patches = overlapping.reshape(PATCH * PATCH, -1)
        products = torch.bmm(
            (self._to_products @ patches).view(PATCH * PATCH, -1, channels), self._weight[:, :channels, :width]
        )
        pixels = (self._to_pixels @ products.view(PATCH * PATCH, -1)).view(TILE, TILE, n, rows, columns, width)
        output = features.new_empty(n, rows, TILE, columns, TILE, width)
        torch.add(pixels.permute(2, 3, 0, 4, 1, 5), self._bias[:width], out=output)
        return output.view(n, height, breadth, width)


def _both_sides(matrix: list[list[float]]) -> Tensor:
    """The matrix that applies a one-dimensional transform to rows and columns of a tile: its Kronecker square."""
    once = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(once, once).float()
