"""A tiny space, source tasks whose accuracy rises with depth, and a target with images."""

import numpy as np
import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.space.search_space import SearchSpace
from dass.tasks.ranking import RankingTask
from tests.factories import teacher_card

SPACE = SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")


def make_task(name: str, seed: int, students: int) -> RankingTask:
    torch.manual_seed(seed)
    teacher = ElasticResNet(SPACE.largest, 3)
    teacher(torch.randn(8, 3, 16, 16))  # moves the running statistics
    rng = np.random.default_rng(seed)
    architectures = tuple(SPACE.sample(students, rng))
    images = torch.from_numpy(rng.integers(256, size=(24, 3, 16, 16), dtype=np.uint8))
    labels = torch.arange(24) % 3
    data = TaskData(name, ("a", "b", "c"), images, labels, images, labels, f"{seed:012x}")
    return RankingTask(
        data,
        teacher.eval(),
        teacher_card(teacher, data, 60.0),
        architectures,
        tuple(30.0 + 2 * sum(a.depths) + float(rng.normal(scale=0.2)) for a in architectures),
        space=SPACE,
        noise=fixed_noise(16, 0),
    )


@pytest.fixture(scope="session")
def sources() -> list[RankingTask]:
    return [make_task(f"split{index}", index, 24) for index in range(4)]


@pytest.fixture(scope="session")
def target() -> RankingTask:
    return make_task("target", 9, 30)
