"""A tiny space, a task whose images show their class, and a teacher that has learned it a little."""

import numpy as np
import pytest
import torch

from dass.config import Augmentation, DistillationRecipe
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace((4, 8, 8, 16), 2, (0.5, 1.0), "block")


@pytest.fixture(scope="session")
def data() -> TaskData:
    rng = np.random.default_rng(5)
    labels = torch.arange(80) % 4
    images = rng.integers(0, 120, size=(80, 16, 16, 3))
    for index, label in enumerate(labels.tolist()):
        images[index, 4 * label : 4 * label + 4] += 60
    pictures = torch.from_numpy(images.astype(np.uint8)).permute(0, 3, 1, 2)
    return TaskData("rows", tuple("abcd"), pictures[:60], labels[:60], pictures[60:], labels[60:], "0123456789ab")


@pytest.fixture(scope="session")
def teacher(space: SearchSpace, data: TaskData) -> ElasticResNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ElasticResNet(space.largest, 4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(network(normalize(data.train_images)), data.train_labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def recipe() -> DistillationRecipe:
    return DistillationRecipe(
        epochs=3,
        batch_size=8,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.00003,
        augmentation=Augmentation(flip=False, crop_padding=1),
        precision="float32",
        alpha=0.5,
        temperature=6.0,
        evaluations=1,
    )
