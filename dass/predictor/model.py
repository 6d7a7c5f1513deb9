"""The accuracy predictor (Eq. 3, Appendix B.2-B.4): seven matrices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.errors import UsageError

FEATURES = 64  # width of the architecture embedding and of the hidden layer
TAPS = 9  # a 3x3 kernel
ALL = tuple(range(TAPS))
SMALLEST = 3  # side of the smallest grid on which every tap meets a pixel

Linear = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Students of several tasks, ready for the predictor.

    T: tasks; n: students of each; q: positions of the first convolution's output; C: channels of an embedding;
    L: length of the architecture code.

    Attributes:
        teachers: [T, q, 9C] patches of each task's teacher embedding, see `DassPredictor.patches`.
        students: [T, n, q, 9C] patches of the students' embeddings, of the same dtype.
        codes: [T, n, L] one-hot architecture codes, float32.
        targets: [T, n] accuracies on the network's scale.
    """

    teachers: Tensor
    students: Tensor
    codes: Tensor
    targets: Tensor


class DassPredictor(nn.Module):
    """Predicts what each student reaches after distillation, from teacher, remapped student and architecture.

    The student's and the teacher's embedding go through encoders of their own: 3x3 convolution with stride 2 from C
    to C/2 channels, ReLU, another back to C, ReLU, global average pool; no bias. The architecture code goes through
    one linear layer. The three are joined, then linear, tanh, linear to one number.

    Every layer is a matrix [inputs, outputs]: convolutions are products with 3x3 patches, and a bias is the row of
    a constant input (the architecture code begins with one). That makes several tasks with weights of their own one
    batched product, where a convolution would become a slow grouped one, and gives the gradient of the guide the
    low rank that `dass.predictor.adaptation` rests on.

    The encoders compute in the dtype of the embeddings, the rest in the weights' dtype.

    Rows of a convolution whose tap meets only padding, as five of nine do on a grid of 2x2, take no part in anything.
    `for_side` gives the predictor without them, which is several times faster to train on small embeddings.

    Attributes:
        layers: the matrices by name.
        side: side of the embeddings that it is for; None for all.
    """

    def __init__(
        self,
        embedding_channels: int,
        code_length: int,
        *,
        use_student: bool = True,
        use_teacher: bool = True,
        use_code: bool = True,
        side: int | None = None,
        seed: int = 0,
    ) -> None:
        """Initialises the weights uniformly within 1 / sqrt(inputs).

        Args:
            embedding_channels: number C of channels of an embedding, at least 2.
            code_length: length L of an architecture code.
            use_student: whether the student's embedding is an input (the three are for ablations).
            use_teacher: whether the teacher's embedding is an input.
            use_code: whether the architecture code is an input.
            side: side of the embeddings that it is for; None for all.
            seed: random seed of the initial weights.

        Raises:
            UsageError: nothing to predict from.
        """
        super().__init__()
        if not (use_student or use_teacher or use_code):
            raise UsageError(
                "a predictor needs at least one of student embedding, teacher embedding, architecture code"
            )
        self.embedding_channels = embedding_channels
        self.code_length = code_length
        self.use_student = use_student
        self.use_teacher = use_teacher
        self.use_code = use_code
        self.side = side
        narrow = embedding_channels // 2
        first, second = (len(taps) for taps in _taps(side))
        shapes: dict[str, tuple[int, int]] = {}
        for encoder, used in (("student", use_student), ("teacher", use_teacher)):
            if used:
                shapes[f"{encoder}_first"] = (first * embedding_channels, narrow)
                shapes[f"{encoder}_second"] = (second * narrow, embedding_channels)
        if use_code:
            shapes["code"] = (code_length, FEATURES)
        joined = (use_student + use_teacher) * embedding_channels + use_code * FEATURES
        shapes["hidden"] = (joined + 1, FEATURES)
        shapes["output"] = (FEATURES + 1, 1)
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.ParameterDict(
            {
                name: nn.Parameter((2 * torch.rand(shape, generator=generator) - 1) / shape[0] ** 0.5)
                for name, shape in shapes.items()
            }
        )

    def forward(self, batch: Batch, linear: Linear | None = None) -> Tensor:
        """Predicts accuracies.

        Args:
            batch: T tasks of n students each.
            linear: what stands for the layers, a function of a layer's name and its inputs [T, m, inputs]; None for
                the predictor's own matrices.

        Returns:
            [T, n] on the network's scale.
        """
        linear = linear or self._own
        parts = []
        if self.use_student:
            parts.append(self._encode(linear, "student", batch.students))
        if self.use_teacher:  # one embedding per task: encoded once, then repeated without a copy
            encoded = self._encode(linear, "teacher", batch.teachers[:, None])
            parts.append(encoded.expand(-1, batch.codes.shape[1], -1))
        if self.use_code:
            parts.append(linear("code", batch.codes))
        hidden = torch.tanh(linear("hidden", _with_constant(torch.cat(parts, -1))))
        return linear("output", _with_constant(hidden)).squeeze(-1)

    def for_side(self, side: int) -> "DassPredictor":
        """A copy for embeddings of one side, without the rows that would only meet padding; it predicts the same."""
        narrow = DassPredictor(
            self.embedding_channels,
            self.code_length,
            use_student=self.use_student,
            use_teacher=self.use_teacher,
            use_code=self.use_code,
            side=side,
        )
        narrow.load_state_dict(
            {f"layers.{name}": matrix[self.rows(name, side)] for name, matrix in self.layers.items()}
        )
        return narrow.to(next(iter(self.layers.values())))

    def rows(self, name: str, side: int) -> Tensor:
        """Rows of a layer's matrix that `for_side` keeps, int64, ascending."""
        inputs = len(self.layers[name])
        if not name.endswith(("_first", "_second")):
            return torch.arange(inputs)
        taps = _taps(side)[name.endswith("_second")]
        return torch.arange(inputs).unflatten(0, (TAPS, -1))[list(taps)].flatten()

    def patches(self, embeddings: Tensor) -> Tensor:
        """Cuts embeddings into the 3x3 patches, two apart and zero-padded by one, that the first convolution sees.

        Args:
            embeddings: functional embeddings, [..., C, s, s].

        Returns:
            [..., ceil(s/2)^2, 9C], of the same dtype; fewer taps than 9 where the predictor is for a side below 3.
        """
        return self._cut(embeddings.flatten(-2).mT)

    def _cut(self, pixels: Tensor) -> Tensor:
        """The same for channels-last pixels [..., s*s, C]."""
        side = isqrt(pixels.shape[-2])
        if self.side is not None and side < SMALLEST:  # the taps that are kept see each pixel once
            return pixels.flatten(-2).unsqueeze(-2)
        cut = torch.matmul(_picked(side, pixels.dtype, pixels.device), pixels)
        return cut.unflatten(-2, (-1, TAPS)).flatten(-2)

    def _own(self, name: str, inputs: Tensor) -> Tensor:
        return inputs @ self.layers[name].to(inputs.dtype)

    def _encode(self, linear: Linear, encoder: str, first: Tensor) -> Tensor:
        """Encodes embeddings given as patches [T, n, q, 9C] to [T, n, C]."""
        features = F.relu(linear(f"{encoder}_first", first.flatten(1, 2))).unflatten(1, first.shape[1:3])
        second = self._cut(features)
        features = F.relu(linear(f"{encoder}_second", second.flatten(1, 2))).unflatten(1, second.shape[1:3])
        return features.mean(-2, dtype=torch.promote_types(features.dtype, torch.float32))


def _taps(side: int | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Taps of both convolutions that meet a pixel anywhere, row by row, for embeddings of a side."""
    if side is None:
        return ALL, ALL
    seen = {1: (4,), 2: (4, 5, 7, 8)}
    return seen.get(side, ALL), seen.get((side + 1) // 2, ALL)


@lru_cache(maxsize=16)
def _picked(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What cuts the patches of a grid: a row for each position and tap, [9 ceil(s/2)^2, s*s], with a single 1.

    Rows of padding have none. As a product the cut is exact, runs at the speed of a copy and has a cheap gradient,
    where slices of a padded copy have nine.
    """
    with torch.inference_mode(False):  # kept for training too
        eye = torch.eye(side * side, device=device).view(-1, 1, side, side)
        return F.unfold(eye, 3, padding=1, stride=2).permute(2, 1, 0).flatten(0, 1).to(dtype)


def _with_constant(inputs: Tensor) -> Tensor:
    return torch.cat([inputs, inputs.new_ones(*inputs.shape[:-1], 1)], -1)
