"""A fresh store per test, and students and predictors to put into it."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard, save_predictor
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.registry import RegisteredVersion
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store, open_store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_registration import register_student
from tests.samples import RECIPE


@pytest.fixture(autouse=True)
def _own_address(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing may reach the address of the person who runs the tests, nor MLflow's default, the current folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    current = tmp_path_factory.mktemp("current")
    monkeypatch.chdir(current)
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)  # which holds for the whole process, once a test has set it
    assert list(current.iterdir()) == []


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Store:
    """A fresh store on a real sqlite database in `tmp_path`."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return open_store(tmp_path)


CLASSES = ("ant", "bee", "cat")
ARCHITECTURE = Architecture(((4, 8), (8, 16), (16,), (32,)))
LINEAGE = Lineage("c" * 40, "work", False, (DataHash("data/splits", "aaa.dir"),), "the lock\n")
SPACE = SearchSpace(widths=(8, 16, 16, 32), max_depth=2, ratios=(0.5, 1.0), granularity="stage")
Student = tuple[ElasticResNet, StudentCard]


@pytest.fixture(scope="session")
def data() -> TaskData:
    """100 test images: 30 ants, 34 bees, 36 cats."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (100, 16, 16, 3), generator=generator, dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.tensor([0] * 30 + [1] * 34 + [2] * 36)
    return TaskData("pets", CLASSES, images, labels, images, labels, "0123456789ab")


@pytest.fixture
def make_student(data: TaskData) -> Callable[..., Student]:
    """A student that always answers one class, so that its right answers are known; and its card."""

    def make(answer: int, **changes: object) -> Student:
        torch.manual_seed(0)
        network = ElasticResNet(ARCHITECTURE, len(CLASSES)).eval()
        with torch.no_grad():
            network.classifier.weight.zero_()
            network.classifier.bias.copy_(torch.eye(3)[answer] * 5)
        counted = cost(ARCHITECTURE, 16, len(CLASSES))
        card = StudentCard(
            target="pets",
            dataset="pets",
            data_id=data.data_id,
            classes=CLASSES,
            resolution=16,
            architecture=ARCHITECTURE,
            macs=counted.macs,
            parameters=counted.parameters,
            teacher_id="abcdef012345",
            teacher_accuracy=90.0,
            predictor_id="123456abcdef",
            predicted_accuracy=40.0,
            distilled_accuracy=100 * float((data.test_labels == answer).double().mean()),
            test_images=len(data.test_labels),
            recipe=RECIPE,
            recipe_id="fedcba987654",
            seed=7,
            licence="Free for any use.",
        )
        return network, replace(card, **changes)

    return make


@pytest.fixture
def register(store: Store, data: TaskData, make_student: Callable[..., Student]) -> Callable[..., RegisteredVersion]:
    """Registers such a student under a run of its target."""

    def make(answer: int, **changes: object) -> RegisteredVersion:
        network, card = make_student(answer, **changes)
        run_id = record_run(store, RunContent("targets", card.target, LINEAGE))
        there = replace(data, data_id=card.data_id)
        return register_student(store, run_id, network=network, data=there, card=card, lineage=LINEAGE)

    return make


@pytest.fixture
def make_predictor(tmp_path: Path) -> Callable[..., Path]:
    """Files a predictor that was never trained."""

    def make(seed: int = 0) -> Path:
        model = DassPredictor(32, SPACE.code_length, seed=seed)
        rates = {name: torch.full_like(matrix, 0.005) for name, matrix in model.layers.items()}
        card = PredictorCard(
            space=SPACE,
            resolution=16,
            noise_seed=0,
            training=("split0", "split1"),
            validation=("split2",),
            students=8.0,
            teacher_ids=("a", "b", "c"),
            episodes=40,
            best_episode=40,
            validation_src=0.5,
            seed=seed,
            precision="float32",
            device="cpu",
            torch_version="2",
            seconds=3.0,
        )
        path = tmp_path / f"predictor{seed}.safetensors"
        save_predictor(path, MetaPredictor(model, rates, 1, TargetScale(40.0, 3.0)), card)
        return path

    return make
