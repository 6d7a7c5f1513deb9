import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from dass.networks.checkpoint import TeacherCard
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import load_predictor
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import score_candidates
from dass.predictor.tasks import build_task
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.tracking.adapted_model import AdaptedModel
from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.predictor_model import load_predictor_model
from dass.tracking.predictor_registration import register_adapted, register_predictor
from dass.tracking.promotion import make_champion
from dass.tracking.registry import RegisteredVersion
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store
from tests.factories import make_card

LINEAGE = Lineage("c" * 40, "work", False, (DataHash("data/splits", "aaa.dir"),), "the lock\n")


@pytest.fixture
def checkpoint(make_predictor: Callable[..., Path]) -> Path:
    return make_predictor()


@pytest.fixture
def teacher(checkpoint: Path) -> ElasticResNet:
    torch.manual_seed(0)
    network = ElasticResNet(load_predictor(checkpoint)[1].space.largest, 3).train()
    with torch.no_grad():
        network(torch.randn(32, 3, 16, 16))
    return network.eval()


@pytest.fixture
def card(teacher: ElasticResNet) -> TeacherCard:
    return make_card(
        classes=("ant", "bee", "cat"), architecture=teacher.architecture, accuracy=60.0, teacher_id="", recipe_id=""
    )


@pytest.fixture
def students(checkpoint: Path) -> list[Architecture]:
    return load_predictor(checkpoint)[1].space.sample(6, np.random.default_rng(0))


def test_the_predictor_is_filed_with_its_rates_and_crowned(
    store: Store, checkpoint: Path, make_predictor: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = _register(store, checkpoint)
    assert (version.name, version.version) == ("dass-predictor", 1)
    assert _register(store, checkpoint) == version
    assert make_champion(store, version, "meta-trained").alias == "champion"
    second = _register(store, make_predictor(seed=1))
    assert make_champion(store, second, "meta-trained anew").champion == 2
    filed = store.client.get_model_version("dass-predictor", "2")
    assert filed.tags["promotion.previous"] == "1"
    assert filed.tags["git.commit"] == "c" * 40
    assert filed.description.startswith("# dass-predictor")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    folder = mlflow.artifacts.download_artifacts("models:/dass-predictor@champion")
    rates = load_predictor_model(Path(folder) / "data" / "predictor").predictor.rates
    assert all(bool((rate == 0.005).all()) for rate in rates.values())


def test_the_predictor_takes_embeddings(
    store: Store,
    checkpoint: Path,
    teacher: ElasticResNet,
    students: list[Architecture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    model = mlflow.pyfunc.load_model(_register(store, checkpoint).uri)
    predictor, card = load_predictor(checkpoint)
    noise = fixed_noise(card.resolution, card.noise_seed)
    task = build_task("pets", teacher, 60.0, card.space, noise, architectures=students, accuracies=[0.0] * 6)
    inputs = {
        "teacher_embedding": task.teacher_embedding[None].numpy(),
        "teacher_code": task.teacher_code[None].numpy(),
        "teacher_accuracy": np.array([60.0], dtype=np.float32),
        "student_embeddings": task.student_embeddings.numpy(),
        "student_codes": task.codes.numpy(),
    }
    adapted = predictor.adapt(task.teacher_embedding, task.teacher_code, 60.0)
    expected = score_candidates(adapted, teacher, students, card.space, noise)
    np.testing.assert_allclose(model.predict(inputs)["predicted_accuracy"], expected, rtol=1e-5)
    assert len(model.predict(model.input_example)) == 2
    for wrong in (
        {**inputs, "student_codes": inputs["student_codes"][1:]},
        {**inputs, "teacher_accuracy": np.array([np.nan], dtype=np.float32)},
        {**inputs, "student_embeddings": inputs["student_embeddings"][:, :3]},
    ):
        with pytest.raises(MlflowException) as caught:
            model.predict(wrong)
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_the_adapted_predictor_takes_architectures(
    store: Store,
    checkpoint: Path,
    teacher: ElasticResNet,
    card: TeacherCard,
    students: list[Architecture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = record_run(store, RunContent("targets", "pets", LINEAGE))
    common = {"checkpoint": checkpoint, "teacher": teacher, "teacher_card": card, "lineage": LINEAGE}
    version = register_adapted(store, run_id, **common)
    assert version.name == "dass-predictor-pets"
    assert register_adapted(store, run_id, **common) == version
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    model = mlflow.pyfunc.load_model(version.uri)
    table = pd.DataFrame({"architecture": [json.dumps(student.to_json()) for student in students]})
    answer = model.predict(table)
    predictor, predictor_card = load_predictor(checkpoint)
    expected = AdaptedModel(predictor, predictor_card, teacher, card).predict(table)
    pd.testing.assert_frame_equal(answer, expected)
    assert answer["predicted_accuracy"].nunique() > 1
    assert answer["macs"].tolist() == [cost(student, 16, 3).macs for student in students]
    assert len(model.predict(table[:0])) == 0
    for wrong in ("not JSON", '{"widths": [[16], [32]]}', '{"widths": [[7], [16], [16], [32]]}', "[]"):
        with pytest.raises(MlflowException) as caught:
            model.predict(pd.DataFrame({"architecture": [wrong]}))
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def _register(store: Store, checkpoint: Path) -> RegisteredVersion:
    run_id = record_run(store, RunContent("predictor", "dass-predictor", LINEAGE))
    return register_predictor(store, run_id, checkpoint=checkpoint, lineage=LINEAGE)
