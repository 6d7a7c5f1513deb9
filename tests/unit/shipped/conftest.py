"""A multi-fidelity predictor of a tiny space, and a task whose students it knows nothing of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dass.fidelity import FIDELITIES, ONE_BATCH
from dass.multi_fidelity.checkpoint import MultiFidelityCard, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask, gather
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import fixed_noise
from dass.proxies.collector import Collector
from dass.proxies.recipe_facts import recipe_facts
from dass.proxies.store import ProxyStore
from dass.shipped.build import Origin
from dass.shipped.card import Source
from dass.shipped.fixture import Fixture
from dass.space.cost import cost
from dass.training.workers import Workers
from tests.factories import teacher_card
from tests.samples import RECIPE, SPACE, rows_task

ORIGIN = Origin("for tests", ("paper_resnet",), False, (Source("glyphs", "0" * 12, 2, "CC0"),), (0,), "MIT", "0" * 40)


def make_task(seed: int, students: int = 16, outliers: int = 0) -> Fixture:
    """Students who reach more the larger they are."""
    torch.manual_seed(seed)
    teacher = ElasticResNet(SPACE.largest, 4)
    data = replace(rows_task(train=70), name=f"task{seed}")
    teacher(torch.rand(8, 3, 16, 16))  # moves the running statistics
    teacher.eval()
    rng = np.random.default_rng(seed)
    architectures = tuple(SPACE.sample(students, rng))
    sizes = np.log([cost(one, 16, 4).parameters for one in architectures])
    accuracies = 50 + 60 * (sizes - sizes.mean()) + 4 * rng.normal(size=students)
    accuracies[:outliers] += 20
    return Fixture(
        data, teacher, teacher_card(teacher, data, 57.0), architectures, tuple(accuracies.tolist()),
        left_out=2000 - len(data.test_labels), recipe=RECIPE,
    )  # fmt: skip


@pytest.fixture(scope="session")
def multi_fidelity_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor that has learned from three tasks, up to the fidelity `start`."""
    tasks = []
    with Workers(0) as workers:
        for task in (make_task(seed) for seed in range(3)):
            collector = Collector(
                task.teacher, task.data, fixed_noise(16, 0), RECIPE, workers=workers, store=ProxyStore(None),
                device=torch.device("cpu"),
            )  # fmt: skip
            proxies = gather(collector, task.architectures, ONE_BATCH)
            tasks.append(MultiFidelityTask.of(task, proxies))
    learned = MultiFidelityPredictor(alpha=RECIPE.alpha, temperature=RECIPE.temperature).fit(tasks, FIDELITIES[:3])
    card = MultiFidelityCard(
        SPACE, 16, recipe_facts(RECIPE), ("task0",), ("t" * 12,), 48, {"size": 0.9, "one_batch": 0.9},
        {"one_batch": 0.8}, 0, "cpu", "2", 1.0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("learned") / "multi_fidelity.safetensors"
    save_multi_fidelity(path, learned, card)
    return path


@pytest.fixture(scope="session")
def target() -> Fixture:
    """A task that it has not learned from."""
    return make_task(9, outliers=3)
