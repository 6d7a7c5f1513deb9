"""Proxies of milliseconds: the functional embedding, compared with the teacher's (Section 4, Eq. 4, Appendix B.2)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dass.fidelity import NOISE
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import embed
from dass.proxies.proxy import Proxy, Subject
from dass.proxies.table import Column, Floats
from dass.space.architecture import Architecture

COLUMNS = tuple(
    Column(name, NOISE) for name in ("noise_cosine", "noise_log_norm", "noise_error", "noise_channel_cosine")
)


class Noise(Proxy):
    """How near a remapped student's response to the fixed noise image is to the teacher's."""

    fidelity = NOISE

    def columns(self, stages: int) -> tuple[Column, ...]:
        """See `Proxy.columns`."""
        return COLUMNS

    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """See `Proxy.rows`."""
        return noise_rows(subject.teacher, architectures, subject.noise)


def noise_rows(
    teacher: ElasticResNet, architectures: Sequence[Architecture], noise: Tensor, *, dtype: torch.dtype = torch.float32
) -> Floats:
    """How near the remapped student's response to the fixed noise image is to the teacher's.

    The cosine between both embeddings; the logarithm of their norms' ratio; the norm of their difference over the
    teacher's norm; and the cosine between their channels' means.

    Args:
        teacher: trained network of the teacher.
        architectures: architectures of the n students.
        noise: the fixed input, float32 [1, 3, r, r].
        dtype: number format of the embeddings, float32 or bfloat16.

    Returns:
        [n, f], columns `COLUMNS`.
    """
    [reference] = next(iter(embed(teacher, [teacher.architecture], noise, dtype=dtype))).embeddings.float()
    rows = np.empty((len(architectures), len(COLUMNS)))
    for part in embed(teacher, architectures, noise, dtype=dtype):
        rows[part.indices.numpy()] = _compare(part.embeddings.float(), reference).cpu().numpy()
    return rows


def _compare(embeddings: Tensor, reference: Tensor) -> Tensor:
    """[k, 4] for embeddings [k, c, h, w] and a reference [c, h, w]."""
    flat, whole = embeddings.flatten(1), reference.flatten()
    channels, mean = embeddings.mean((2, 3)), reference.mean((1, 2))
    norm = whole.norm()
    return torch.stack(
        [
            torch.cosine_similarity(flat, whole[None], dim=1),
            (flat.norm(dim=1) / norm).log(),
            (flat - whole).norm(dim=1) / norm,
            torch.cosine_similarity(channels, mean[None], dim=1),
        ],
        dim=1,
    ).double()
