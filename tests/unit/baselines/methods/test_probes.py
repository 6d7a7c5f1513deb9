"""One batch, and networks before training."""

import numpy as np
import torch

from dass.baselines.methods.probes import probe_batch, random_network, scratch_copy
from dass.datasets.augment import normalize
from dass.tasks.ranking import RankingTask

CPU = torch.device("cpu")


def test_a_batch_is_distinct_training_images_with_their_labels(target: RankingTask) -> None:
    data = target.data
    batch = probe_batch(data, 10, 3, CPU)
    found = [
        next(i for i, image in enumerate(data.train_images) if torch.equal(normalize(image[None])[0], part))
        for part in batch.images
    ]
    assert len(set(found)) == 10
    assert torch.equal(data.train_labels[found], batch.labels)
    assert found != sorted(found)
    assert len(probe_batch(data, 1000, 3, CPU).labels) == len(data.train_labels)
    assert not torch.equal(probe_batch(data, 10, 4, CPU).labels, batch.labels)


def test_a_random_network_follows_its_seed_alone(target: RankingTask) -> None:
    architecture = target.architectures[0]
    state = torch.get_rng_state()
    first = random_network(architecture, 3, 7, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    same, other = random_network(architecture, 3, 7, CPU), random_network(architecture, 3, 8, CPU)
    assert torch.equal(first.stages[3][0].conv1.weight, same.stages[3][0].conv1.weight)  # type: ignore[index, union-attr]
    assert not torch.equal(first.stem_conv.weight, other.stem_conv.weight)
    spread = np.sqrt(2 / (9 * target.space.widths[3]))
    assert abs(first.stages[3][-1].conv2.weight.std().item() / spread - 1) < 0.2  # type: ignore[index, union-attr]


def test_a_scratch_copy_shares_nothing(target: RankingTask) -> None:
    copied = scratch_copy(target.teacher)
    assert copied.training
    pairs = zip(copied.state_dict().values(), target.teacher.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) and a.data_ptr() != b.data_ptr() for a, b in pairs)
