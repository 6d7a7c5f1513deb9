"""TANS's predictor: a dataset and a network as two points on a sphere (Table 2).

Jeong et al. (2021), "Task-Adaptive Neural Network Search with Meta-Contrastive Learning". Ours differs in image
features, which are those of a source task's teacher, and in the network's functional features. Those of a zoo of
trained networks do not exist here, and slices of the teacher would be DaSS's idea: they are those of an untrained
network of the largest architecture, of which a student takes its part, on the fixed noise.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.baselines.methods.probes import random_network
from dass.baselines.methods.set_conditioned import SetConditionedNetwork, SetConditionedRanker
from dass.predictor.embeddings import embed
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask

SIZE = 128
MARGIN = 0.2


class TANS(SetConditionedRanker):
    """Knows the dataset and what a student is, but nothing of the teacher's weights in it."""

    published_rate = 1e-2

    def build(self, features: int, description: int) -> SetConditionedNetwork:
        """See `SetConditionedRanker.build`."""
        return TANSNetwork(features, description)

    def describe(self, task: RankingTask, architectures: Sequence[Architecture]) -> Tensor:
        """Architecture code beside functional features, [n, m], each scaled to unit length so that neither drowns."""
        codes = super().describe(task, architectures)
        untrained = random_network(task.space.largest, 1, self.seed, task.teacher.device)
        features = codes.new_zeros(len(codes), task.space.embedding_channels)
        for part in embed(untrained, architectures, task.noise):
            features[part.indices] = part.embeddings.mean((-2, -1)).cpu()
        return torch.cat([F.normalize(codes), F.normalize(features)], 1)


class TANSNetwork(SetConditionedNetwork):
    """Query and student on the unit sphere of 128 dimensions, and a linear head on both.

    A head that is linear in (query, student) adds the same to all students of a task: as published, TANS orders
    students alike on every task, and the dataset moves its level only. The authors' sigmoid behind it is left out:
    accuracies are standardised.

    Args:
        features: number of features of an image.
        description: length of a student's description.
    """

    def __init__(self, features: int, description: int) -> None:
        super().__init__()
        self.query = nn.Linear(features, SIZE)
        self.student = nn.Linear(description, SIZE)
        self.head = nn.Linear(2 * SIZE, 1)

    def encode(self, images: Tensor) -> Tensor:
        """[..., classes, samples, c] to [..., 128]: the mean over all samples of a linear layer, at unit length."""
        return F.normalize(self.query(images).mean((-3, -2)), dim=-1)

    def embed_students(self, students: Tensor) -> Tensor:
        """[..., m] to [..., 128] at unit length."""
        return F.normalize(self.student(students), dim=-1)

    def forward(self, tasks: Tensor, students: Tensor) -> Tensor:
        """[T, 128] and [T, n, m] to [T, n]."""
        embedded = self.embed_students(students)
        repeated = tasks[:, None].expand(-1, embedded.shape[1], -1)
        predictions: Tensor = self.head(torch.cat([repeated, embedded], -1)).squeeze(-1)
        return predictions

    def loss(self, tasks: Tensor, students: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error plus `contrast`.

        Tasks are contrasted by pairs: each with the most accurate of its students.

        Args:
            tasks: encodings [T, 128].
            students: descriptions [T, n, m].
            targets: [T, n].
        """
        best = self.embed_students(students[torch.arange(len(students), device=students.device), targets.argmax(1)])
        return super().loss(tasks, students, targets) + contrast(tasks, best)


def contrast(queries: Tensor, students: Tensor) -> Tensor:
    """Hinge on the hardest negative of each query and of each student (Faghri et al., 2018), margin 0.2.

    Mean over pairs of max(0, margin + s_ij - s_ii) for the most similar other student j of query i, and the same with
    the roles exchanged. 0 for a single pair.

    Args:
        queries: [T, d] at unit length.
        students: [T, d], pair by pair.
    """
    if len(queries) < 2:
        return queries.new_zeros(())
    similarities = queries @ students.T
    own = similarities.diagonal()
    others = similarities.masked_fill(torch.eye(len(own), dtype=torch.bool, device=own.device), -torch.inf)
    return sum((F.relu(MARGIN + others.amax(axis) - own).mean() for axis in (0, 1)), own.new_zeros(()))
