"""3x3 convolutions in a quarter of the multiplications, for float32 on CPUs (Lavin and Gray, arXiv:1509.09308).

An output tile of 4x4 pixels takes 36 products instead of 144 per pair of channels: input and weights are
transformed, multiplied element by element, and transformed back. All steps are matrix products here, so the
method runs at the rate of the device's matrix product; its relative error is about 3e-6, four times that of a
direct convolution.
"""

from math import prod

import torch
from torch import Tensor

from dass.networks.convolution import FusedConv

TILE = 4  # output pixels of a tile's side
PATCH = TILE + 2  # input pixels that they see
CONSTANT = PATCH + 1  # the product that the transform back adds to all pixels of a tile alike
WORTHWHILE = 64 * 64  # channels in times out; the transforms cost the same for fewer, where there is less to save

# One-dimensional transforms: interpolation at 0, 1, -1, 2, -2 and infinity.
_INPUT: list[list[float]] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_WEIGHT: list[list[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT: list[list[float]] = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class Workspace:
    """Three stretches of memory for intermediate results, kept between calls and shared by all convolutions.

    The system gives fresh memory page by page and clears it, which took a quarter of the time.
    """

    def __init__(self) -> None:
        self._slots = [torch.empty(0) for _ in range(3)]

    def take(self, slot: int, *shape: int) -> Tensor:
        """Memory of a slot in a shape; what it held before is lost."""
        count = prod(shape)
        if len(self._slots[slot]) < count:
            self._slots[slot] = torch.empty(count)
        return self._slots[slot][:count].view(shape)


class WinogradConv(FusedConv):
    """Stride 1; for sizes that the method does not suit, the direct convolution.

    Args:
        weight: kernel of the convolution, float32 [out, in, 3, 3].
        workspace: shared with other convolutions that do not run at the same time.
    """

    def __init__(self, weight: Tensor, workspace: Workspace) -> None:
        super().__init__(weight, stride=1)
        out_channels, in_channels = weight.shape[:2]
        transformed = _both_sides(_WEIGHT) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
        self._transformed = transformed.view(-1, in_channels, out_channels)  # prefixes of it belong to prefixes
        self._workspace = workspace
        self._to_products = _both_sides(_INPUT)
        self._to_pixels = _both_sides(_OUTPUT)

    @staticmethod
    def available(weight: Tensor) -> bool:
        """Whether the method is worth having for such a weight."""
        many = weight.shape[0] * weight.shape[1] >= WORTHWHILE and weight.shape[-1] == 3
        return many and weight.dtype == torch.float32 and FusedConv.available(weight)

    def relu(self, features: Tensor, bias: Tensor) -> Tensor:
        """See `SlicedConv.relu`."""
        if not _suits(features, len(bias)):
            return super().relu(features, bias)
        tiles = self._tiles(features, bias)
        output = features.new_empty(tiles.shape)
        torch.clamp_min(tiles, 0, out=output)
        return output.view(*features.shape[:-1], len(bias))

    def add_relu(self, features: Tensor, bias: Tensor, kept: Tensor, out: Tensor) -> None:
        """See `SlicedConv.add_relu`."""
        if not _suits(features, len(bias)):
            super().add_relu(features, bias, kept, out)
            return
        tiles = self._tiles(features, bias)
        tiled_out = out.view(tiles.shape)
        common = kept.shape[-1]
        torch.add(tiles[..., :common], kept.view(*tiles.shape[:-1], common), out=tiled_out[..., :common])
        tiled_out[..., common:] = tiles[..., common:]
        out.relu_()

    def _tiles(self, features: Tensor, bias: Tensor) -> Tensor:
        """Convolution plus bias [n, rows, 4, columns, 4, width] of features [n, h, w, c], in an order of its own."""
        width = len(bias)
        n, height, breadth, channels = features.shape
        rows, columns = height // TILE, breadth // TILE
        take = self._workspace.take
        padded = take(0, n, height + 2, breadth + 2, channels).zero_()
        padded[:, 1:-1, 1:-1] = features
        image, line, pixel, _ = padded.stride()
        overlapping = padded.as_strided(
            (n, rows, columns, PATCH, PATCH, channels), (image, TILE * line, TILE * pixel, line, pixel, 1)
        )
        tiles = n * rows * columns
        patches = take(1, tiles, PATCH * PATCH, channels)
        patches.view(overlapping.shape).copy_(overlapping)
        # One small product per tile on either side, which stays in cache; between them one large per position.
        inputs = torch.matmul(self._to_products, patches, out=take(2, tiles, PATCH * PATCH, channels))
        products = take(1, PATCH * PATCH, tiles, width)
        torch.bmm(inputs.transpose(0, 1), self._transformed[:, :channels, :width], out=products)
        products[CONSTANT] += bias
        pixels = take(0, tiles, TILE * TILE, width)
        torch.matmul(self._to_pixels, products.transpose(0, 1), out=pixels)
        return pixels.view(n, rows, columns, TILE, TILE, width).permute(0, 1, 3, 2, 4, 5)


def _suits(features: Tensor, width: int) -> bool:
    _, height, breadth, channels = features.shape
    return channels * width >= WORTHWHILE and height % TILE == breadth % TILE == 0


def _both_sides(matrix: list[list[float]]) -> Tensor:
    """The matrix that applies a one-dimensional transform to rows and columns of a tile: its Kronecker square."""
    once = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(once, once).float()
