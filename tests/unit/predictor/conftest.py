"""Tiny real tasks: random teachers of a small space, their remapped students, and accuracies that depend on both."""

import numpy as np
import pytest
import torch

from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.predictor.tasks import TaskTensors, build_task
from dass.space.search_space import SearchSpace


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")


@pytest.fixture(scope="session")
def noise() -> torch.Tensor:
    return fixed_noise(16, seed=3)


def make_teacher(space: SearchSpace, seed: int) -> ElasticResNet:
    torch.manual_seed(seed)
    network = ElasticResNet(space.largest, 3)
    network(torch.randn(8, 3, 16, 16))  # moves the running statistics
    return network.eval()


@pytest.fixture(scope="session")
def teacher(space: SearchSpace) -> ElasticResNet:
    return make_teacher(space, 100)


@pytest.fixture(scope="session")
def tasks(space: SearchSpace, noise: torch.Tensor) -> list[TaskTensors]:
    """Five tasks of 20 to 24 students; accuracy rises with the number of blocks, around a level of the task's own."""
    made = []
    for index in range(5):
        rng = np.random.default_rng(index)
        architectures = space.sample(20 + index, rng)
        level = 30 + 10 * index
        accuracies = [level + 2.0 * sum(a.depths) + rng.normal(scale=0.2) for a in architectures]
        made.append(
            build_task(
                f"split{index}",
                make_teacher(space, index),
                level + 20.0,
                space,
                noise,
                architectures=architectures,
                accuracies=accuracies,
            )
        )
    return made
