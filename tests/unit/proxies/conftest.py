"""A tiny space, a task whose images show their class, and a teacher that has learned it a little."""

import pytest
import torch

from dass.config import Augmentation, DistillationRecipe
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace
from tests.samples import RECIPE, SPACE, rows_task


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SPACE


@pytest.fixture(scope="session")
def data() -> TaskData:
    return rows_task(60, 20)


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
    changes = {"batch_size": 8, "augmentation": Augmentation(flip=False, crop_padding=1)}
    return RECIPE.model_copy(update=changes | {"precision": "float32", "evaluations": 1})
