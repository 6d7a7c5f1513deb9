"""MetaD2A's predictor: a Set Transformer over the images, within classes and then across them (Table 2).

Lee, Hyung and Hwang (2021), "Rapid Neural Architecture Search by Learning to Generate Graphs from Datasets"; the set
encoder is that of Lee et al. (2019), "Set Transformer". Ours differ in two inputs: the architecture code replaces the
encoder of cell graphs, which this search space has none of, and image features are those of a source task's teacher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dass.baselines.methods.set_conditioned import SetConditionedNetwork, SetConditionedRanker

SIZE = 56
HEADS = 4


class MetaD2A(SetConditionedRanker):
    """Knows the dataset, but neither the teacher nor what a student makes of its weights."""

    published_rate = 1e-4

    def build(self, features: int, description: int) -> SetConditionedNetwork:
        """See `SetConditionedRanker.build`."""
        return MetaD2ANetwork(features, description)


class MetaD2ANetwork(SetConditionedNetwork):
    """Images to 56, architecture code to 56 by one linear layer; both to 56, tanh, 1.

    Args:
        features: number of features of an image.
        description: length of an architecture code.
    """

    def __init__(self, features: int, description: int) -> None:
        super().__init__()
        self.within_class = SetPool(features)
        self.across_classes = SetPool(SIZE)
        self.code = nn.Linear(description, SIZE)
        self.head = nn.Sequential(nn.Linear(2 * SIZE, SIZE), nn.Tanh(), nn.Linear(SIZE, 1))

    def encode(self, images: Tensor) -> Tensor:
        """[..., classes, samples, c] to [..., 56]."""
        encoding: Tensor = self.across_classes(self.within_class(images))
        return encoding

    def forward(self, tasks: Tensor, students: Tensor) -> Tensor:
        """[T, 56] and [T, n, m] to [T, n]."""
        codes = self.code(students)
        repeated = tasks[:, None].expand(-1, codes.shape[1], -1)
        predictions: Tensor = self.head(torch.cat([repeated, codes], -1)).squeeze(-1)
        return predictions


class SetPool(nn.Module):
    """A set to one vector of 56: two self-attention blocks, attention pooling by a learned seed, a linear layer.

    Args:
        features: number of features of an element.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = AttentionBlock(features, features)
        self.second = AttentionBlock(SIZE, SIZE)
        self.seed = nn.Parameter(torch.empty(1, SIZE))
        nn.init.xavier_uniform_(self.seed)
        self.pooling = AttentionBlock(SIZE, SIZE)
        self.output = nn.Linear(SIZE, SIZE)

    def forward(self, elements: Tensor) -> Tensor:
        """[..., elements, features] to [..., 56], whatever the order of the elements."""
        hidden = self.first(elements, elements)
        hidden = self.second(hidden, hidden)
        seeds = self.seed.expand(*hidden.shape[:-2], 1, SIZE)
        pooled: Tensor = self.output(self.pooling(seeds, hidden)).squeeze(-2)
        return pooled


class AttentionBlock(nn.Module):
    """The Set Transformer's multi-head attention block without layer norm.

    H = Q' + attention(Q', K', V'), then H + relu(linear(H)), where Q', K' and V' are linear in queries and keys.

    Args:
        queries: number of features of a query.
        keys: number of features of a key.
    """

    def __init__(self, queries: int, keys: int) -> None:
        super().__init__()
        self.query = nn.Linear(queries, SIZE)
        self.key = nn.Linear(keys, SIZE)
        self.value = nn.Linear(keys, SIZE)
        self.output = nn.Linear(SIZE, SIZE)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[..., q, queries] and [..., k, keys] to [..., q, 56]."""
        query = self.query(queries)
        parts = query, self.key(keys), self.value(keys)
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(-2, -3) for part in parts)
        attended = F.scaled_dot_product_attention(*heads).transpose(-2, -3).flatten(-2)
        hidden = query + attended
        return hidden + F.relu(self.output(hidden))
