"""The accuracy predictor (Eq. 3, Appendix B.2-B.4): seven matrices."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.errors import UsageError

FEATURES = 64  # width of the architecture embedding and of the hidden layer
TAPS = 9  # a 3x3 kernel

Linear = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Students of several tasks, ready for the predictor.

    T: tasks; n: students of each; q: positions of the first convolution's output; C: channels of an embedding;
    L: length of the architecture code.

    Attributes:
        teachers: [T, q, 9C] patches of each task's teacher embedding, see `patches`.
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

    Attributes:
        layers: the matrices by name.
    """

    def __init__(
        self,
        embedding_channels: int,
        code_length: int,
        *,
        use_student: bool = True,
        use_teacher: bool = True,
        use_code: bool = True,
        seed: int = 0,
    ) -> None:
        """Initialises the weights uniformly within 1 / sqrt(inputs).

        Args:
            embedding_channels: number C of channels of an embedding, at least 2.
            code_length: length L of an architecture code.
            use_student: whether the student's embedding is an input (the three are for ablations).
            use_teacher: whether the teacher's embedding is an input.
            use_code: whether the architecture code is an input.
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
        narrow = embedding_channels // 2
        shapes: dict[str, tuple[int, int]] = {}
        for encoder, used in (("student", use_student), ("teacher", use_teacher)):
            if used:
                shapes[f"{encoder}_first"] = (TAPS * embedding_channels, narrow)
                shapes[f"{encoder}_second"] = (TAPS * narrow, embedding_channels)
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

    def _own(self, name: str, inputs: Tensor) -> Tensor:
        return inputs @ self.layers[name].to(inputs.dtype)

    @staticmethod
    def _encode(linear: Linear, encoder: str, first: Tensor) -> Tensor:
        """Encodes embeddings given as patches [T, n, q, 9C] to [T, n, C]."""
        features = F.relu(linear(f"{encoder}_first", first.flatten(1, 2))).unflatten(1, first.shape[1:3])
        second = _grid_patches(features)
        features = F.relu(linear(f"{encoder}_second", second.flatten(1, 2))).unflatten(1, second.shape[1:3])
        return features.mean(-2, dtype=torch.promote_types(features.dtype, torch.float32))


def patches(embeddings: Tensor) -> Tensor:
    """Cuts embeddings into the 3x3 patches, two apart and zero-padded by one, that the first convolution sees.

    Args:
        embeddings: functional embeddings, [..., C, s, s].

    Returns:
        [..., ceil(s/2)^2, 9C], of the same dtype.
    """
    return _grid_patches(embeddings.flatten(-2).mT)


def _grid_patches(pixels: Tensor) -> Tensor:
    """The same for channels-last pixels [..., s*s, C]."""
    side = isqrt(pixels.shape[-2])
    eye = torch.eye(side * side, device=pixels.device).view(-1, 1, side, side)
    # One row per position and tap with a single 1 (none in the padding): as a product the cut is exact, runs at the
    # speed of a copy and has a cheap gradient, where slices of a padded copy have nine.
    pick = F.unfold(eye, 3, padding=1, stride=2).permute(2, 1, 0).flatten(0, 1).to(pixels.dtype)
    return torch.matmul(pick, pixels).unflatten(-2, (-1, TAPS)).flatten(-2)


def _with_constant(inputs: Tensor) -> Tensor:
    return torch.cat([inputs, inputs.new_ones(*inputs.shape[:-1], 1)], -1)
